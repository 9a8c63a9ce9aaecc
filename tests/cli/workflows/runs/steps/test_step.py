"""A run that is trained step by step ends as one that is trained at once, whatever comes between."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import tempfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from trained_bits import outcome

from advisor.errors import DeadlineError, InterruptedRunError, RunError, StorageError, UsageError
from advisor.plans.records import EpochRecord, RunStatus
from cli.workflows.forecast import machine
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.home import Home
from cli.workflows.locks import locked, shared, step_folder
from cli.workflows.runs import train as training
from cli.workflows.runs.deletion import delete_run
from cli.workflows.runs.description import show_run
from cli.workflows.runs.lookup import refuse_stage
from cli.workflows.runs.steps.accounting import ELSEWHERE, MACHINE
from cli.workflows.runs.steps.evaluation import evaluate_run
from cli.workflows.runs.steps.step import StepRequest, run_one_step
from cli.workflows.runs.steps.storing import store_run
from cli.workflows.runs.train import TrainOptions
from db.session import open_store
from db.state import evidence_state

REQUEST = PlanRequest(target="2xmlp-1-4@g1", dataset="digits", epochs=3, batch=256, hatched_epochs=2, seed=1)
STEPS = ("train mother-1", "hatch member-1", "train member-1", "hatch member-2", "train member-2")
LAST_FIRST = (STEPS[0], STEPS[3], STEPS[4], STEPS[1], STEPS[2])


class Died(BaseException):
    """The process ends here, as `kill -9` ends it: nobody stores anything any more."""


def silent(said):
    pass


def step(home, name, say=silent, later=None, **options):
    return run_one_step(
        StepRequest(run=1, step=name, records_later=later), TrainOptions(**options), home, say
    )


def evaluate(home):
    return evaluate_run(1, TrainOptions(), home, silent)


@pytest.fixture(scope="module")
def quiet():
    """One process, no forecast, which takes longer than the training, and a database that refuses at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "usable_cores", lambda: 1)
        nothing = SimpleNamespace(priced=None, forecast=None)
        patch.setattr(training, "forecast_plan", lambda plan, store, **others: nothing)
        patch.setattr("db.session.open_store", partial(open_store, busy_seconds=0.01))
        yield


@pytest.fixture(scope="module")
def at_once(quiet, tmp_path_factory):
    """Outcome of the same plan by one training."""
    home = Home(tmp_path_factory.mktemp("at once"))
    training.train(REQUEST, TrainOptions(), home, silent)
    return outcome(home)


@pytest.fixture(scope="module")
def planned(quiet, tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("planned"))
    store_run(REQUEST, TrainOptions(), home, silent)
    return home


@pytest.fixture
def stored(planned, tmp_path):
    """Home of its own with the run, which has not begun."""
    return Home(Path(shutil.copytree(planned.path, tmp_path / "a home")))


@pytest.mark.slow
def test_a_stored_run_is_no_evidence_and_resume_trains_it(stored, at_once):
    before = evidence_state(stored.database)
    training.resume(1, TrainOptions(), stored, silent)
    assert outcome(stored) == at_once
    # A page that was derived from the database before is derived again.
    assert evidence_state(stored.database) != before


@pytest.mark.parametrize(
    ("order", "later"), [pytest.param(STEPS, False, marks=pytest.mark.slow), (LAST_FIRST, True)]
)
def test_steps_one_by_one_end_with_the_bits_of_one_training(stored, at_once, order, later):
    for name in order:
        done = step(stored, name, later=later)
        assert (done.step, done.already_done) == (name, False)
    unstored = list((stored.path / "runs/0001/unstored").glob("*"))
    # 3 + 2 + 2 epochs and 5 steps, or none of them.
    assert len(unstored) == (12 if later else 0)
    assert show_run(stored, "1").status is (RunStatus.PLANNED if later else RunStatus.INTERRUPTED)
    done = evaluate(stored)
    # Nobody waits beside steps that a scheduler starts.
    assert (done.status, done.overhead_seconds) == (RunStatus.DONE, None)
    assert outcome(stored) == at_once
    assert not (stored.path / "runs/0001/unstored").exists()


def test_a_step_that_is_done_is_not_executed_again(stored, advisor, monkeypatch):
    monkeypatch.setenv("ADVISOR_HOME", str(stored.path))
    first = advisor("step", "1", "train", "mother-1", "--json").json["step"]
    assert (first["already_done"], first["seconds"] > 0) == (False, True)
    again = advisor("step", "1", "train mother-1")
    assert (again.code, again.out, again.err) == (0, "train mother-1 of run 1 is done already\n", "")


def test_what_cannot_be_done_is_one_line(stored, advisor, monkeypatch):
    monkeypatch.setenv("ADVISOR_HOME", str(stored.path))
    assert [run["status"] for run in advisor("runs", "list", "--json").json["runs"]] == ["planned"]
    unknown = advisor("step", "1", "train", "nobody")
    assert (unknown.code, all(repr(name) in unknown.error_line for name in (*STEPS, "evaluate"))) == (2, True)
    early = advisor("step", "1", "hatch member-2")
    assert (early.code, "`advisor step 1 'train mother-1'`" in early.error_line) == (2, True)
    whole = advisor("step", "1", "evaluate")
    assert (whole.code, "these are not: 'train mother-1', 'hatch" in whole.error_line) == (2, True)
    for later in ("--records-later", "--records-now"):
        missing = advisor("step", "7", "train mother-1", later)
        assert (missing.code, "there is no run 7" in missing.error_line) == (2, True)
    path = advisor("train", "2xmlp-1-4", "--dataset", "digits", "--no-start", "--until-time", "1h")
    assert (path.code, "--no-start stores one plan" in path.error_line) == (2, True)


