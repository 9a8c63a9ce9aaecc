"""Paths on the digits with tiny networks: where they end, what they keep, and how they go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from advisor.errors import InfeasibleError, InterruptedRunError, UsageError
from advisor.estimate import Estimate
from advisor.plans.navigation.path import Targets
from advisor.plans.records import EpochRecord, Forecast, RunStatus
from cli.workflows.forecast import machine
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from cli.workflows.runs import conclusion
from cli.workflows.runs import train as training
from cli.workflows.runs.description import show_run
from cli.workflows.runs.navigation import first_stage, stages
from cli.workflows.runs.navigation import navigate as path
from cli.workflows.runs.train import TrainOptions
from cli.workflows.runs.trained import load_run
from db.session import open_store
from profiler.steps import StepTimes
from trainer.training.checkpoint import load_checkpoint

DESIGN = "mlp-1-8+mlp-1-12+mlp-2-16"
REQUEST = PlanRequest(target=DESIGN, dataset="digits", epochs=2, batch=128, seed=1)
UNKNOWN = Forecast(
    train_seconds=None, train_peak_bytes=None, inference_ms_per_image=None, test_error=None, steps=()
)


measured_now = first_stage._measured_now


def silent(said):
    pass


@pytest.fixture(autouse=True)
def without_forecasts(monkeypatch):
    """One process, and neither forecasts nor looks at the data, which take longer than training."""
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    monkeypatch.setattr(training, "look_once", lambda *given: None)
    nothing = SimpleNamespace(priced=None, forecast=None)
    monkeypatch.setattr(training, "forecast_plan", lambda plan, store, **others: nothing)
    monkeypatch.setattr(path, "forecast_of_added", lambda plan, old, store, cluster: UNKNOWN)
    monkeypatch.setattr(first_stage, "_measured_now", lambda plan, say: None)


@pytest.fixture
def errors(monkeypatch):
    """Validation errors of the stages, by the number of clusters."""
    found = {1: 0.5, 2: 0.3, 3: 0.2}
    known = stages.validation_errors

    def scripted(plan, files, data):
        known(plan, files, data)
        return found[stages.parse_design(plan.design).clusters], ()

    monkeypatch.setattr(stages, "validation_errors", scripted)
    return found


def checkpoints(home, run, name):
    folder = home / "runs" / f"{run:04d}" / "networks" / name
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def weights(home, run, name):
    """Newest weights of a network, as bytes."""
    found = load_checkpoint(home / "runs" / f"{run:04d}" / "networks" / name, silent)
    return {key: tensor.numpy().tobytes() for key, tensor in found.weights.items()}


def navigated(home, say=silent, *, take_signals=False, **targets):
    options = TrainOptions(take_signals=take_signals)
    return path.navigate(REQUEST, Targets(**targets), options, Home(home), say)


def statuses(home):
    with open_store(home / "advisor.sqlite") as store:
        return [run.status for run in store.runs()]


class Sealed:
    """A test split that nobody may read before it is opened."""

    def __init__(self, split):
        self.split, self.opened = split, False

    def __len__(self):
        return len(self.split)

    def to(self, device):
        return self

    def __getattr__(self, name):
        assert self.opened, "the test images were read before the end of the path"
        return getattr(self.split, name)


def test_a_path_ends_at_the_first_stage_whose_error_is_low_enough_and_reads_test_images_only_then(
    home, errors, monkeypatch
):
    sealed, said = [], []
    load, evaluate = training.load_new_data, conclusion.evaluate

    def load_sealed(*given, **options):
        data = load(*given, **options)
        sealed.append(Sealed(data.test))
        return replace(data, test=sealed[0])

    def opening(plan, files, data, members):
        assert any("the path ends" in line for line in said if isinstance(line, str))
        sealed[0].opened = True
        return evaluate(plan, files, data, members)

    monkeypatch.setattr(training, "load_new_data", load_sealed)
    monkeypatch.setattr(conclusion, "evaluate", opening)
    began = time.monotonic()
    run = navigated(home, said.append, error=0.3, usd=1e6, price_per_hour=3.6)
    waited = time.monotonic() - began
    assert (run.id, run.design, run.status) == (2, f"{DESIGN}@g2", RunStatus.DONE)
    # Every moment belongs to one stage: to its training, or to what is waited for beside it.
    with open_store(home / "advisor.sqlite") as store:
        parts = [(stage.train_seconds, stage.overhead_seconds) for stage in store.runs()]
    assert min(map(min, parts)) > 0
    # On a busy machine most of the wait is for imports.
    assert 0.1 * waited < sum(map(sum, parts)) <= waited
    stored = run.navigation
    assert (stored.until_error, stored.until_seconds, stored.until_usd) == (0.3, None, 1e6)
    first, second = stored.stages
    assert [(s.run, s.clusters, s.validation_error) for s in stored.stages] == [(1, 1, 0.5), (2, 2, 0.3)]
    # The mother of all has one layer of 8 units, which member 3 is farthest from.
    assert (first.renewed, second.kept, second.renewed) == ((), ("member-1", "member-2"), ("member-3",))
    assert second.total_seconds == pytest.approx(first.seconds + second.seconds)
    assert second.total_usd == pytest.approx(0.001 * second.total_seconds)
    assert second.seconds == run.train_seconds
    # All stages are evidence.
    assert statuses(home) == [RunStatus.DONE] * 2
    assert all(show_run(Home(home), number).test is not None for number in "12")
    assert show_run(Home(home), "1").navigation.stages == (first,)
    for name in ("mother-1", "member-1", "member-2"):
        assert checkpoints(home, 1, name) == checkpoints(home, 2, name)
    assert checkpoints(home, 1, "member-3") != checkpoints(home, 2, "member-3")
    assert {s.step: s.status for s in run.steps}["train mother-1"] == "done"
    lines = [line for line in said if isinstance(line, str) and line.startswith("stage")]
    assert [line.partition(":")[0] for line in lines] == ["stage 1"] * 2 + ["stage 2"] * 2
    with pytest.raises(UsageError, match="nothing to resume"):
        path.resume(1, TrainOptions(), Home(home), silent)


@pytest.mark.slow
def test_a_path_ends_before_a_stage_that_is_forecast_not_to_fit(home, monkeypatch):
    slow = replace(UNKNOWN, train_seconds=(2000.0, 1000.0, 3000.0))
    monkeypatch.setattr(path, "forecast_of_added", lambda plan, old, store, cluster: slow)
    said = []
    run = navigated(home, said.append, error=1e-4, usd=1.0, price_per_hour=3.6)
    assert (run.id, run.status) == (1, RunStatus.DONE)
    # One USD pays for 1000 seconds.
    assert any("s are left for a stage of 2e+03 s" in line for line in said if isinstance(line, str))


@pytest.mark.slow
def test_without_a_forecast_a_stage_is_expected_to_take_what_its_networks_took(home, monkeypatch):
    given = path._next

    def with_one_second_left(run, stage, store, cluster):
        assert path._seconds_as_before(path.with_split(run.plan, path.best_split(run.plan)), run, store) > 0
        monkeypatch.setattr(path, "seconds_left", lambda run: 1e-6)
        return given(run, stage, store, cluster)

    monkeypatch.setattr(path, "_next", with_one_second_left)
    assert navigated(home, seconds=1000.0).id == 1


@pytest.mark.parametrize("targets", [{"seconds": 99.0}, {"usd": 0.099, "price_per_hour": 3.6}])
def test_a_first_stage_that_is_forecast_not_to_fit_is_refused_before_anything_is_stored(
    home, monkeypatch, targets
):
    priced = SimpleNamespace(train_seconds=Estimate(100.0, 50.0, 200.0))
    known = SimpleNamespace(priced=priced, forecast=None)
    monkeypatch.setattr(training, "forecast_plan", lambda plan, store, **others: known)
    with pytest.raises(
        InfeasibleError, match=r"99 s .* 100 s are expected \(50 to 200\); nothing was trained"
    ):
        navigated(home, **targets)
    assert statuses(home) == []
    assert not (home / "runs").exists()


class FakeProcess:
    """A process that answers every measurement alike."""

    times = StepTimes()

    def __init__(self, device, threads, cores):
        self.networks = []

    def __enter__(self):
        return self

    def __exit__(self, *given):
        pass

    def wait_until_ready(self):
        return True

    def begin(self, workload, seconds, longest):
        # The largest network that all members grow from.
        assert workload.network == "mlp-1-8"

    def finish(self, timeout):
        return self.times


@pytest.mark.parametrize("given_up", [False, True])
def test_without_measurements_the_mother_is_timed_before_anything_is_stored(home, monkeypatch, given_up):
    monkeypatch.setattr(first_stage, "_measured_now", measured_now)
    monkeypatch.setattr(first_stage, "MeasuringProcess", FakeProcess)
    times = StepTimes(forward=3.0, backward=6.0, optimizer=0.5, step=10.0, inference=2.0, spent=30.0)
    monkeypatch.setattr(FakeProcess, "times", StepTimes(given_up=True, step=10.0) if given_up else times)
    # Two epochs of the mother alone: 8 batches of 128 of the 1077 digits, 10 s each.
    with pytest.raises(InfeasibleError, match=r"nothing was trained"):
        navigated(home, seconds=159.9)
    assert statuses(home) == []
    assert not (home / "runs").exists()


@pytest.mark.parametrize("times", [None, StepTimes(fits=False)])
def test_a_mother_that_cannot_be_timed_refuses_nothing(monkeypatch, times):
    monkeypatch.setattr(first_stage, "MeasuringProcess", FakeProcess)
    monkeypatch.setattr(FakeProcess, "times", times)
    plan = planned_target(replace(REQUEST, target=f"{DESIGN}@g1")).plan
    assert measured_now(plan, silent) is None


@pytest.mark.slow
def test_the_command_times_a_mother_where_nothing_was_measured_and_stores_no_measurement(
    advisor, home, monkeypatch
):
    monkeypatch.setattr(first_stage, "_measured_now", measured_now)
    found = advisor("train", DESIGN, "--dataset", "digits", "--until-time", "0.001s", "-q")
    assert found.code == 1
    assert "are too short for the first stage" in found.error_line
    assert statuses(home) == []
    with open_store(home / "advisor.sqlite") as store:
        assert store.measurements() == []


def test_a_time_that_ends_within_the_first_stage_is_one_line_and_resume_completes_it(home):
    with pytest.raises(InfeasibleError, match=r"1e-06 s of training are too short .* run 1 keeps"):
        navigated(home, seconds=1e-6)
    assert statuses(home) == [RunStatus.DEADLINE]
    run = path.resume(1, TrainOptions(), Home(home), silent)
    assert (run.id, run.status, len(run.navigation.stages)) == (1, RunStatus.DONE, 1)


@pytest.mark.slow
def test_time_that_ends_within_a_later_stage_leaves_the_stage_before_as_the_result(home, monkeypatch):
    monkeypatch.setattr(stages, "_deadline", lambda run, walk: time.monotonic() if run.id == 2 else None)
    run = navigated(home, seconds=1000.0)
    assert (run.id, run.status) == (1, RunStatus.DONE)
    assert statuses(home) == [RunStatus.DONE, RunStatus.DEADLINE]


@pytest.mark.slow
def test_a_stopped_path_goes_on_with_the_same_bits_whichever_stage_is_named(home, tmp_path, errors):
    undisturbed = navigated(tmp_path / "undisturbed", error=0.2)
    sent = []

    def stopping(said):
        in_second = statuses(home) == [RunStatus.INTERRUPTED, RunStatus.RUNNING]
        if in_second and isinstance(said, EpochRecord) and said.network == "member-3" and not sent:
            sent.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRunError, match="advisor resume 2"):
        navigated(home, stopping, take_signals=True, error=0.2)
    assert statuses(home) == [RunStatus.INTERRUPTED] * 2
    run = path.resume(1, TrainOptions(), Home(home), silent)
    assert (run.id, run.test) == (3, undisturbed.test)
    assert [replace(s, seconds=0, total_seconds=0) for s in run.navigation.stages] == [
        replace(s, seconds=0, total_seconds=0) for s in undisturbed.navigation.stages
    ]
    for name in ("mother-1", "member-1", "member-2", "member-3"):
        assert weights(home, 3, name) == weights(tmp_path / "undisturbed", 3, name)


@pytest.mark.slow
def test_a_process_killed_before_it_took_over_what_was_trained_takes_it_over_when_resumed(
    home, errors, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr("cli.workflows.runs.extend.adopt_kept", lambda *given: os.kill(os.getpid(), 2))
        with pytest.raises(KeyboardInterrupt):
            navigated(home, error=0.3)
    run = path.resume(2, TrainOptions(), Home(home), silent)
    assert (run.id, len(run.navigation.stages)) == (2, 2)
    assert checkpoints(home, 1, "mother-1") == checkpoints(home, 2, "mother-1")


REFUSED = {
    ("train", DESIGN, "--until-error", "6"): "--until-error must be above 0 and below 1, got '6'",
    ("train", DESIGN, "--until-error", "x%"): "write 6% or 0.06",
    ("train", DESIGN, "--until-time", "soon"): "--until-time: cannot read 'soon' as a duration",
    ("train", DESIGN, "--until-usd", "5"): "--until-usd 5 needs the price of the machine",
    ("train", DESIGN, "--until-usd", "-5", "--price-per-hour", "3"): "--until-usd must be positive",
    ("train", f"{DESIGN}@g2", "--until-error", "6%"): "leave out @g2",
    ("train", "mlp-1-8", "--until-error", "6%"): "got the single network mlp-1-8",
    ("train", DESIGN, "--until-error", "6%", "--method", "bagging"): "got --method bagging",
    ("train", "--until-time", "2h"): "got the last recommendation",
    ("train", "plan.json", "--until-time", "2h"): "got the plan plan.json",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_targets_that_do_not_fit_the_request_are_one_line_and_leave_nothing(advisor, home, arguments):
    refused = advisor(*arguments)
    assert refused.code == 2
    assert REFUSED[arguments] in refused.error_line
    assert not home.exists()


def test_the_command_shows_the_path_and_exits_with_1_where_the_error_is_out_of_reach(advisor, home):
    options = ("--dataset", "digits", "--epochs", "1", "--price-per-hour", "k80", "-q")
    found = advisor("train", "2xmlp-1-8", "--until-error", "0.01%", *options)
    assert found.code == 1
    assert "a validation error of 0.01 % is not reached" in found.error_line
    assert statuses(home) == [RunStatus.DONE] * 2
    shown = advisor("runs", "show", "last", "--json").json["run"]["navigation"]
    assert [(s["run"], s["clusters"], s["renewed"]) for s in shown["stages"]] == [
        (1, 1, []),
        (2, 2, ["member-2"]),
    ]
    assert shown["stages"][1]["total_usd"] > shown["stages"][0]["total_usd"] > 0
    table = advisor("runs", "show", "last").out
    assert "new mother for" in table
    assert "USD in all" in table
    # The stored error is that of the averaged probabilities on the validation images.
    found = load_run("2", Home(home), silent, device="cpu", download=False)
    split = found.data_of(Home(home), False).validation
    with torch.inference_mode():
        wrong = found.ensemble(split.images).argmax(1) != split.labels
    assert shown["stages"][1]["validation_error"] == pytest.approx(float(wrong.float().mean()))


KILLED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace

from advisor.plans.navigation.path import Targets
from advisor.plans.records import Forecast
from cli.workflows.forecast import machine
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.home import Home
from cli.workflows.runs import train as training
from cli.workflows.runs.navigation import navigate as path

machine.usable_cores = lambda: 1
training.look_once = lambda *given: None
training.forecast_plan = lambda plan, store, **others: SimpleNamespace(priced=None, forecast=None)
unknown = Forecast(
    train_seconds=None, train_peak_bytes=None, inference_ms_per_image=None, test_error=None, steps=()
)
path.forecast_of_added = lambda plan, old, store, cluster: unknown
left = int(sys.argv[2])

def say(said):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

request = PlanRequest(target=sys.argv[3], dataset="digits", epochs=2, batch=128, seed=1)
path.navigate(request, Targets(error=1e-4), training.TrainOptions(), Home(Path(sys.argv[1])), say)
"""


@pytest.fixture(scope="module")
def killed_path(tmp_path_factory):
    """Train a path in a process of its own that is killed when it says something for the n-th time."""

    def train(number):
        home = tmp_path_factory.mktemp("killed")
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(home), str(number), DESIGN], capture_output=True, text=True
        )
        return home, ended

    return train


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_after_kill_9_anywhere_a_path_ends_with_the_same_bits(killed_path):
    whole, ended = killed_path(1000)
    assert "InfeasibleError" in ended.stderr
    for number in (8, 14, 20):
        home, ended = killed_path(number)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        with pytest.raises(InfeasibleError):
            path.resume(1, TrainOptions(), Home(home), silent)
        for run in (1, 2, 3):
            for name in ("mother-1", "member-1", "member-2", "member-3"):
                ours, theirs = weights(home, run, name), weights(whole, run, name)
                assert ours == theirs, (number, run, name)
        assert show_run(Home(home), "3").test == show_run(Home(whole), "3").test
