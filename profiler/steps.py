"""Time of whole training steps and inference steps, phase by phase and layer by layer.

A workload builds itself, in a fresh process if need be, and does one step at a time. It calls `mark` at the
end of each phase. Figures are medians over repetitions after warm-up. Whole steps and steps that are timed
layer by layer alternate, so both see the same speed of the machine. Samples that were disturbed by other
programs are left out. On a CPU a reference convolution before, between and after the steps measures the speed
of the processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from advisor.cost.measurement import LayerTime
from profiler.clock import PhaseClock, Reference, clock_for
from profiler.layers import LayerTimer
from profiler.memory import reserved_bytes, watch_peak
from profiler.sensors import Sensors
from profiler.workload import Prepared, Workload

# Steps before the first sample. On CUDA they complete autotuning; on a CPU they fill the heap and choose
# kernels.
WARM_UP = {"cpu": 2, "cuda": 10}
# Share of the time for warming up short steps.
WARM_UP_SHARE = 0.2
LEAST_REPETITIONS = {"cpu": 3, "cuda": 30}
MOST_REPETITIONS = 200
# Share of the time for training steps, warming up included.
TRAINING_SHARE = 0.75
# Number of whole steps for each step that is timed by layers.
LAYERED_EVERY = 2
# Undisturbed steps timed by layers that are taken first, one after each whole step: a median of two is a
# mean.
LEAST_LAYERED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """Result of a measurement: medians in seconds, memory in bytes.

    The fields are those of `advisor.cost.measurement.Measurement`, and two more.

    Attributes:
        repetitions: number of whole training steps in the medians.
        disturbed: number of whole steps and passes that other programs disturbed. Medians leave them out
            where enough others remain, and disturbed steps timed by layers too.
    """

    fits: bool = True
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


def measure_step(workload: Workload, device: str, seconds: float) -> StepTimes:
    """Measure a workload.

    Args:
        workload: workload to measure.
        device: ``cpu`` or ``cuda``.
        seconds: time after which no further repetition starts, once the least number is done.

    Returns:
        Medians and interquartile range; `fits` is false if memory ran out.
    """
    # Before the watch, which would count the maps of the reference.
    reference = Reference() if device == "cpu" else None
    read_peak = watch_peak(device)
    began = time.perf_counter()
    try:
        prepared = workload.prepare()
        return _measured(prepared, device, began, seconds, reference, read_peak)
    except (RuntimeError, MemoryError) as error:
        # torch has a class for this error on CUDA; on a CPU only the text is specific.
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
            return StepTimes(fits=False, spent=time.perf_counter() - began)
        raise


def _measured(
    prepared: Prepared,
    device: str,
    began: float,
    seconds: float,
    reference: Reference | None,
    read_peak: Callable[[], int | None],
) -> StepTimes:
    timer = LayerTimer(prepared.module, device)
    _warm_up(prepared, device, began + WARM_UP_SHARE * seconds)
    sensors = Sensors(device)
    steps = _Samples(device, began + TRAINING_SHARE * seconds, reference)
    steps.take(lambda: _whole_step(prepared, device), lambda: timer.train(prepared), timer)
    conditions = sensors.read()
    peak, reserved = read_peak(), reserved_bytes(device)
    for _ in range(WARM_UP[device] // 2):
        prepared.inference_step()
    passes = _Samples(device, began + seconds, reference)
    passes.take(lambda: _whole_inference(prepared, device), lambda: timer.infer(prepared), timer)
    totals = steps.seconds()
    return StepTimes(
        forward=steps.median("forward"),
        backward=steps.median("backward"),
        optimizer=steps.median("optimizer"),
        step=float(np.median(totals)),
        step_iqr=float(np.subtract(*np.quantile(totals, [0.75, 0.25]))),
        inference=passes.median("inference"),
        layers=timer.times(steps.layered(), passes.layered()),
        reference=None if reference is None else reference.seconds,
        peak_bytes=peak,
        reserved_bytes=reserved,
        watts=conditions.watts,
        clock_mhz=conditions.clock_mhz,
        throttle=conditions.throttle,
        repetitions=len(totals),
        disturbed=steps.disturbed + passes.disturbed,
        spent=time.perf_counter() - began,
    )


def _warm_up(prepared: Prepared, device: str, until: float) -> None:
    done = 0
    while done < WARM_UP[device] or (done < MOST_REPETITIONS and time.perf_counter() < until):
        _whole_step(prepared, device)
        done += 1


class _Samples:
    """Repetitions of one kind of step until a deadline.

    Args:
        device: ``cpu`` or ``cuda``.
        deadline: time of `time.perf_counter` after which no repetition starts.
        reference: reference convolution to sample between steps; None on CUDA.
    """

    def __init__(self, device: str, deadline: float, reference: Reference | None) -> None:
        self._device, self._deadline, self._reference = device, deadline, reference
        self._whole: list[PhaseClock] = []
        self._layered: list[PhaseClock] = []

    @property
    def disturbed(self) -> int:
        """Number of disturbed whole steps."""
        return len(self._whole) - len(_undisturbed(self._whole))

    def take(
        self, whole: Callable[[], PhaseClock], layered: Callable[[], PhaseClock], timer: LayerTimer
    ) -> None:
        """Repeat a step, now and then timed by layers.

        Args:
            whole: function that does a whole step and returns its clock.
            layered: function that does a step timed by layers and returns its clock.
            timer: timer to attach for the latter.
        """
        self._sample_reference()
        while self._wants_more():
            self._whole.append(whole())
            self._sample_reference()
            wanted = max(LEAST_LAYERED, len(self._whole) / LAYERED_EVERY)
            if len(_undisturbed(self._layered)) < wanted:
                with timer.attached():
                    self._layered.append(layered())

    def _sample_reference(self) -> None:
        if self._reference is not None:
            self._reference.sample()

    def _wants_more(self) -> bool:
        least, tried = LEAST_REPETITIONS[self._device], len(self._whole)
        # On CUDA `least` steps are queued before one synchronisation.
        if self._device == "cuda" and tried % least:
            return True
        if self._device == "cuda":
            torch.cuda.synchronize()
        undisturbed = tried - self.disturbed
        if undisturbed < least and tried < 2 * least:
            return True
        return undisturbed < MOST_REPETITIONS and time.perf_counter() < self._deadline

    def _kept(self) -> list[PhaseClock]:
        return _kept(self._whole, LEAST_REPETITIONS[self._device])

    def layered(self) -> list[PhaseClock]:
        """Return the clocks of the steps timed by layers that count."""
        return _kept(self._layered, LEAST_LAYERED)

    def seconds(self) -> list[float]:
        """Return the seconds of every step that counts."""
        return [sum(clock.seconds().values()) for clock in self._kept()]

    def median(self, phase: str) -> float:
        """Return the median seconds of a phase."""
        return float(np.median([clock.seconds()[phase] for clock in self._kept()]))


def _undisturbed(clocks: list[PhaseClock]) -> list[PhaseClock]:
    return [clock for clock in clocks if clock.undisturbed]


def _kept(clocks: list[PhaseClock], least: int) -> list[PhaseClock]:
    """Return the undisturbed clocks, or all clocks if too few are undisturbed."""
    undisturbed = _undisturbed(clocks)
    return undisturbed if len(undisturbed) >= least else clocks


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
