"""Whole steps of a workload that sleeps for known times, and of the trainer's own."""

import time
from dataclasses import replace
from itertools import cycle

import pytest
import torch
from torch import nn

from profiler.steps import LEAST_REPETITIONS, MOST_REPETITIONS, WARM_UP, measure_step


class Sleeping:
    """Both a workload and what it builds; every phase sleeps for its seconds."""

    def __init__(self, data=0.002, forward=0.004, backward=0.008, optimizer=0.002, inference=0.006):
        self.phases = {"data": data, "forward": forward, "backward": backward, "optimizer": optimizer}
        self.inference = inference
        self.module = nn.Identity()
        self.example = torch.zeros(1)
        self.trained = self.inferred = 0

    def prepare(self):
        return self

    def train_step(self, mark):
        self.trained += 1
        for phase, seconds in self.phases.items():
            time.sleep(seconds)
            mark(phase)

    def inference_step(self):
        self.inferred += 1
        time.sleep(self.inference)
        return self.example


def test_the_medians_are_those_of_the_phases():
    workload = Sleeping()
    times = measure_step(workload, "cpu", 0.6)
    measured = (times.forward, times.backward, times.optimizer, times.step, times.inference)
    for seconds, slept in zip(measured, (0.004, 0.008, 0.002, 0.016, 0.006), strict=True):
        # A sleep lasts longer than asked for, and more so on a busy machine.
        assert slept <= seconds <= 1.5 * slept + 0.004
    assert times.fits


class Counted(Sleeping):
    """A workload on a clock of its own, whose steps cost what a list says."""

    def __init__(self, monkeypatch, costs, inference=1.0):
        super().__init__()
        self.now, self.costs, self.inference = 0.0, cycle(costs), inference
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def train_step(self, mark):
        self.trained += 1
        cost = next(self.costs)
        for phase, share in (("data", 0.0), ("forward", 0.25), ("backward", 0.5), ("optimizer", 0.25)):
            self.now += share * cost
            mark(phase)

    def inference_step(self):
        self.inferred += 1
        self.now += self.inference
        return self.example


def test_one_slow_step_moves_no_median_and_warm_up_does_not_count(monkeypatch):
    # Two steps to warm up, then ten.
    costs = [900, 900, 4, 4, 4, 400, 4, 4, 4, 4, 4, 4]
    workload = Counted(monkeypatch, costs)
    times = measure_step(workload, "cpu", (900 * 2 + 9 * 4 + 400) / 0.8)
    assert (times.forward, times.backward, times.optimizer, times.step) == (1, 2, 1, 4)
    assert times.step_iqr == 0
    assert times.repetitions == 10
    assert times.spent == workload.now


def test_the_spread_is_the_distance_of_the_quartiles(monkeypatch):
    workload = Counted(monkeypatch, [8, 8, 4, 8, 12, 16, 20])
    times = measure_step(workload, "cpu", (16 + 60) / 0.8)
    # Steps of 4, 8, 12, 16 and 20: the quartiles are 8 and 16.
    assert (times.step, times.step_iqr) == (12, 8)


def test_a_step_that_is_slower_than_the_time_given_is_still_repeated_a_little(monkeypatch):
    workload = Counted(monkeypatch, [100], inference=70)
    times = measure_step(workload, "cpu", 1)
    assert times.repetitions == LEAST_REPETITIONS["cpu"]
    assert workload.trained == WARM_UP["cpu"] + LEAST_REPETITIONS["cpu"]
    assert workload.inferred == WARM_UP["cpu"] // 2 + LEAST_REPETITIONS["cpu"]
    assert (times.step, times.inference) == (100, 70)


def test_no_repetition_begins_after_the_time_and_four_fifths_of_it_are_for_training(monkeypatch):
    workload = Counted(monkeypatch, [1], inference=1)
    times = measure_step(workload, "cpu", 30)
    # Training until 24, of which 2 steps warm up; inference until 30, of which 1 step warms up.
    assert times.repetitions == 22
    assert workload.inferred == 6
    assert workload.now == 30


def test_a_fast_step_is_not_repeated_for_ever(monkeypatch):
    workload = Counted(monkeypatch, [1e-3], inference=1e-3)
    times = measure_step(workload, "cpu", 1000)
    assert times.repetitions == MOST_REPETITIONS
    assert workload.inferred == WARM_UP["cpu"] // 2 + MOST_REPETITIONS


class Failing(Sleeping):
    def __init__(self, error, where):
        super().__init__(0, 0, 0, 0, 0)
        self.error, self.where = error, where

    def prepare(self):
        return self._raised("prepare")

    def train_step(self, mark):
        super().train_step(mark)
        if self.trained == 3:
            self._raised("train")

    def inference_step(self):
        return self._raised("infer")

    def _raised(self, where):
        if where == self.where:
            raise self.error
        return self


@pytest.mark.parametrize("where", ["prepare", "train", "infer"])
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 400 bytes"),
    ],
    ids=["cuda", "python", "cpu"],
)
def test_a_workload_that_runs_out_of_memory_anywhere_does_not_fit(error, where):
    times = measure_step(Failing(error, where), "cpu", 0.05)
    assert not times.fits
    assert times.spent > 0
    assert times.repetitions == 0


def test_a_real_allocation_that_cannot_be_had_does_not_fit():
    class Huge(Sleeping):
        def prepare(self):
            return torch.empty(2**55)

    assert not measure_step(Huge(), "cpu", 0.05).fits


def test_another_error_is_not_taken_for_want_of_memory():
    with pytest.raises(RuntimeError, match="broken"):
        measure_step(Failing(RuntimeError("broken"), "train"), "cpu", 0.05)


def test_the_trainers_own_step_is_measured(workload):
    times = measure_step(workload("resnet-8-4"), "cpu", 0.3)
    parts = (times.forward, times.backward, times.optimizer)
    assert times.fits
    assert min(*parts, times.inference) > 0
    assert times.step >= 0.8 * sum(parts)
    assert times.repetitions >= LEAST_REPETITIONS["cpu"]
    assert times.spent < 30


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_trainers_own_step_is_measured_on_a_gpu(workload, execution):
    times = measure_step(workload("resnet-8-16", execution=replace(execution, device="cuda")), "cuda", 1.0)
    assert times.fits
    assert min(times.forward, times.backward, times.optimizer, times.inference) > 0
    assert times.repetitions >= LEAST_REPETITIONS["cuda"]
    assert times.peak_bytes > 0
