"""Clocks whose readings are known beforehand."""

import time

import pytest
import torch

from profiler.clock import CpuClock, CudaClock, clock_for


@pytest.fixture
def ticking(monkeypatch):
    """A counter that gives the readings it is told."""

    def tell(*readings):
        left = iter(readings)
        monkeypatch.setattr(time, "perf_counter", lambda: next(left))

    return tell


def test_a_phase_lasts_from_the_mark_before_to_its_own(ticking):
    ticking(10.0, 10.5, 12.0, 12.25)
    clock = CpuClock()
    clock.start()
    for phase in ("data", "forward", "backward"):
        clock.mark(phase)
    assert clock.seconds() == {"data": 0.5, "forward": 1.5, "backward": 0.25}


def test_phases_of_one_name_are_summed(ticking):
    ticking(0.0, 1.0, 3.0, 7.0, 15.0)
    clock = CpuClock()
    clock.start()
    for phase in ("forward", "backward", "forward", "backward"):
        clock.mark(phase)
    assert clock.seconds() == {"forward": 5.0, "backward": 10.0}


def test_every_start_begins_a_new_step(ticking):
    ticking(0.0, 5.0, 100.0, 101.0)
    clock = CpuClock()
    clock.start()
    clock.mark("forward")
    clock.start()
    clock.mark("forward")
    assert clock.seconds() == {"forward": 1.0}


def test_a_step_without_marks_has_no_phases():
    clock = CpuClock()
    assert clock.seconds() == {}
    clock.start()
    assert clock.seconds() == {}


def test_the_clock_follows_the_device():
    assert isinstance(clock_for("cpu"), CpuClock)
    assert isinstance(clock_for("cuda"), CudaClock)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_clock_of_a_gpu_measures_the_device_and_not_the_launch():
    matrix = torch.randn(4096, 4096, device="cuda")
    for _ in range(3):
        matrix @ matrix
    torch.cuda.synchronize()
    clock = clock_for("cuda")
    clock.start()
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
