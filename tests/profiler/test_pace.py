"""The pace of the processor, on counters whose readings are known beforehand."""

import time

import pytest
import torch

from profiler import pace
from profiler.clock import Reference
from profiler.pace import INTERVAL, Pace, pace_side_by_side, watch_pace


@pytest.fixture
def clock(monkeypatch):
    """A clock that a convolution moves by the given seconds, in turn."""

    class Clock:
        now = 0.0

        def takes(self, *seconds):
            left = iter(seconds)

            def convolve(reference):
                self.now += next(left)

            monkeypatch.setattr(Reference, "_convolve", convolve)

    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


def test_a_pace_is_a_mean_which_contains_the_time_of_other_programs(clock):
    # The first convolution chooses a kernel and does not count. Another program has the core for 1 s.
    clock.takes(9.0, 0.25, 1.25, 0.25, 0.25)
    assert Pace().measure(2.0) == 0.5


def test_one_convolution_is_timed_however_little_time_there_is(clock):
    clock.takes(9.0, 0.25)
    assert Pace().measure(0.0) == 0.25


def test_between_epochs_the_pace_is_measured_once_an_interval_and_not_at_once(clock):
    clock.takes(0.5, 1.0, 2.0)
    read = watch_pace("cpu")
    assert read() is None
    clock.now += INTERVAL
    assert read() == 1.0
    clock.now += INTERVAL - 0.5
    assert read() is None
    clock.now += 0.5
    assert read() == 2.0


def test_a_gpu_has_no_pace():
    assert watch_pace("cuda")() is None


def test_copies_measure_at_the_same_time_and_leave_torch_its_threads(monkeypatch):
    seen = []
    monkeypatch.setattr(Pace, "measure", lambda own, seconds: seen.append(torch.get_num_threads()) or 2.0)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert pace_side_by_side(3, 0.5) == 2.0
        assert (seen, torch.get_num_threads()) == ([1, 1, 1], 2)
    finally:
        torch.set_num_threads(before)


def test_a_system_without_a_load_has_none(monkeypatch):
    def refuse():
        raise OSError

    monkeypatch.setattr(pace.os, "getloadavg", refuse)
    assert pace.load() is None