@pytest.mark.slow
def test_a_stopped_step_goes_on_with_the_same_bits(stored, at_once):
    def terminate(said):
        if isinstance(said, EpochRecord) and said.epoch == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRunError, match="`advisor step 1 'train mother-1'`") as raised:
        step(stored, STEPS[0], terminate, take_signals=True)
    assert raised.value.exit_code == 143
    with pytest.raises(DeadlineError, match="time limit"):
        step(stored, STEPS[0], time_limit=1e-9)
    for name in STEPS:
        step(stored, name)
    evaluate(stored)
    assert outcome(stored) == at_once


def test_a_step_that_is_killed_while_the_database_is_locked_loses_no_record(stored, at_once):
    other = sqlite3.connect(stored.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def die(said):
        if isinstance(said, EpochRecord) and said.epoch == 1:
            raise Died

    said = []
    with pytest.raises(Died):
        step(stored, STEPS[0], die)
    # Another step goes through while the lock lasts, and tells of it once.
    step(stored, STEPS[0], said.append)
    assert len([line for line in said if "stored later" in str(line)]) <= 2
    other.close()
    for name in STEPS[1:]:
        step(stored, name)
    evaluate(stored)
    assert outcome(stored) == at_once


def test_locks_let_steps_run_side_by_side_and_keep_all_else_out(stored, monkeypatch):
    monkeypatch.setattr("cli.workflows.locks.LOCK_SECONDS", 0.01)
    run = stored.path / "runs/0001"
    with shared(run, "run 1"), locked(step_folder(run, "mother-1"), "train mother-1 of run 1"):
        assert stored.trains("runs/0001")
        with pytest.raises(RunError, match=rf"train mother-1 of run 1 is in use by .*\({os.getpid()} on "):
            step(stored, STEPS[0])
        for refused in (
            lambda: training.resume(1, TrainOptions(), stored, silent),
            lambda: delete_run(stored, "1"),
        ):
            with pytest.raises(RunError, match="run 1 is in use by `advisor step` for mother-1"):
                refused()
        # A step of another network may begin.
        with shared(run, "run 1"), locked(step_folder(run, "member-1"), "train member-1 of run 1"):
            pass
    with locked(run, "run 1"), pytest.raises(RunError, match="run 1 is in use by another process"):
        step(stored, STEPS[0])
    assert not stored.trains("runs/0001")


def test_a_run_that_is_deleted_meanwhile_is_not_made_again(stored):
    run = stored.path / "runs/0001"
    with shared(run, "run 1"):
        pass
    delete_run(stored, "1")
    with pytest.raises(UsageError, match="there is no run 1"):
        step(stored, STEPS[0])
    with pytest.raises(StorageError, match="cannot write to"), shared(run, "run 1"):
        pass
    assert not run.exists()


@pytest.mark.slow
def test_a_damaged_checkpoint_takes_its_step_back_and_executing_that_again_mends_it(stored, at_once):
    for name in STEPS:
        step(stored, name)
    for path in (stored.path / "runs/0001/networks/mother-1").glob("*.safetensors"):
        path.write_bytes(b"damaged")
    with pytest.raises(UsageError, match="these are not: 'train mother-1';"):
        evaluate(stored)
    step(stored, STEPS[0])
    evaluate(stored)
    # Weights, figures and records; the message names nothing.
    assert outcome(stored) == at_once


@pytest.mark.slow
def test_seconds_of_another_machine_do_not_count_as_those_of_the_planning_one(stored):
    step(stored, STEPS[0])
    with open_store(stored.database) as store:
        own = store.run(1).fingerprint
    assert own != ELSEWHERE
    (step_folder(stored.path / "runs/0001", "mother-1") / f"{MACHINE}0123456789abcdef").touch()
    for name in STEPS[1:]:
        step(stored, name)
    evaluate(stored)
    with open_store(stored.database) as store:
        assert store.run(1).fingerprint == ELSEWHERE
        assert store.trained_epochs(own) == []


@pytest.mark.slow
def test_a_full_disk_ends_a_step_and_the_same_command_goes_on(stored, at_once, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("trainer.training.checkpoint.write_durably", full)
        with pytest.raises(StorageError, match="cannot write a checkpoint to .*No space left on device"):
            step(stored, STEPS[0])
    for name in STEPS:
        step(stored, name)
    evaluate(stored)
    assert outcome(stored) == at_once


def test_a_stage_of_a_path_has_no_steps_to_execute():
    with pytest.raises(UsageError, match="run 4 is a stage of a path.*`advisor resume 4`"):
        refuse_stage(SimpleNamespace(id=4, navigation=object()))


def test_a_step_in_a_home_that_cannot_be_written_is_refused_before_anything_is_opened(
    stored, monkeypatch, without_privileges
):
    monkeypatch.setattr("cli.workflows.runs.steps.step.found_run", pytest.fail)
    run = stored.path / "runs/0001"
    for folder in (run, *run.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    with without_privileges(), pytest.raises(StorageError, match="a step needs a home that is writable"):
        step(stored, STEPS[0])
