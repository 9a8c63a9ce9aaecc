"""The loop through the command line on real data: train, query, stop, resume."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from terminals import as_in_a_terminal

from advisor.designs.design import parse_design
from advisor.errors import DeadlineError
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.plans.plan import plan_to_json
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from cli.workflows.forecast.planning import PlanRequest
from cli.workflows.home import Home
from cli.workflows.runs import train as training
from cli.workflows.runs.recording import Recorder
from cli.workflows.runs.train import TrainOptions
from cli.workflows.stopping import StopSignals
from cli.workflows.views import TrainingBegun, TrainingEnded
from db.session import open_store
from trainer.events import Notice, TrainingStarted
from trainer.execution.outbox import Outbox

ONE_CORE = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")
TINY = ("train", "2xresnet-8-4@g1", "--dataset", "digits", "--epochs", "3", "--seed", "5")
LONGER = (*TINY[:5], "8", *TINY[6:])


def weights_of(home: Path, run: int) -> dict[str, dict[str, torch.Tensor]]:
    """Newest weights of every network of a run."""
    return weights_in(home / "runs" / f"{run:04d}")


def weights_in(run_folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    found = {}
    for folder in sorted((run_folder / "networks").iterdir()):
        newest = sorted(folder.glob("checkpoint-*.safetensors"))[-1]
        tensors = safetensors.torch.load_file(newest)
        found[folder.name] = {k: v for k, v in tensors.items() if k.startswith("weights/")}
    return found


def equal(a: dict[str, dict[str, torch.Tensor]], b: dict[str, dict[str, torch.Tensor]]) -> bool:
    return a.keys() == b.keys() and all(
        a[n].keys() == b[n].keys() and all(torch.equal(a[n][k], b[n][k]) for k in a[n]) for n in a
    )


@pytest.fixture(scope="module")
def reference(train_apart):
    """One finished run, made by a process of its own."""
    return train_apart(TINY)


def test_a_run_is_stored_with_everything_it_was(reference):
    _, run = reference
    assert run["status"] == "done"
    assert run["method"] == "mothernets"
    assert [n["role"] for n in run["networks"]] == ["mother", "member", "member"]
    assert [n["epochs"] for n in run["networks"]] == [3, 1, 1]
    assert all(s["status"] == "done" for s in run["steps"])
    hatched = [s["hatch_difference"] for s in run["steps"] if s["step"].startswith("hatch")]
    assert hatched == [0.0, 0.0]
    assert len(run["test"]["member_errors"]) == 2
    assert run["test"]["oracle_error"] <= run["test"]["error"] < 0.9
    for name in ("voting_error", "super_learner_error"):
        assert run["test"]["oracle_error"] <= run["test"][name] <= 1
    assert sum(run["test"]["super_learner_weights"]) == pytest.approx(1)
    assert run["test"]["best_member_error"] == run["test"]["member_errors"][run["test"]["best_member"]]
    assert 0 <= run["test"]["calibration_error"] <= 1
    assert run["test"]["errors_by_members"] == [
        pytest.approx(run["test"]["mean_member_error"]),
        run["test"]["error"],
    ]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures_and_weights(reference, advisor, home):
    first_home, first = reference
    again = advisor(*TINY, "--json", "--quiet").json["run"]
    assert again["test"] == first["test"]
    assert equal(weights_of(home, 1), weights_of(first_home, 1))


def test_past_runs_can_be_listed_shown_compared_exported_and_deleted(reference, advisor, home):
    import shutil

    shutil.copytree(reference[0], home)
    rows = advisor("runs", "list", "--where", "dataset=digits", "--sort", "test_error", "--json").json["runs"]
    assert [row["id"] for row in rows] == [1]
    assert advisor("runs", "list", "--where", "dataset=svhn", "--json").json["runs"] == []
    shown = advisor("runs", "show", "last")
    assert "2xresnet-8-4@g1" in shown.out
    assert "hatch member-1" in shown.out
    figures = ("voting", "super learner", "best member", "mean member", "calibration error")
    assert all(figure in shown.out for figure in figures)
    compared = advisor("runs", "compare", "1", "1").out
    assert all(figure in compared for figure in ("disagreement", *figures))
    header, row = advisor("runs", "export", "--format", "csv").out.splitlines()
    assert header.startswith("id,created_at,status,design")
    exported = dict(zip(header.split(","), row.split(","), strict=True))
    for name in ("voting_error", "super_learner_error", "best_member_error", "calibration_error"):
        assert float(exported[name]) == reference[1]["test"][name]
    assert "2xresnet-8-4@g1" in row
    assert "actual" in advisor("explain", "1").out
    assert advisor("db", "check").code == 0
    assert advisor("runs", "delete", "1", "--yes").code == 0
    assert not (home / "runs" / "0001").exists()
    assert advisor("runs", "show", "1").code == 2


@pytest.fixture
def plan_file(tmp_path):
    """Plan of two epochs of one small network in this process."""
    plan = make_plan(
        parse_design("mlp-1-4"), DATASETS["digits"], epochs=2, batch=128, seed=0, execution=ONE_CORE
    )
    path = tmp_path / "plan.json"
    path.write_text(plan_to_json(plan))
    return path


def test_a_training_says_its_start_every_epoch_and_its_end(home, plan_file):
    said = []
    training.train(PlanRequest(target=str(plan_file)), TrainOptions(), Home(home), said.append)
    lines = [each for each in said if isinstance(each, str)]
    assert any(line.startswith("run 1: mlp-1-4 on digits") for line in lines)
    rest = [each for each in said if not isinstance(each, str)]
    assert [type(each) for each in rest] == [TrainingBegun, EpochRecord, EpochRecord, TrainingEnded]
    assert [record.epoch for record in rest[1:3]] == [0, 1]
    assert rest[0].plan.design == "mlp-1-4"


def test_a_training_that_is_stopped_before_its_first_step_still_says_its_end(home, plan_file):
    said = []
    with pytest.raises(DeadlineError, match="reached its time limit"):
        training.train(
            PlanRequest(target=str(plan_file)), TrainOptions(time_limit=1e-9), Home(home), said.append
        )
    assert isinstance(said[-1], TrainingEnded)
    assert not any(isinstance(each, EpochRecord) for each in said)


def test_events_are_stored_and_shown_and_notices_are_shown_as_lines(home, plan_file):
    training.train(PlanRequest(target=str(plan_file)), TrainOptions(), Home(home), lambda said: None)
    with open_store(Home(home).database) as store:
        run, epochs, steps = store.run(1), store.epochs(1), store.steps(1)
        said = []
        recorder = Recorder(store, run, Outbox(Home(home).run_folder(run.folder), run.plan), said.append)
        recorder.begin()
        recorder(TrainingStarted())
        recorder(Notice("the loss is not finite"))
        recorder(epochs[-1])
        # The step was done before: its figures stay.
        recorder(StepRecord(step=steps[0].step, network="member-1", status=StepStatus.DONE, seconds=1e6))
        assert [type(each) for each in said] == [TrainingBegun, str, EpochRecord]
        assert said[0].expected_seconds is None
        assert said[1:] == ["the loss is not finite", epochs[-1]]
        assert (store.epochs(1), store.steps(1)) == (epochs, steps)
        assert store.run(1).train_seconds >= run.train_seconds


def test_a_finished_run_cannot_be_resumed(reference, advisor, home):
    import shutil

    shutil.copytree(reference[0], home)
    answer = advisor("resume", "1")
    assert answer.code == 2
    assert "nothing to resume" in answer.error_line


@pytest.fixture
def started_run(home, command_apart, request):
    """A longer training in a process of its own that has finished at least one epoch.

    The parameter, if there is one, names the fixture that prepares the process.
    """
    named = getattr(request, "param", None)
    prepare = request.getfixturevalue(named) if named else None
    temporary = home.parent / "tmp"
    temporary.mkdir()

    def prepared():
        as_in_a_terminal()
        if prepare:
            prepare()

    with subprocess.Popen(
        [*command_apart, "--home", str(home), *LONGER],
        preexec_fn=prepared,
        # A group of its own, as a terminal gives every command.
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(temporary)},
    ) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 120
        for line in process.stderr:
            if "epoch 2" in line:
                break
            assert time.monotonic() < deadline
        yield process
        process.kill()


@pytest.fixture(scope="module")
def long_reference(train_apart):
    home, _ = train_apart(LONGER)
    return weights_of(home, 1)


def assert_no_process_is_left(session):
    """Every process that a command started has ended, at the latest soon after it."""
    deadline = time.monotonic() + 10
    while (left := processes_of(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def processes_of(session):
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, its_session = file.read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state not in "ZX":
                found.append(file.parent.name)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("send", "number", "code", "status"),
    [
        # As `timeout`, systemd and Ctrl-C do, to the workers too.
        (os.killpg, signal.SIGTERM, 143, "interrupted"),
        pytest.param(os.killpg, signal.SIGINT, 130, "interrupted", marks=pytest.mark.slow),
        pytest.param(os.kill, signal.SIGINT, 130, "interrupted", marks=pytest.mark.slow),
        pytest.param(os.killpg, signal.SIGHUP, 129, "interrupted", marks=pytest.mark.slow),
        pytest.param(os.kill, signal.SIGHUP, 129, "interrupted", marks=pytest.mark.slow),
        pytest.param(os.kill, signal.SIGKILL, -9, "interrupted", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "started_run", [pytest.param(None, marks=pytest.mark.slow), "to_one_core"], indirect=True
)
def test_a_stopped_run_resumes_to_the_same_weights(
    home, advisor, long_reference, started_run, send, number, code, status
):
    send(started_run.pid, number)
    _, err = started_run.communicate(timeout=60)
    assert started_run.returncode == code
    assert_no_process_is_left(started_run.pid)
    assert list((home.parent / "tmp").glob("advisor*")) == []
    if code > 0:
        assert err.strip().splitlines()[-1] == (
            "advisor: run 1 is interrupted and checkpointed: continue with `advisor resume 1`"
        )
    assert advisor("runs", "list", "--json").json["runs"][0]["status"] == status
    before = {s["step"]: s for s in advisor("runs", "show", "1", "--json").json["run"]["steps"]}
    assert advisor("resume", "--quiet").code == 0
    assert equal(weights_of(home, 1), long_reference)
    after = {s["step"]: s for s in advisor("runs", "show", "1", "--json").json["run"]["steps"]}
    assert all(after[name] == step for name, step in before.items() if step["status"] == "done")


@pytest.mark.slow
@pytest.mark.parametrize("started_run", ["to_one_core"], indirect=True)
def test_a_run_in_progress_cannot_be_resumed_or_deleted(advisor, started_run):
    assert advisor("runs", "list", "--json").json["runs"][0]["status"] == "running"
    assert advisor("runs", "show", "1", "--json").json["run"]["status"] == "running"
    resumed = advisor("resume", "1", "--quiet")
    assert resumed.code == 1
    assert f"in use by another process ({started_run.pid} on " in resumed.error_line
    assert "in use by another process" in advisor("runs", "delete", "1", "--yes").error_line


def test_a_time_limit_checkpoints_and_exits_75(advisor, home, monkeypatch):
    # No other processes, which take longer to start than this.
    monkeypatch.setattr("cli.workflows.forecast.machine.usable_cores", lambda: 1)
    answer = advisor(*TINY[:5], "500", "--time-limit", "2s", "--quiet")
    assert answer.code == 75
    assert "resume" in answer.error_line
    assert advisor("runs", "list", "--json").json["runs"][0]["status"] == "deadline"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_workers_start_is_no_failure(home, advisor, command_apart, number, code):
    with subprocess.Popen(
        [*command_apart, "--home", str(home), *LONGER],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_in_a_terminal,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.startswith("run 1"))
        # The workers start now.
        time.sleep(0.2)
        os.killpg(process.pid, number)
        told = process.stderr.read()
    assert process.returncode == code
    # On a quick machine an epoch may have ended before.
    assert told.strip().splitlines()[-1] == (
        "advisor: run 1 is interrupted and checkpointed: continue with `advisor resume 1`"
    )
    assert advisor("resume", "--quiet").code == 0


def test_a_signal_that_comes_twice_at_once_is_one_request_and_a_later_one_ends_the_process(monkeypatch):
    ended, clock = [], [100.0]
    monkeypatch.setattr("cli.workflows.stopping.os._exit", ended.append)
    monkeypatch.setattr("cli.workflows.stopping.time.monotonic", lambda: clock[0])
    signals = StopSignals(None)
    for seconds in (0.0, 0.1, 0.3):
        clock[0] = 100 + seconds
        signals._receive(signal.SIGTERM, None)
    assert (ended, signals.received) == ([], signal.SIGTERM)
    clock[0] = 102
    signals._receive(signal.SIGTERM, None)
    assert ended == [143]


def test_the_time_of_an_epoch_that_was_stopped_counts(advisor, monkeypatch):
    def training_for_a_while(plan, files, data, tell, stop):
        tell(TrainingStarted())
        time.sleep(0.3)
        return {}

    monkeypatch.setattr("cli.workflows.runs.train.execute", training_for_a_while)
    assert advisor("train", "mlp-1-4", "--dataset", "digits", "--epochs", "2", "--quiet").code == 75
    assert advisor("runs", "show", "1", "--json").json["run"]["train_seconds"] == pytest.approx(0.3, rel=0.5)


def test_a_run_whose_mother_diverged_says_so(advisor, monkeypatch):
    monkeypatch.setattr("cli.workflows.forecast.machine.usable_cores", lambda: 1)
    answer = advisor(
        "train", "2xmlp-2-16@g1", "--dataset", "digits", "--epochs", "2", "--lr", "1e30", "--quiet"
    )
    assert answer.code == 1
    assert "mother-1 diverged in epoch 1: lower the learning rate" in answer.error_line
    assert advisor("runs", "list", "--json").json["runs"][0]["status"] == "diverged"


def test_a_run_takes_no_checkpoints_of_one_that_its_database_does_not_know(advisor, home, monkeypatch):
    trained = ("train", "mlp-1-4", "--dataset", "digits", "--epochs", "2", "--json")
    first = advisor(*trained, "--seed", "1", "--quiet").json["run"]
    # Moved away, as the program advises where a database is damaged.
    for file in home.glob("advisor.sqlite*"):
        file.unlink()
    answer = advisor(*trained, "--seed", "2")
    second = answer.json["run"]
    assert (first["id"], second["id"]) == (1, 1)
    assert second["networks"] != first["networks"]
    assert "0001.orphan-1" in answer.err
    assert not equal(weights_of(home, 1), weights_in(home / "runs" / "0001.orphan-1"))


def test_a_full_disk_is_a_storage_error_and_the_run_can_go_on(advisor, home, monkeypatch):
    import errno

    from trainer.training import checkpoint

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_durably", full)
        answer = advisor("train", "mlp-1-4", "--dataset", "digits", "--epochs", "2", "--quiet")
    assert answer.code == 4
    assert "No space left" in answer.error_line
    assert advisor("resume", "--quiet").code == 0


def test_a_diverged_run_is_marked_and_kept_out_of_the_evidence(advisor):
    answer = advisor("train", "mlp-2-16", "--dataset", "digits", "--epochs", "2", "--lr", "1e30")
    assert answer.code == 1
    assert "lower the learning rate" in answer.err
    assert advisor("runs", "list", "--json").json["runs"][0]["status"] == "diverged"
    explained = advisor("explain", "mlp-1-4", "--dataset", "digits", "--epochs", "2", "--json").json
    assert explained["evidence"]["runs"] == 0


def test_progress_is_one_line_an_epoch_where_there_is_no_terminal(advisor):
    answer = advisor("train", "mlp-1-4", "--dataset", "digits", "--epochs", "3")
    assert sum("epoch" in line and "validation error" in line for line in answer.err.splitlines()) == 3
    assert "epoch 1:" not in answer.out


def test_a_mode_of_steps_is_trained_stored_and_keeps_the_results(advisor, home):
    asked = ("train", "resnet-8-4", "--dataset", "digits", "--epochs", "1")
    eager, replayed = (advisor(*asked, *more, "--json").json for more in ((), ("--step-mode", "graph")))
    assert eager["run"]["test"] == replayed["run"]["test"]
    with open_store(Home(home).database) as store:
        assert [store.run(number).plan.execution.step_mode for number in (1, 2)] == ["eager", "graph"]
    shown = advisor("explain", "resnet-8-4", "--dataset", "digits", "--step-mode", "compiled").out
    assert "compiled step" in " ".join(shown.split())


@pytest.mark.parametrize("command", ["train", "explain", "profile"])
def test_an_unknown_mode_of_steps_is_refused(advisor, command):
    answer = advisor(command, "resnet-8-4", "--dataset", "digits", "--step-mode", "grph")
    assert answer.code == 2
    assert answer.error_line == "advisor: unknown step mode 'grph': did you mean 'graph'?"
