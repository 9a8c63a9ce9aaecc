"""A run on a busy machine: one line, a forecast for the usual speed, and no evidence from its seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loops_beside import busy_loops
from measured import step_of

from advisor.conformal import Quantity
from advisor.plans.outcomes import finished_forecasts
from advisor.plans.records import EpochRecord, RunStatus
from cli.workflows.forecast import machine, pace
from cli.workflows.forecast.coverage import coverage_of
from cli.workflows.forecast.machine import digests_of, plain_execution, trained_epochs
from cli.workflows.forecast.pace import UsualPace
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.home import Home
from cli.workflows.runs import train as training
from cli.workflows.runs.description import show_run
from cli.workflows.runs.recording import Recorder
from cli.workflows.runs.steps.accounting import DISTURBED, ELSEWHERE, belongs_elsewhere, mark_disturbed
from cli.workflows.runs.train import TrainOptions
from cli.workflows.runs.watching.forecast_history import forecast_history
from db.session import open_store
from profiler.device import fingerprint
from profiler.pace import pace_side_by_side
from trainer.events import Paced, TrainingStarted
from trainer.execution.outbox import Outbox

USUAL = 0.003


@pytest.fixture(autouse=True)
def _one_process(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)


@pytest.fixture
def known_home(tmp_path):
    """A home with measurements of this machine, whose reference is known."""
    home, own = Home(tmp_path / "known"), fingerprint(plain_execution("cpu"))
    with open_store(home.database) as store:
        for network in ("mlp-1-4", "mlp-1-8", "mlp-2-8", "mlp-3-8"):
            for batch in (32, 128):
                step = step_of(network, training_task(), batch, own)
                store.add_measurement(replace(step, reference_seconds=USUAL))
    return home


def training_task():
    from advisor.plans.dataset import DATASETS

    return DATASETS["digits"].task


def trained(home, monkeypatch, now):
    """Train two epochs while the reference takes the given seconds; return the lines and the run."""
    monkeypatch.setattr(pace, "pace_side_by_side", lambda copies: now)
    said = []
    request = PlanRequest(target="mlp-1-4", dataset="digits", epochs=2, batch=128)
    training.train(request, TrainOptions(), home, said.append)
    with open_store(home.database) as store:
        return [each for each in said if isinstance(each, str)], store.runs()[-1]


def about_the_machine(lines):
    return [line for line in lines if line.startswith("this machine is at")]


def test_a_busy_machine_is_said_with_both_forecasts_and_its_run_is_no_evidence(known_home, monkeypatch):
    lines, quiet = trained(known_home, monkeypatch, USUAL)
    assert about_the_machine(lines) == []
    lines, busy = trained(known_home, monkeypatch, 2 * USUAL)
    (line,) = about_the_machine(lines)
    expected = busy.forecast.train_seconds[0]
    assert f"about {2 * expected:.3g} s now, {expected:.3g} s at the usual speed" in line
    assert busy.fingerprint == DISTURBED + quiet.fingerprint
    shown = show_run(known_home, "last")
    assert shown.busy_machine
    assert shown.predicted.train_seconds.mean == expected
    assert not show_run(known_home, "1").busy_machine
    with open_store(known_home.database) as store:
        (own,) = trained_epochs(store, quiet.plan.execution)
        assert own.epochs == 2
        coverage = {each.quantity: each.forecasts for each in coverage_of(store, digests_of("cpu"))}
        # The error is learned from, wherever and however fast it came about.
        assert (coverage[Quantity.TIME], coverage[Quantity.ERROR]) == (1, 2)
        assert all(len(list(finished_forecasts(run))) for run in store.finished_runs())
    assert forecast_history(known_home).machines == 1


def test_a_machine_without_measurements_is_silent(tmp_path, monkeypatch):
    lines, run = trained(Home(tmp_path / "new"), monkeypatch, 1e3)
    assert about_the_machine(lines) == []
    assert not run.fingerprint.startswith(DISTURBED)


@pytest.fixture
def recording(known_home, monkeypatch):
    """A finished run, and a recorder that goes on with it, with a pace."""
    _, run = trained(known_home, monkeypatch, USUAL)
    with open_store(known_home.database) as store:
        outbox = Outbox(known_home.run_folder(run.folder), run.plan)
        record = store.epochs(run.id)[0]
        said = []
        watched = pace.TrainingPace.of(run.plan, store, said.append)
        recorder = Recorder(store, run, outbox, said.append, pace=watched)
        recorder.begin()
        recorder(TrainingStarted())
        yield recorder, record, store, said


def pass_epochs(recorder, record: EpochRecord, first, *seconds):
    for number, each in enumerate(seconds, first):
        recorder(replace(record, epoch=number))
        recorder(Paced(record.step, each))


def test_the_mark_follows_what_is_known_so_far_and_is_stored_at_every_record(recording):
    recorder, record, store, said = recording
    machine_here = recorder.run.fingerprint
    pass_epochs(recorder, record, 0, USUAL, 2 * USUAL, 2 * USUAL, USUAL)
    recorder.end(RunStatus.INTERRUPTED)
    assert store.run(1).fingerprint == DISTURBED + machine_here
    assert (
        len([line for line in said if isinstance(line, str) and "what is left takes about 2.0" in line]) == 1
    )
    pass_epochs(recorder, record, 4, *[USUAL] * 60)
    recorder.end(RunStatus.DONE)
    assert store.run(1).fingerprint == machine_here


def test_a_mark_of_before_a_run_was_resumed_stays(recording):
    recorder, record, store, said = recording
    mark_disturbed(1, store, True)
    again = Recorder(store, store.run(1), recorder.outbox, said.append, pace=recorder.pace)
    pass_epochs(again, record, 0, *[USUAL] * 3)
    again.end(RunStatus.DONE)
    assert store.run(1).fingerprint.startswith(DISTURBED)


def test_a_run_of_several_machines_belongs_to_none_however_busy_one_is(recording):
    recorder, _, store, _ = recording
    belongs_elsewhere(recorder.run, store)
    for busy in (True, False):
        mark_disturbed(1, store, busy)
        assert store.run(1).fingerprint == ELSEWHERE


@pytest.mark.slow
def test_real_loops_beside_make_the_machine_busy(known_home):
    # The usual pace is that of now, whatever runs beside this test.
    usual = UsualPace(pace_side_by_side(1, 2.0), {})
    with busy_loops(8):
        speed = usual.speed(pace_side_by_side(1, 2.0), 1)
    assert speed < pace.BUSY_BELOW
    home = known_home
    with open_store(home.database) as store:
        store.delete_measurements(measured := store.measurements())
        for each in measured:
            store.add_measurement(replace(each, reference_seconds=usual.seconds))
    said = []
    with busy_loops(8):
        request = PlanRequest(target="mlp-1-4", dataset="digits", epochs=2, batch=128)
        training.train(request, TrainOptions(), home, said.append)
    assert len(about_the_machine([each for each in said if isinstance(each, str)])) == 1
    with open_store(home.database) as store:
        assert store.runs()[-1].fingerprint.startswith(DISTURBED)
        assert trained_epochs(store, plain_execution("cpu")) == []
