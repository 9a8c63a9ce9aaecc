"""Clocks for the phases of a step, and a reference for the present speed of the processor.

A CPU's clock reads the processor's counter. It also reads how long the thread really ran: a step that shared
its core with another process is a disturbed sample.

A CUDA clock records events on the stream and waits for the device only when it is read. So many steps can be
queued before one synchronisation.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Protocol

import numpy as np
import torch

# Least share of a step's time that the thread must have run; below it the step counts as disturbed.
LEAST_BUSY = 0.95

# Seconds between two samples of the reference convolution, which itself takes a tenth of that.
REFERENCE_INTERVAL = 0.02


class PhaseClock(Protocol):
    """Measures the phases of one step."""

    def mark(self, phase: Hashable) -> None:
        """End a phase, which began at the mark before or when the clock was made.

        Args:
            phase: name of the phase.
        """

    def stop(self) -> None:
        """End the step, right after its last mark."""

    def seconds(self) -> dict[Hashable, float]:
        """Return the seconds of every phase; phases of one name are added up."""

    @property
    def undisturbed(self) -> bool:
        """Whether the step had its processor to itself, as far as the clock can know."""


class CpuClock:
    """Reads `time.perf_counter` at every mark, and the slower thread time at both ends only."""

    def __init__(self) -> None:
        self._ran_since = self._ran_until = time.thread_time()
        self._marks: list[tuple[Hashable, float]] = [("", time.perf_counter())]

    def mark(self, phase: Hashable) -> None:
        """End a phase."""
        self._marks.append((phase, time.perf_counter()))

    def stop(self) -> None:
        """End the step."""
        self._ran_until = time.thread_time()

    def seconds(self) -> dict[Hashable, float]:
        """Return the seconds of every phase."""
        return _summed([(b[0], b[1] - a[1]) for a, b in zip(self._marks, self._marks[1:], strict=False)])

    @property
    def undisturbed(self) -> bool:
        """Whether the thread ran nearly all the time."""
        passed = self._marks[-1][1] - self._marks[0][1]
        return self._ran_until - self._ran_since >= LEAST_BUSY * passed


class CudaClock:
    """Records an event at every mark and synchronises when it is read."""

    undisturbed = True

    def __init__(self) -> None:
        self._marks: list[tuple[Hashable, torch.cuda.Event]] = []
        self.mark("")

    def mark(self, phase: Hashable) -> None:
        """End a phase."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._marks.append((phase, event))

    def stop(self) -> None:
        """Do nothing: a GPU does not report whether it was shared."""

    def seconds(self) -> dict[Hashable, float]:
        """Return the seconds of every phase."""
        self._marks[-1][1].synchronize()
        pairs = zip(self._marks, self._marks[1:], strict=False)
        return _summed([(b[0], a[1].elapsed_time(b[1]) / 1000) for a, b in pairs])


def clock_for(device: str) -> PhaseClock:
    """Return a running clock of a device, ``cpu`` or ``cuda``."""
    return CudaClock() if device == "cuda" else CpuClock()


class Reference:
    """A fixed convolution that is timed repeatedly during a measurement.

    Other programs on a shared machine slow everything down for seconds at a time, the reference too. Its maps
    (16 channels of 28×28 for 4 × 16 images, 6 MiB) are too large for a core's own cache, as those of a
    training step are. So it slows down as a step does.

    Attributes:
        spent: seconds that all samples took.
    """

    def __init__(self) -> None:
        shape, layout = (16, 16, 28, 28), torch.channels_last
        self._images = [torch.ones(shape).contiguous(memory_format=layout) for _ in range(4)]
        self._weights = torch.ones(16, 16, 3, 3).contiguous(memory_format=layout)
        self._samples: list[float] = []
        self._last = float("-inf")
        self.spent = 0.0
        # The first call chooses a kernel.
        self._convolve()

    def sample(self) -> None:
        """Time the convolution, unless the last sample is less than `REFERENCE_INTERVAL` ago."""
        began = time.perf_counter()
        if began - self._last < REFERENCE_INTERVAL:
            return
        self._convolve()
        self._last = time.perf_counter()
        self._samples.append(self._last - began)
        self.spent += self._last - began

    def once(self) -> float:
        """Return the seconds of one convolution now; it is not a sample."""
        began = time.perf_counter()
        self._convolve()
        return time.perf_counter() - began

    @property
    def seconds(self) -> float | None:
        """Median seconds of the samples; None if there are none."""
        return float(np.median(self._samples)) if self._samples else None

    def _convolve(self) -> None:
        with torch.inference_mode():
            for images in self._images:
                torch.relu(torch.nn.functional.conv2d(images, self._weights, padding=1))


def _summed(parts: list[tuple[Hashable, float]]) -> dict[Hashable, float]:
    sums: dict[Hashable, float] = {}
    for phase, seconds in parts:
        sums[phase] = sums.get(phase, 0.0) + seconds
    return sums
