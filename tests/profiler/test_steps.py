"""Whole steps of a workload that sleeps for known times, of one on its own clock, and of the trainer's."""

import math
import time
from dataclasses import replace
from itertools import chain, cycle, repeat

import pytest
import torch
from torch import nn

from advisor.errors import StepModeError
from profiler import samples, steps
from profiler.clock import REFERENCE_INTERVAL, Reference
from profiler.layers import LayerTimer
from profiler.steps import (
    LEAST_LAYERED,
    LEAST_REPETITIONS,
    MOST_REPETITIONS,
    TRAINING_SHARE,
    WARM_UP,
    WARM_UP_SHARE,
    measure_step,
)


class Sleeping:
    """Both a workload and what it builds; every phase sleeps for its seconds."""

    eager = True

    def __init__(self, data=0.002, forward=0.004, backward=0.008, optimizer=0.002, inference=0.006):
        self.phases = {"data": data, "forward": forward, "backward": backward, "optimizer": optimizer}
        self.inference = inference
        self.module = nn.Identity()
        self.example = torch.zeros(1)
        self.trained = self.inferred = 0

    def prepare(self):
        return self

    def eager_step(self, mark):
        self.train_step(mark)

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
    times = measure_step(workload, "cpu", 0.8)
    measured = (times.forward, times.backward, times.optimizer, times.step, times.inference)
    for seconds, slept in zip(measured, (0.004, 0.008, 0.002, 0.016, 0.006), strict=True):
        # A sleep lasts longer than asked for, and more so on a busy machine.
        assert slept <= seconds <= 1.5 * slept + 0.004
    assert times.fits


class Counted(Sleeping):
    """A workload on a clock of its own.

    Args:
        costs: seconds of every training step.
        busy: share of every training step in which the thread runs.
        inference: seconds of a forward pass.
        busy_inference: share of a forward pass in which the thread runs.
    """

    def __init__(self, monkeypatch, costs, busy=(1.0,), inference=1.0, busy_inference=1.0):
        super().__init__()
        self.now = self.ran = 0.0
        self.costs, self.busy = cycle(costs), chain(busy, repeat(busy[-1]))
        self.inference, self.busy_inference = inference, busy_inference
        self.layered = 0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "thread_time", lambda: self.ran)

    def train_step(self, mark):
        self.trained += 1
        self.layered += isinstance(getattr(mark, "__self__", None), LayerTimer)
        cost, busy = next(self.costs), next(self.busy)
        for phase, share in (("data", 0.0), ("forward", 0.25), ("backward", 0.5), ("optimizer", 0.25)):
            self.now += share * cost
            self.ran += share * cost * busy
            mark(phase)

    def inference_step(self):
        self.inferred += 1
        self.now += self.inference
        self.ran += self.inference * self.busy_inference
        return self.example


@pytest.fixture
def whole(monkeypatch):
    """Steps are never cut into layers."""
    monkeypatch.setattr(steps, "LEAST_LAYERED", 0)
    monkeypatch.setattr(samples, "LAYERED_EVERY", math.inf)


def training_until(now):
    """Time for a measurement whose training ends with the step that is under way at `now`."""
    return (now - 0.5) / TRAINING_SHARE


@pytest.mark.usefixtures("whole")
def test_one_slow_step_moves_no_median_and_warm_up_does_not_count(monkeypatch):
    # Two steps to warm up, then ten.
    costs = [900, 900, 4, 4, 4, 400, 4, 4, 4, 4, 4, 4]
    workload = Counted(monkeypatch, costs)
    times = measure_step(workload, "cpu", training_until(900 * 2 + 9 * 4 + 400))
    assert (times.forward, times.backward, times.optimizer, times.step) == (1, 2, 1, 4)
    assert times.step_iqr == 0
    assert times.repetitions == 10
    assert times.disturbed == 0
    assert times.spent == workload.now


@pytest.mark.usefixtures("whole")
def test_the_iqr_is_the_distance_of_the_quartiles(monkeypatch):
    workload = Counted(monkeypatch, [40, 40, 4, 8, 12, 16, 20])
    times = measure_step(workload, "cpu", training_until(80 + 60))
    # Steps of 4, 8, 12, 16 and 20: the quartiles are 8 and 16.
    assert (times.step, times.step_iqr) == (12, 8)


