"""Time of whole training steps and inference steps, phase by phase and layer by layer.

A workload builds itself, in a fresh process if need be, and does one step at a time. It calls `mark` at the
end of each phase. Figures are medians over repetitions after warm-up. Whole steps and steps that are timed
layer by layer alternate, so both see the same speed of the machine. Samples that were disturbed by other
programs are left out. Where the first step shows that the usual repetitions would take too long, there are
fewer (`profiler.repetitions`). On a CPU a reference convolution before, between and after the steps measures
the speed of the processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from advisor.cost.measurement import LayerTime
from advisor.errors import StepModeError
from profiler.clock import PhaseClock, Reference, clock_for
from profiler.layers import LayerTimer
from profiler.memory import reserved_bytes, watch_peak
from profiler.repetitions import Repetitions, fewer, fitting
from profiler.samples import MOST_REPETITIONS, Samples, total
from profiler.sensors import Sensors
from profiler.workload import Prepared, Workload

# Steps before the first sample. On CUDA they complete autotuning; on a CPU they fill the heap and choose
# kernels.
WARM_UP = {"cpu": 2, "cuda": 10}
# Steps after which a step is taken for a usual one; those before take longer.
TYPICAL_AFTER = {"cpu": 1, "cuda": 10}
# Seconds of a step that is not possible in its mode.
NEVER_SECONDS = 3600.0
# Share of the longest time in which a measurement is planned to end: other programs may slow it down later.
# Only the least repetitions may take all of it.
PLANNED_SHARE = 0.5
# Share of the time for warming up short steps.
WARM_UP_SHARE = 0.2
LEAST_REPETITIONS = {"cpu": 3, "cuda": 30}
# Share of the time for training steps, warming up included.
TRAINING_SHARE = 0.75
# Undisturbed steps timed by layers that are taken first, one after each whole step: a median of two is a
# mean.
LEAST_LAYERED = 3
# Devices that wait for Python while it cuts a step into layers: on an H200 the layers of a ResNet added up to
# 1.4 times its forward and backward pass.
COSTLY_CUTS = frozenset({"cuda"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """Result of a measurement: medians in seconds, memory in bytes.

    The fields are those of `advisor.cost.measurement.Measurement`, and four more.

    Attributes:
        given_up: whether the measurement ended after its first steps, because it would have taken too long.
            `step` is the time of such a step then, and all other times are 0.
        refusal: why the step is not possible in its mode; empty if it is. It is given up then.
        repetitions: number of whole training steps in the medians.
        disturbed: number of whole steps and passes that other programs disturbed. Medians leave them out
            where enough others remain, and disturbed steps timed by layers too.
    """

    fits: bool = True
    given_up: bool = False
    refusal: str = ""
    forward: float = 0.0
    backward: float = 0.0
    optimizer: float = 0.0
    step: float = 0.0
    step_iqr: float = 0.0
    inference: float = 0.0
    layers: tuple[LayerTime, ...] = ()
    reference: float | None = None
    peak_bytes: int | None = None
    reserved_bytes: int | None = None
    watts: float | None = None
    clock_mhz: int | None = None
    throttle: str = ""
    repetitions: int = 0
    disturbed: int = 0
    spent: float = 0.0


def measure_step(workload: Workload, device: str, seconds: float, longest: float = float("inf")) -> StepTimes:
    """Measure a workload.

    Args:
        workload: workload to measure.
        device: ``cpu`` or ``cuda``.
        seconds: time after which no further repetition starts, once the least number is done.
        longest: seconds in which the measurement has to end; the least number is lowered for it.

    Returns:
        Medians and interquartile range; `fits` is false if memory ran out, `refusal` tells if the mode of the
        step is not possible.
    """
    # Before the watch, which would count the maps of the reference.
    reference = Reference() if device == "cpu" else None
    read_peak = watch_peak(device)
    began = time.perf_counter()
    try:
        prepared = workload.prepare()
        # Compiling takes longer than most measurements, and would leave them no time.
        built = 0.0 if prepared.eager else time.perf_counter() - began
        return _measured(prepared, device, _Times(began, seconds, longest, built), reference, read_peak)
    except StepModeError as error:
        # Measured again, it would be refused again: as if it took too long.
        spent = time.perf_counter() - began
        return StepTimes(given_up=True, refusal=str(error), step=min(longest, NEVER_SECONDS), spent=spent)
    except (RuntimeError, MemoryError) as error:
        # torch has a class for this error on CUDA; on a CPU only the text is specific.
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
            return StepTimes(fits=False, spent=time.perf_counter() - began)
        raise


@dataclass(frozen=True, slots=True)
class _Times:
    """When a measurement began, and how long it and the building of its mode may take or took, in seconds."""

    began: float
    seconds: float
    longest: float
    built: float

    def after(self, share: float) -> float:
        """Return the moment at which a share of the time is over, which begins when the mode is built."""
        return self.began + self.built + share * self.seconds

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.began


def _measured(
    prepared: Prepared,
    device: str,
    times: _Times,
    reference: Reference | None,
    read_peak: Callable[[], int | None],
) -> StepTimes:
    timer = LayerTimer(prepared.module, device)
    first = [_whole_step(prepared, device) for _ in range(TYPICAL_AFTER[device])][-1]
    repetitions = _repetitions(device, total(first), times)
    if repetitions is None:
        return StepTimes(given_up=True, step=total(first), spent=times.spent)
    _warm_up(prepared, device, repetitions, times.after(WARM_UP_SHARE))
    sensors = Sensors(device)
    steps = Samples(device, times.after(TRAINING_SHARE), reference, repetitions)
    if repetitions.whole:
        steps.take(lambda: _whole_step(prepared, device), lambda: timer.train(prepared), timer)
    else:
        steps.add(first)
    conditions = sensors.read()
    peak, reserved = read_peak(), reserved_bytes(device)
    for _ in range(repetitions.warm_up_passes):
        prepared.inference_step()
    passes = Samples(device, times.after(1.0), reference, repetitions)
    passes.take(lambda: _whole_inference(prepared, device), lambda: timer.infer(prepared), timer)
    totals = steps.seconds()
    return StepTimes(
        forward=steps.median("forward"),
        backward=steps.median("backward"),
        optimizer=steps.median("optimizer"),
        step=float(np.median(totals)),
        step_iqr=float(np.subtract(*np.quantile(totals, [0.75, 0.25]))),
        inference=passes.median("inference"),
        layers=_layers(timer, steps, passes, device, eager=prepared.eager) if repetitions.layered else (),
        reference=None if reference is None else reference.seconds,
        # A first step has no gradients and no momentum of a step before.
        peak_bytes=peak if repetitions.whole else None,
        reserved_bytes=reserved,
        watts=conditions.watts,
        clock_mhz=conditions.clock_mhz,
        throttle=conditions.throttle,
        repetitions=len(totals),
        disturbed=steps.disturbed + passes.disturbed,
        spent=times.spent,
    )


def _layers(
    timer: LayerTimer, steps: Samples, passes: Samples, device: str, *, eager: bool
) -> tuple[LayerTime, ...]:
    """Return the times of the layers, which add up to those of whole steps and passes.

    Layers can be timed in eager steps only. Those of another mode get the same shares of a faster step.
    """
    layers = timer.times(steps.layered(), passes.layered())
    training = inference = 1.0
    if device in COSTLY_CUTS or not eager:
        whole = steps.median("forward") + steps.median("backward")
        training = whole / (sum(layer.forward_seconds + layer.backward_seconds for layer in layers) or whole)
    if device in COSTLY_CUTS:
        whole = passes.median("inference")
        inference = whole / (sum(layer.inference_seconds for layer in layers) or whole)
    return tuple(
        replace(
            layer,
            forward_seconds=training * layer.forward_seconds,
            backward_seconds=training * layer.backward_seconds,
            inference_seconds=inference * layer.inference_seconds,
        )
        for layer in layers
    )


def _repetitions(device: str, step: float, times: _Times) -> Repetitions | None:
    """Return the repetitions that fit, given the seconds of a step; None if too few do."""
    usual = Repetitions(
        warm_up=WARM_UP[device],
        warm_up_passes=WARM_UP[device] // 2,
        whole=LEAST_REPETITIONS[device],
        layered=LEAST_LAYERED,
        usual=True,
    )
    done, spent = TYPICAL_AFTER[device], times.spent
    planned = fitting(usual, done, step, PLANNED_SHARE * times.longest - spent)
    return planned or fitting(fewer(0, 0), done, step, times.longest - spent)


def _warm_up(prepared: Prepared, device: str, repetitions: Repetitions, until: float) -> None:
    done = TYPICAL_AFTER[device]
    while done < repetitions.warm_up or (done < MOST_REPETITIONS and time.perf_counter() < until):
        _whole_step(prepared, device)
        done += 1


def _whole_step(prepared: Prepared, device: str) -> PhaseClock:
    clock = clock_for(device)
    prepared.train_step(clock.mark)
    clock.stop()
    return clock


def _whole_inference(prepared: Prepared, device: str) -> PhaseClock:
    clock = clock_for(device)
    prepared.inference_step()
    clock.mark("inference")
    clock.stop()
    return clock
