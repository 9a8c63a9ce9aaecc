"""What is waited for beside a training: measured, stored with the run, and shown beside its forecast."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from measured import home_with_steps

from advisor.cost.overhead import ratio_of
from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.plans.records import EpochRecord, Forecast, RunStatus
from cli.workflows import clock as clocks
from cli.workflows.clock import WaitingClock
from cli.workflows.forecast import machine
from cli.workflows.forecast.coverage import overhead_ratios
from cli.workflows.forecast.machine import digests_of, plain_execution
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from cli.workflows.runs import recording
from cli.workflows.runs import train as training
from cli.workflows.runs.recording import Recorder
from cli.workflows.runs.steps.accounting import mark_disturbed
from cli.workflows.runs.train import TrainOptions
from db.session import open_store
from profiler.device import fingerprint
from trainer.events import TrainingStarted
from trainer.execution.outbox import Outbox

BESIDE = "starting, storing, evaluating"
PLAN = make_plan(
    parse_design("mlp-1-4"),
    DATASETS["digits"],
    epochs=2,
    batch=128,
    seed=0,
    execution=Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous"),
)


@pytest.fixture
def time(monkeypatch):
    """A clock that a test sets; it stands at 1000 s."""
    fake = SimpleNamespace(now=1000.0)
    for module in (clocks, recording):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: fake.now))
    return fake


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "advisor.sqlite") as opened:
        yield opened


def created(store, forecast=None, machine="here"):
    return store.create_run(
        created_at="2026-11-29T00:00:00+00:00",
        plan=PLAN,
        parameters=1,
        fingerprint=machine,
        forecast=forecast,
    )


def epoch(number):
    return EpochRecord(
        step="train member-1",
        network="member-1",
        epoch=number,
        rate=0.1,
        train_loss=0.5,
        train_error=0.5,
        validation_loss=0.5,
        validation_error=0.5,
        validation_probabilities=b"",
        seconds=1.0,
    )


def recorder_of(store, tmp_path, clock):
    run = store.run(1)
    return Recorder(store, run, Outbox(tmp_path / "run", run.plan), lambda said: None, clock=clock)


def trained(recorder, time, *epochs):
    """Start for 3 s, and train epochs of 5 s."""
    recorder.begin()
    time.now += 3
    recorder(TrainingStarted())
    for number in epochs:
        time.now += 5
        recorder(epoch(number))


def seconds_of(store):
    run = store.run(1)
    return run.train_seconds, run.overhead_seconds


def test_the_wait_is_that_before_the_first_step_and_after_the_last_event(store, tmp_path, time):
    created(store)
    # The command began 4 s ago.
    recorder = recorder_of(store, tmp_path, WaitingClock(996.0))
    trained(recorder, time, 0, 1)
    # While it trains, what came before the first step is stored: a killed run has it.
    assert seconds_of(store) == (10.0, 7.0)
    time.now += 2
    recorder.end(RunStatus.DONE)
    assert seconds_of(store) == (10.0, 9.0)


def test_a_resumed_run_adds_what_each_of_its_parts_waited_for_and_nothing_between(store, tmp_path, time):
    created(store)
    first = recorder_of(store, tmp_path, WaitingClock(996.0))
    trained(first, time, 0)
    time.now += 1
    first.stop_clock()
    first.end(RunStatus.DEADLINE)
    assert seconds_of(store) == (6.0, 7.0)
    time.now += 86_400
    second = recorder_of(store, tmp_path, WaitingClock(time.now - 10))
    trained(second, time, 1)
    time.now += 2
    second.end(RunStatus.DONE)
    assert seconds_of(store) == (6.0 + 5.0, 7.0 + 10.0 + 3.0 + 2.0)


def test_training_that_an_error_lost_is_not_waited_for_beside_it(store, tmp_path, time):
    created(store)
    recorder = recorder_of(store, tmp_path, WaitingClock(996.0))
    trained(recorder, time, 0)
    time.now += 1000
    recorder.mark(RunStatus.FAILED, "the disk is full")
    assert seconds_of(store) == (5.0, 7.0)


@pytest.mark.parametrize("clock", [None, WaitingClock(0.0)])
def test_the_wait_is_unknown_where_nobody_waits_and_where_an_older_program_trained_a_part(
    store, tmp_path, time, clock
):
    created(store)
    if clock is not None:
        store.update_run(1, status=RunStatus.INTERRUPTED, train_seconds=20.0)
    recorder = recorder_of(store, tmp_path, clock)
    trained(recorder, time, 0)
    recorder.end(RunStatus.DONE)
    assert store.run(1).overhead_seconds is None
    assert store.run(1).train_seconds == (5.0 if clock is None else 25.0)


def test_what_is_done_once_pauses_the_clock_and_the_end_of_a_run_starts_it_anew(store, tmp_path, time):
    created(store)
    clock = WaitingClock(1000.0)
    time.now += 1
    with clock.paused():
        time.now += 60
    with clock.paused(False):
        time.now += 2
    assert clock.seconds == 3.0
    recorder = recorder_of(store, tmp_path, clock)
    trained(recorder, time, 0, 1)
    recorder.end(RunStatus.INTERRUPTED, "a trained stage")
    assert seconds_of(store) == (10.0, 6.0)
    time.now += 4
    assert clock.seconds == 4.0
    # The stage ends with the path, after its test images were read: no training comes before.
    recorder_of(store, tmp_path, clock).end(RunStatus.DONE)
    assert seconds_of(store) == (10.0, 10.0)


FORECAST = Forecast(
    train_seconds=(1.0, 1.0, 1.0),
    train_peak_bytes=None,
    inference_ms_per_image=None,
    test_error=None,
    steps=(),
    overhead_seconds=(2.0, 1.0, 4.0),
)


def test_the_history_has_finished_runs_of_an_undisturbed_machine_newest_first(store):
    for place, seconds in [("here", 3.0), ("there", 9.0), ("here", 9.0), ("here", None), ("here", 5.0)]:
        run = created(store, FORECAST, place)
        store.update_run(run.id, status=RunStatus.DONE, train_seconds=1.0, overhead_seconds=seconds)
    mark_disturbed(3, store, True)
    created(store, FORECAST)
    assert overhead_ratios(store, {"here"}) == (2.5, 1.5)
    assert [ratio_of(run) for run in store.finished_runs()] == [2.5, None, 4.5, 4.5, 1.5]


@pytest.fixture
def measured_home(home, monkeypatch):
    """A home with measurements of this machine, on one core, with a look at the digits."""
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    monkeypatch.setattr(training, "look_once", lambda *given: None)
    networks = ("mlp-1-4", "mlp-1-8", "mlp-2-8", "mlp-3-8")
    return home_with_steps(home, DATASETS["digits"].task, networks, (32, 128))


@pytest.mark.parametrize(("download", "counted"), [(False, 100.0), (True, 0.0)])
def test_a_first_look_at_the_data_and_a_download_are_left_out(
    measured_home, monkeypatch, time, download, counted
):
    def pass_seconds(seconds, call):
        time.now += seconds
        return call()

    load = training.load_new_data
    monkeypatch.setattr(
        training, "load_new_data", lambda facts, root, download: pass_seconds(100, lambda: load(facts, root))
    )
    monkeypatch.setattr(training, "look_once", lambda *given: pass_seconds(1000, lambda: None))
    request = PlanRequest(target="mlp-1-4", dataset="digits", epochs=2, batch=128)
    options = TrainOptions(download=download, clock=WaitingClock(1000.0))
    target = planned_target(request, measured_home, lambda said: None)
    with open_store(measured_home.database) as store:
        run, _ = training.begin(target, options, store, measured_home, lambda said: None)
    assert options.clock.seconds == counted
    assert run.overhead_seconds is None


def past_runs(home, seconds, count):
    """Runs of this machine that took some seconds beside their training, where the formula gave 3."""
    forecast = Forecast(
        train_seconds=(1.0, 1.0, 1.0),
        train_peak_bytes=None,
        inference_ms_per_image=None,
        test_error=None,
        steps=(),
        overhead_seconds=(3.0, 2.0, 4.0),
    )
    with open_store(Home(home).database) as store:
        for _ in range(count):
            run = created(store, forecast, fingerprint(plain_execution("cpu")).digest)
            store.update_run(run.id, status=RunStatus.DONE, train_seconds=1.0, overhead_seconds=seconds)


TINY = ("mlp-1-4", "--dataset", "digits", "--epochs", "2", "--batch", "128")


def test_a_training_is_told_what_it_waits_for_before_and_shows_it_after(measured_home, advisor, home):
    before = advisor("explain", *TINY, "--json").json["predicted"]["overhead_seconds"]
    row = next(row for row in advisor("explain", *TINY).out.splitlines() if row.startswith(BESIDE[:18]))
    assert " ".join(row.split()).startswith(f"{BESIDE} 3")
    run = advisor("train", *TINY, "-q", "--json").json["run"]
    assert run["predicted"]["overhead_seconds"] == before
    assert run["overhead_seconds"] > 0
    explained = advisor("explain", "1", "--json").json
    assert explained["predicted"]["overhead_seconds"] == before
    assert explained["actual"]["overhead_seconds"] == run["overhead_seconds"]
    share = explained["deviation"]["overhead_seconds"]["share"]
    assert share == pytest.approx(run["overhead_seconds"] / before["mean"] - 1)
    for command in (("explain", "1"), ("runs", "show", "1")):
        rows = [" ".join(row.split()) for row in advisor(*command).out.splitlines()]
        (beside,) = [row for row in rows if row.startswith(BESIDE)]
        # Mean, interval and actual seconds.
        assert beside.count(" s") + beside.count(" ms") >= 3
        assert "–" not in beside.split(" s ")[0]
    with open_store(Home(home).database) as store:
        (ratio,) = overhead_ratios(store, digests_of("cpu"))
        assert ratio == pytest.approx(run["overhead_seconds"] / before["mean"])


def test_the_next_forecast_knows_what_earlier_trainings_on_the_machine_waited_for(
    measured_home, advisor, home
):
    before = advisor("explain", *TINY, "--json").json["predicted"]["overhead_seconds"]
    past_runs(home, 6.0, 10)
    after = advisor("explain", *TINY, "--json").json["predicted"]["overhead_seconds"]
    assert after["mean"] == pytest.approx(before["mean"] * 2 ** (10 / 12))
    assert after["high"] / after["low"] < 0.6 * before["high"] / before["low"]