def test_a_step_that_is_slower_than_the_time_given_is_still_repeated_a_little(monkeypatch):
    workload = Counted(monkeypatch, [100], inference=70)
    times = measure_step(workload, "cpu", 1)
    least = LEAST_REPETITIONS["cpu"]
    assert times.repetitions == least == 3
    # Each is followed by one that is cut into layers.
    assert workload.layered == LEAST_LAYERED == 3
    assert workload.trained == WARM_UP["cpu"] + 2 * least
    assert workload.inferred == WARM_UP["cpu"] // 2 + 2 * least
    assert (times.step, times.inference) == (100, 70)


@pytest.mark.usefixtures("whole")
def test_a_fifth_of_the_time_warms_up_and_three_quarters_are_over_when_training_is(monkeypatch):
    workload = Counted(monkeypatch, [1], inference=1)
    times = measure_step(workload, "cpu", 40)
    assert (WARM_UP_SHARE, TRAINING_SHARE) == (0.2, 0.75)
    # Warm-up until 8, training until 30; inference until 40, of which 1 step warms up.
    assert times.repetitions == 22
    assert workload.trained == 30
    assert workload.inferred == 10
    assert workload.now == 40


def test_every_second_step_is_followed_by_one_in_layers(monkeypatch):
    workload = Counted(monkeypatch, [1], inference=1)
    times = measure_step(workload, "cpu", 40)
    # In the 22 seconds for training: one follows each of the first three whole ones, which serves for the
    # first six, and from the seventh on every other.
    assert (times.repetitions, workload.layered) == (15, 3 + 5)


@pytest.mark.usefixtures("whole")
def test_a_fast_step_is_not_repeated_for_ever(monkeypatch):
    workload = Counted(monkeypatch, [1e-3], inference=1e-3)
    times = measure_step(workload, "cpu", 1000)
    assert times.repetitions == MOST_REPETITIONS
    assert workload.trained == 2 * MOST_REPETITIONS
    assert workload.inferred == WARM_UP["cpu"] // 2 + MOST_REPETITIONS


# Too slow for the time.


@pytest.mark.parametrize(
    ("longest", "whole", "layered", "trained", "inferred"),
    [
        # Of a step of 10 s two warm up, three and three are taken, and seven passes of a third; in half of
        # the time, if possible.
        (210, 3, 3, 8, 7),
        (180, 2, 2, 5, 4),
        (80, 1, 1, 3, 2),
        (50, 1, 0, 2, 1),
        (30, 1, 0, 1, 1),
        (15, 1, 0, 1, 1),
    ],
)
def test_a_slow_step_is_repeated_as_often_as_the_time_allows(
    monkeypatch, longest, whole, layered, trained, inferred
):
    workload = Counted(monkeypatch, [10], inference=10 / 3)
    times = measure_step(workload, "cpu", 1, longest)
    assert workload.now <= longest
    assert (times.repetitions, workload.layered) == (whole, layered)
    assert (workload.trained, workload.inferred) == (trained, inferred)
    assert (times.forward, times.backward, times.step) == (2.5, 5, 10)
    assert times.inference == pytest.approx(10 / 3)
    assert bool(times.layers) == bool(layered)
    assert not times.given_up


def test_a_step_that_leaves_no_time_for_a_forward_pass_is_given_up_at_once(monkeypatch):
    workload = Counted(monkeypatch, [10], inference=10 / 3)
    times = measure_step(workload, "cpu", 1, 13)
    assert times.given_up
    assert (times.step, times.spent, times.repetitions) == (10, 10, 0)
    assert workload.trained == 1


# Under load.


@pytest.mark.usefixtures("whole")
def test_a_step_under_load_is_left_out(monkeypatch):
    # Two steps to warm up, then six of which two had to share their core.
    workload = Counted(monkeypatch, [40, 40, 4, 40, 4, 4, 40, 4], [1, 1, 1, 0.5, 1, 1, 0.1, 1])
    times = measure_step(workload, "cpu", training_until(80 + 4 * 4 + 80))
    assert (times.repetitions, times.disturbed) == (4, 2)
    assert (times.forward, times.backward, times.optimizer, times.step) == (1, 2, 1, 4)
    assert times.step_iqr == 0


