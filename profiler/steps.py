"""Time of whole training steps and inference steps, phase by phase and layer by layer.

The workload is handed in: it builds itself (in a fresh process, if need be) and does one step at a time,
telling a mark of the end of each phase. Medians are over repetitions after warm-up, steps that are cut into
layers between those that are not, so that both see the same minute of the machine. Samples of either kind
that were taken under load are left out, and on a CPU a reference convolution before, between and after tells
how fast the processor ran.
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

# CUDA needs to get past autotuning; on a CPU the first steps fill the heap and choose kernels.
WARM_UP = {"cpu": 2, "cuda": 10}
# Short steps are warmed up for this share of the time.
WARM_UP_SHARE = 0.2
LEAST_REPETITIONS = {"cpu": 3, "cuda": 30}
MOST_REPETITIONS = 200
# Of the time of a measurement, the part for training steps.
TRAINING_SHARE = 0.75
# Every so many steps one is cut into layers,
LAYERED_EVERY = 2
# and after each of the first ones, until so many undisturbed ones are there: medians of two are means.
LEAST_LAYERED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """Medians in seconds, and peak memory in bytes; `fits` is false when memory ran out.

    The fields are those of `advisor.cost.measurement.Measurement`; `disturbed` counts whole steps
    taken under load, which the medians leave out as long as enough others are there, as they do steps cut
    into layers.
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
        workload: what to measure.
        device: ``cpu`` or ``cuda``.
        seconds: time after which no further repetition is begun, once the least number is done.

    Returns:
        Medians and interquartile ranges; `fits` false if memory ran out.
    """
    # Before the watch, which would count its maps.
    reference = Reference() if device == "cpu" else None
    read_peak = watch_peak(device)
    began = time.perf_counter()
    try:
        prepared = workload.prepare()
        return _measured(prepared, device, began, seconds, reference, read_peak)
    except (RuntimeError, MemoryError) as error:
        # torch has a class for this error on CUDA, and on a CPU a text.
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
    """Repetitions of one kind of step until the clock says stop."""

    def __init__(self, device: str, deadline: float, reference: Reference | None) -> None:
        self._device, self._deadline, self._reference = device, deadline, reference
        self._whole: list[PhaseClock] = []
        self._layered: list[PhaseClock] = []

    @property
    def disturbed(self) -> int:
        """Whole steps taken under load."""
        return len(self._whole) - len(_undisturbed(self._whole))

    def take(
        self, whole: Callable[[], PhaseClock], layered: Callable[[], PhaseClock], timer: LayerTimer
    ) -> None:
        """Repeat; every few steps one is cut into layers."""
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
        # On CUDA steps are queued, and waited for once every so many.
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
        """Return the steps cut into layers that count."""
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
    """Those that were not disturbed; where they are fewer than the least number, all."""
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
