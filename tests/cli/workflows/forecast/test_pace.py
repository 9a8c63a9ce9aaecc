"""When the machine counts as busy, what is said of it, and which epochs are disturbed, at given paces."""

from __future__ import annotations

import pytest
from measured import measurement

from advisor.networks.layers import Task
from cli.workflows.forecast import pace
from cli.workflows.forecast.machine import executions
from cli.workflows.forecast.pace import TrainingPace, UsualPace, say_if_busy
from db.session import open_store
from profiler.device import fingerprint

TASK = Task(channels=3, height=32, width=32, classes=10)
USUAL = UsualPace(0.003, {2: 1.5})


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch):
    monkeypatch.setattr(pace, "usable_cores", lambda: 2)
    monkeypatch.setattr(pace, "load", lambda: 7.94)


@pytest.fixture
def now(monkeypatch):
    """Let the reference convolution take the given seconds now."""

    def give(seconds):
        monkeypatch.setattr(pace, "pace_side_by_side", lambda copies: seconds)

    return give


def reference(seconds, execution=0, **given):
    machine = fingerprint(executions("cpu")[execution])
    return measurement("resnet-8-4", TASK, 8, fingerprint=machine, reference_seconds=seconds, **given)


def test_the_usual_pace_is_the_median_over_all_settings_of_this_machine(tmp_path):
    with open_store(tmp_path / "advisor.db") as store:
        assert UsualPace.of(store, "cpu") is None
        for number, seconds in enumerate((0.002, 0.003, 0.010)):
            store.add_measurement(reference(seconds, number))
        store.add_measurement(reference(None))
        # Another machine; and two processes, whose reference is a step.
        store.add_measurement(measurement("resnet-8-4", TASK, 8, reference_seconds=9.0))
        store.add_measurement(reference(0.5, processes=2, step_seconds=0.75))
        assert UsualPace.of(store, "cpu") == USUAL
        assert UsualPace.of(store, "cuda") is None


def test_speed_is_one_at_the_usual_pace_and_networks_of_ours_do_not_make_a_machine_busy():
    assert USUAL.speed(0.003, 1) == 1
    assert USUAL.speed(0.006, 1) == 0.5
    assert USUAL.speed(0.0045, 2) == pytest.approx(1)
    assert USUAL.beside(2).speed(0.0045, 1) == pytest.approx(1)


def test_what_looks_busy_for_a_moment_is_measured_twice(monkeypatch):
    # Seconds of the first and the second time, and the speed: of the first alone, or of both.
    for first, second, speed in ((0.003, 9.0, 1.0), (0.005, 0.003, 0.75), (0.006, 0.006, 0.5)):
        left = iter((first, second))
        monkeypatch.setattr(pace, "pace_side_by_side", lambda copies, left=left: next(left))
        assert USUAL.speed_now(1) == pytest.approx(speed)


@pytest.mark.parametrize(("usual", "seconds"), [(None, 1.0), (USUAL, 0.003), (USUAL, 0.0039), (USUAL, 0.001)])
def test_nothing_is_said_of_a_quiet_machine_and_of_one_without_history(now, usual, seconds):
    now(seconds)
    said = []
    assert not say_if_busy(usual, 1, "--remeasure", said.append)
    assert said == []


def test_a_busy_machine_is_one_line_before_it_is_measured(now, monkeypatch):
    now(0.003 / 0.54)
    said = []
    assert say_if_busy(USUAL, 1, "--remeasure", said.append)
    rest = (
        "forecasts are for the usual speed, and trainings take about 1.9 times as long now; --remeasure "
        "measures again when it is quiet"
    )
    assert said == [f"this machine is at 54 % of its usual speed (load 7.9 on 2 cores): {rest}"]
    monkeypatch.setattr(pace, "load", lambda: None)
    say_if_busy(USUAL, 1, "--remeasure", said.append)
    assert said[1] == f"this machine is at 54 % of its usual speed: {rest}"


def training(copies=1, usual=USUAL):
    said = []
    return TrainingPace(usual, copies, said.append), said


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (22.0, ": about 44 s now, 22 s at the usual speed; seconds of now are no evidence"),
        (None, ": the training takes about 2.0 times as long now; seconds of now are no evidence"),
    ],
)
def test_before_a_training_the_line_has_the_forecast_for_the_usual_speed_and_for_now(now, expected, words):
    now(0.006)
    watched, said = training()
    watched.begin(expected)
    (line,) = said
    assert words in line


def test_a_training_begins_without_a_word_at_the_pace_of_its_own_processes(now):
    now(0.0045)
    watched, said = training(copies=2)
    watched.begin(22.0)
    assert (said, watched.disturbed) == ([], False)


def trained(watched, *seconds, step="train member-1"):
    """Epochs with a sample after each; None for no sample."""
    for each in seconds:
        watched.epoch(step)
        if each is not None:
            watched.sample(step, each)


def test_while_it_trains_the_line_comes_once_and_not_for_a_moment(now):
    now(0.003)
    watched, said = training()
    watched.begin(22.0)
    trained(watched, 0.006, 0.003, 0.006, 0.003)
    assert said == []
    trained(watched, 0.006, 0.006, 0.006)
    (line,) = said
    assert "is at 50 % of its usual speed (load 7.9 on 2 cores): what is left takes about 2.0 times" in line


def test_who_was_told_before_a_training_is_not_told_again(now):
    now(0.006)
    watched, said = training()
    watched.begin(None)
    trained(watched, 0.006, 0.006)
    assert len(said) == 1


def test_a_training_too_short_for_a_sample_has_the_pace_of_its_beginning(now):
    for seconds, disturbed in ((0.003, False), (0.006, True)):
        now(seconds)
        watched, _ = training()
        watched.begin(None)
        trained(watched, None, None)
        assert watched.disturbed == disturbed


def test_epochs_before_and_after_a_sample_of_a_busy_machine_are_disturbed(now):
    now(0.003)
    watched, _ = training()
    watched.begin(None)
    # Of 30 epochs, 2 before and 1 after the one sample: a tenth.
    trained(watched, 0.003, None, 0.006, 0.003, *[0.003] * 26)
    assert not watched.disturbed
    # One more of 31.
    trained(watched, 0.006)
    assert watched.disturbed


def test_a_step_that_is_disturbed_counts_however_many_others_are_not(now):
    now(0.003)
    watched, _ = training()
    watched.begin(None)
    trained(watched, *[0.003] * 100)
    trained(watched, 0.006, 0.006, step="train member-2")
    assert watched.disturbed


def test_a_disturbed_beginning_is_forgiven_by_many_quiet_epochs(now):
    now(0.006)
    watched, _ = training()
    watched.begin(None)
    trained(watched, 0.003)
    assert watched.disturbed
    trained(watched, *[0.003] * 9)
    assert not watched.disturbed