@pytest.mark.usefixtures("whole")
def test_where_all_steps_are_under_load_all_count(monkeypatch):
    workload = Counted(monkeypatch, [4, 4, 4, 8, 12, 16, 20, 4, 8], [0.5], busy_inference=0.5)
    times = measure_step(workload, "cpu", 1)
    # Twice the least number are tried for the sake of undisturbed ones, of training and of inference.
    assert (times.repetitions, times.disturbed) == (6, 12)
    assert times.step == 10
    assert times.inference == 1


@pytest.mark.usefixtures("whole")
def test_where_fewer_than_the_least_number_are_undisturbed_all_count(monkeypatch):
    workload = Counted(monkeypatch, [4, 4, 4, 4, 40, 40, 40, 40], [1, 1, 1, 1, 0.5])
    times = measure_step(workload, "cpu", 1)
    assert (times.repetitions, times.disturbed) == (6, 4)
    assert times.step == 40


@pytest.mark.usefixtures("whole")
def test_after_a_step_under_load_one_more_is_taken_until_the_least_number_is_there(monkeypatch):
    workload = Counted(monkeypatch, [4, 4, 40, 4, 4, 4, 4], [1, 1, 0.5, 1])
    times = measure_step(workload, "cpu", 1)
    assert (times.repetitions, times.disturbed, times.step) == (3, 1, 4)


