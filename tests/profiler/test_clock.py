"""Clocks and the reference, on counters whose readings are known beforehand."""

import time

import pytest
import torch

from profiler.clock import LEAST_BUSY, REFERENCE_INTERVAL, CpuClock, CudaClock, Reference, clock_for


@pytest.fixture
def ticking(monkeypatch):
    """A counter with given readings."""

    def give(*readings):
        left = iter(readings)
        monkeypatch.setattr(time, "perf_counter", lambda: next(left))

    return give


@pytest.fixture
def running(monkeypatch):
    """A thread that has run for the given seconds, reading by reading."""

    def give(*readings):
        left = iter(readings)
        monkeypatch.setattr(time, "thread_time", lambda: next(left))

    return give


def test_a_phase_lasts_from_the_mark_before_to_its_own(ticking):
    ticking(10.0, 10.5, 12.0, 12.25)
    clock = CpuClock()
    for phase in ("data", "forward", "backward"):
        clock.mark(phase)
    assert clock.seconds() == {"data": 0.5, "forward": 1.5, "backward": 0.25}


def test_phases_of_one_name_are_summed(ticking):
    ticking(0.0, 1.0, 3.0, 7.0, 15.0)
    clock = CpuClock()
    for phase in ("forward", "backward", "forward", "backward"):
        clock.mark(phase)
    assert clock.seconds() == {"forward": 5.0, "backward": 10.0}


def test_every_clock_begins_a_step_of_its_own(ticking):
    ticking(0.0, 5.0, 100.0, 101.0)
    CpuClock().mark("forward")
    clock = CpuClock()
    clock.mark("forward")
    assert clock.seconds() == {"forward": 1.0}


def test_a_step_without_marks_has_no_phases_and_nothing_to_disturb():
    clock = CpuClock()
    assert clock.seconds() == {}
    assert clock.undisturbed


@pytest.mark.parametrize(("ran", "undisturbed"), [(2.0, True), (1.95, True), (1.85, False), (0.0, False)])
def test_a_step_is_disturbed_when_its_thread_waited_for_more_than_a_twentieth(
    ticking, running, ran, undisturbed
):
    assert LEAST_BUSY == 0.95
    ticking(10.0, 11.0, 12.0)
    running(3.0, 3.0 + ran)
    clock = CpuClock()
    clock.mark("forward")
    clock.mark("backward")
    clock.stop()
    assert clock.undisturbed is undisturbed


def test_a_thread_that_sleeps_is_taken_for_disturbed():
    clock = CpuClock()
    time.sleep(0.02)
    clock.mark("asleep")
    clock.stop()
    assert not clock.undisturbed


def test_the_clock_follows_the_device(monkeypatch):
    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            """Nothing to wait for."""

    monkeypatch.setattr(torch.cuda, "Event", Event)
    assert isinstance(clock_for("cpu"), CpuClock)
    assert isinstance(clock_for("cuda"), CudaClock)


# The reference.


@pytest.fixture
def reference(monkeypatch):
    """A reference whose convolution takes two milliseconds on a counter that only it moves."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def convolve(self):
        now[0] += 0.002

    monkeypatch.setattr(Reference, "_convolve", convolve)
    made = Reference()
    made.now = now
    return made


def test_without_a_sample_the_reference_has_no_time(reference):
    assert reference.seconds is None
    assert reference.spent == 0


def test_the_reference_is_sampled_at_most_once_in_its_interval(reference):
    began = reference.now[0]
    for _ in range(1000):
        reference.sample()
        reference.now[0] += REFERENCE_INTERVAL / 8
    # Each sample is followed by eight calls of which the last comes when the interval is over.
    passed = reference.now[0] - began
    samples = round(reference.spent / 0.002)
    assert passed / (REFERENCE_INTERVAL + 0.002 + REFERENCE_INTERVAL / 8) <= samples
    assert samples <= passed / (REFERENCE_INTERVAL + 0.002) + 1
    assert reference.seconds == pytest.approx(0.002)


def test_the_first_call_samples_and_one_right_after_does_not(reference):
    reference.sample()
    spent = reference.spent
    assert spent == pytest.approx(0.002)
    reference.now[0] += REFERENCE_INTERVAL * 0.99
    reference.sample()
    assert reference.spent == spent
    reference.now[0] += REFERENCE_INTERVAL * 0.02
    reference.sample()
    assert reference.spent == pytest.approx(2 * spent)


def test_the_reference_is_the_median_of_its_samples(monkeypatch):
    durations = iter([0.0, 0.001, 0.5, 0.003])
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(Reference, "_convolve", lambda self: now.__setitem__(0, now[0] + next(durations)))
    made = Reference()
    for _ in range(3):
        made.sample()
        now[0] += 1.0
    assert made.seconds == pytest.approx(0.003)
    assert made.spent == pytest.approx(0.504)


def test_the_real_reference_takes_some_time_and_leaves_no_gradient():
    made = Reference()
    made.sample()
    assert 0 < made.seconds < 1
    assert torch.is_grad_enabled()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_clock_of_a_gpu_measures_the_device_and_not_the_launch():
    matrix = torch.randn(4096, 4096, device="cuda")
    for _ in range(3):
        matrix @ matrix
    torch.cuda.synchronize()
    clock = clock_for("cuda")
    for _ in range(10):
        matrix @ matrix
    clock.mark("one")
    for _ in range(30):
        matrix @ matrix
    clock.mark("three")
    seconds = clock.seconds()
    assert seconds["three"] / seconds["one"] == pytest.approx(3, rel=0.3)
    began = time.perf_counter()
    for _ in range(10):
        matrix @ matrix
    torch.cuda.synchronize()
    assert seconds["one"] == pytest.approx(time.perf_counter() - began, rel=0.5)
