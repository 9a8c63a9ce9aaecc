"""Time of whole training steps and inference steps, phase by phase.

The workload is handed in: it builds itself (in a fresh process, if need be) and does one step at a time,
telling a mark of the end of each phase. Medians are over repetitions after warm-up.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from profiler.clock import PhaseClock, clock_for
from profiler.memory import watch_peak

# CUDA needs to get past autotuning; on a CPU one step fills the caches of weights and allocator.
WARM_UP = {"cpu": 2, "cuda": 10}
LEAST_REPETITIONS = {"cpu": 3, "cuda": 30}
MOST_REPETITIONS = 50

Seconds = NDArray[np.float64]


class Mark(Protocol):
    """Told of the end of a phase."""

    def __call__(self, phase: str, /) -> None:
        """Note the time."""


class Prepared(Protocol):
    """A workload that is built and in place."""

    module: nn.Module

    @property
    def example(self) -> Tensor:
        """Prepared input of one batch."""

    def train_step(self, mark: Mark) -> None:
        """Do one training step; phases are data, forward, backward, optimizer."""

    def inference_step(self) -> Tensor:
        """Return the logits of one batch without gradients."""


class Workload(Protocol):
    """A step that is described and can build itself in any process."""

    def prepare(self) -> Prepared:
        """Build it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """Medians in seconds, and peak memory in bytes; `fits` is false when memory ran out."""

    fits: bool = True
    forward: float = 0.0
    backward: float = 0.0
    optimizer: float = 0.0
    step: float = 0.0
    step_iqr: float = 0.0
    inference: float = 0.0
    inference_iqr: float = 0.0
    peak_bytes: int | None = None
    repetitions: int = 0
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
    began = time.perf_counter()
    read_peak = watch_peak(device)
    try:
        prepared = workload.prepare()
        steps = _training_times(prepared, device, began + 0.8 * seconds)
        peak = read_peak()
        inference = _inference_times(prepared, device, began + seconds)
    except (RuntimeError, MemoryError) as error:
        # torch has a class for this error on CUDA, and on a CPU a text.
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
            return StepTimes(fits=False, spent=time.perf_counter() - began)
        raise
    totals = np.array([sum(step.values()) for step in steps])
    return StepTimes(
        forward=_median(steps, "forward"),
        backward=_median(steps, "backward"),
        optimizer=_median(steps, "optimizer"),
        step=float(np.median(totals)),
        step_iqr=_iqr(totals),
        inference=float(np.median(inference)),
        inference_iqr=_iqr(inference),
        peak_bytes=peak,
        repetitions=len(steps),
        spent=time.perf_counter() - began,
    )


def _training_times(prepared: Prepared, device: str, deadline: float) -> list[dict[str, float]]:
    clock = clock_for(device)
    for _ in range(WARM_UP[device]):
        _timed_step(prepared, clock)
    times: list[dict[str, float]] = []
    while _wants_more(len(times), device, deadline):
        times.append(_timed_step(prepared, clock))
    return times


def _timed_step(prepared: Prepared, clock: PhaseClock) -> dict[str, float]:
    clock.start()
    prepared.train_step(clock.mark)
    return clock.seconds()


def _inference_times(prepared: Prepared, device: str, deadline: float) -> Seconds:
    clock = clock_for(device)
    for _ in range(WARM_UP[device] // 2):
        prepared.inference_step()
    times: list[float] = []
    while _wants_more(len(times), device, deadline):
        clock.start()
        prepared.inference_step()
        clock.mark("inference")
        times.append(clock.seconds()["inference"])
    return np.array(times)


def _wants_more(done: int, device: str, deadline: float) -> bool:
    if done < LEAST_REPETITIONS[device]:
        return True
    return done < MOST_REPETITIONS and time.perf_counter() < deadline


def _median(steps: list[dict[str, float]], phase: str) -> float:
    return float(np.median([step[phase] for step in steps]))


def _iqr(times: Seconds) -> float:
    low, high = np.quantile(times, [0.25, 0.75])
    return float(high - low)