class Called(nn.Module):
    """A layer that runs a given function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, passes):
        return self.function(passes)


class Layered(Counted):
    """A counted workload whose one layer takes known seconds in known shares of which the thread runs.

    Args:
        layers: (seconds, share) of the layer in one training step after another, the last for ever.
        inferences: the same in inference steps.
    """

    def __init__(self, monkeypatch, layers, inferences):
        super().__init__(monkeypatch, [1.0])
        self.layers = chain(layers, repeat(layers[-1]))
        self.inferences = chain(inferences, repeat(inferences[-1]))
        self.module = Called(self.take)

    def take(self, passes):
        seconds, share = next(passes)
        self.now += seconds
        self.ran += share * seconds
        return self.example

    def train_step(self, mark):
        self.trained += 1
        # Only steps that are timed by layers use up the given times.
        cut = isinstance(getattr(mark, "__self__", None), LayerTimer)
        self.layered += cut
        mark("data")
        self.module(self.layers if cut else repeat((1.0, 1.0)))
        for phase in ("forward", "backward", "optimizer"):
            mark(phase)

    def inference_step(self):
        self.inferred += 1
        cut = "forward" in vars(self.module)
        self.module(self.inferences if cut else repeat((1.0, 1.0)))
        return self.example


QUIET, BUSY = (2.0, 1.0), (50.0, 0.5)


def layer_of(times):
    return times.layers[0].forward_seconds, times.layers[0].inference_seconds


def test_a_step_in_layers_under_load_is_left_out_and_made_up_for(monkeypatch):
    # Four of eight training steps and four of seven inference steps: all medians were longer.
    workload = Layered(monkeypatch, [(10.0, 0.5)] * 4 + [QUIET], [(3.0, 0.5)] * 4 + [QUIET])
    times = measure_step(workload, "cpu", 100)
    assert workload.layered == 4 + 4
    assert layer_of(times) == (2.0, 2.0)
    # Those of whole steps alone are counted.
    assert times.disturbed == 0


def test_where_all_steps_in_layers_are_under_load_all_count(monkeypatch):
    slower = (70.0, 0.5)
    workload = Layered(monkeypatch, [slower, slower, BUSY], [slower, slower, slower, BUSY, BUSY])
    times = measure_step(workload, "cpu", 1)
    # No more than whole ones, of which there are three: those of 70, 70 and 50 seconds.
    assert workload.layered == LEAST_REPETITIONS["cpu"] == 3
    assert layer_of(times) == (70.0, 70.0)


def test_where_fewer_steps_in_layers_than_the_least_number_are_undisturbed_all_count(monkeypatch):
    workload = Layered(monkeypatch, [QUIET, BUSY, BUSY], [QUIET, QUIET, BUSY])
    times = measure_step(workload, "cpu", 1)
    assert layer_of(times) == (50.0, 2.0)


# The reference.


@pytest.mark.usefixtures("whole")
def test_the_reference_is_sampled_between_steps_and_is_no_part_of_them(monkeypatch):
    # Steps that take less than the reference's interval.
    step = REFERENCE_INTERVAL / 4
    workload = Counted(monkeypatch, [step], inference=step)

    def convolve(self):
        workload.now += 0.002

    monkeypatch.setattr(Reference, "_convolve", convolve)
    sampled = []
    original = Reference.sample

    def sample(self):
        before = self.spent
        original(self)
        if self.spent > before:
            sampled.append(workload.now)

    monkeypatch.setattr(Reference, "sample", sample)
    times = measure_step(workload, "cpu", 1.0)
    assert times.reference == pytest.approx(0.002)
    assert times.step == pytest.approx(step)
    assert times.inference == pytest.approx(step)
    gaps = [later - earlier for earlier, later in zip(sampled, sampled[1:], strict=False)]
    assert min(gaps) >= REFERENCE_INTERVAL
    # From the first training step to the last forward pass, without a hole longer than a few steps.
    assert sampled[0] <= 0.2 + 2 * step + 0.004
    assert sampled[-1] >= 1.0 - REFERENCE_INTERVAL - step
    assert max(gaps) <= REFERENCE_INTERVAL + 3 * step


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
    assert times.layers == ()


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
    assert min(*parts, times.inference, times.reference) > 0
    assert times.step >= 0.8 * sum(parts)
    assert times.repetitions >= LEAST_REPETITIONS["cpu"]
    assert times.reserved_bytes is None
    assert times.spent < 30


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_trainers_own_step_is_measured_on_a_gpu(workload, execution):
    times = measure_step(workload("resnet-8-16", execution=replace(execution, device="cuda")), "cuda", 1.0)
    assert times.fits
    assert min(times.forward, times.backward, times.optimizer, times.inference) > 0
    assert times.repetitions >= LEAST_REPETITIONS["cuda"]
    assert times.peak_bytes > 0
    assert times.reserved_bytes >= times.peak_bytes
    assert times.reference is None
    assert all(layer.forward_seconds > 0 for layer in times.layers)


class Impossible(Sleeping):
    """A workload whose mode of steps fails on this machine."""

    def prepare(self):
        raise StepModeError("no graph here")


def test_a_mode_that_is_not_possible_is_given_up_with_its_reason():
    times = measure_step(Impossible(), "cpu", 0.1, longest=30.0)
    assert (times.given_up, times.refusal, times.step) == (True, "no graph here", 30.0)


class Faster(Sleeping):
    """Whole steps take half the time of eager ones, by whose layers they are timed."""

    eager = False

    def __init__(self):
        super().__init__(forward=0.004, backward=0.008)
        self.module = nn.Sequential(nn.Identity())

    def eager_step(self, mark):
        mark("data")
        self.module(self.example)
        for phase, seconds in (("forward", 0.01), ("backward", 0.02), ("optimizer", 0.001)):
            time.sleep(seconds)
            mark(phase)


def test_layers_of_another_mode_have_their_shares_of_its_faster_steps():
    times = measure_step(Faster(), "cpu", 0.8)
    in_layers = sum(layer.forward_seconds + layer.backward_seconds for layer in times.layers)
    assert in_layers == pytest.approx(times.forward + times.backward)
    assert in_layers < 0.025


class SlowCuts(LayerTimer):
    """Cuts that take most of a step, as on a GPU that waits for Python."""

    def train(self, prepared):
        clock = super().train(prepared)
        clock._marks = [(name, 3 * moment) for name, moment in clock._marks]
        return clock


def test_cuts_that_take_time_on_a_gpu_are_not_time_of_its_layers(monkeypatch, workload):
    monkeypatch.setattr(steps, "LayerTimer", SlowCuts)
    monkeypatch.setattr(steps, "COSTLY_CUTS", {"cpu"})
    times = measure_step(workload("resnet-8-4"), "cpu", 0.3)
    in_layers = sum(layer.forward_seconds + layer.backward_seconds for layer in times.layers)
    assert in_layers == pytest.approx(times.forward + times.backward)
    assert sum(layer.inference_seconds for layer in times.layers) == pytest.approx(times.inference)


class SlowlyBuilt(Faster):
    """Building its mode takes longer than the measurement."""

    def prepare(self):
        time.sleep(0.5)
        return self


def test_building_a_mode_takes_no_time_from_its_measurement():
    times = measure_step(SlowlyBuilt(), "cpu", 0.3)
    assert times.spent >= 0.5 + 0.2
    assert times.repetitions > LEAST_REPETITIONS["cpu"]
