"""Clocks for the phases of a step, and the reference that tells how fast the processor runs at the moment.

A CPU's clock reads the processor's counter; a CUDA clock records events on the stream and waits for the
device only when it is read, so that many steps can be queued before one synchronisation. A CPU's clock also
knows how much of its time the thread really ran: a step that had to share its core is a sample taken under
load, not a property of the network.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Protocol

import numpy as np
import torch

# A step that had its core for less than this share of the time was disturbed.
LEAST_BUSY = 0.95

# Seconds between two samples of the reference convolution, which takes a tenth of that.
REFERENCE_INTERVAL = 0.02


class PhaseClock(Protocol):
    """Measures the time between marks of one step."""

    def mark(self, phase: Hashable) -> None:
        """End a phase; the time since the mark before, or since the clock was made, belongs to it."""

    def stop(self) -> None:
        """End the step, right after its last mark."""

    def seconds(self) -> dict[Hashable, float]:
        """Return the seconds of every phase, summed by name."""

    @property
    def undisturbed(self) -> bool:
        """Whether the step that was stopped had its processor to itself, as far as can be told."""


class CpuClock:
    """Reads `time.perf_counter` at every mark, and at both ends the thread's time, which takes longer."""

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
    """Records an event at every mark and synchronises when the times are read."""

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
        """Do nothing: whether a GPU was shared cannot be told."""

    def seconds(self) -> dict[Hashable, float]:
        """Return the seconds of every phase."""
        self._marks[-1][1].synchronize()
        pairs = zip(self._marks, self._marks[1:], strict=False)
        return _summed([(b[0], a[1].elapsed_time(b[1]) / 1000) for a, b in pairs])


def clock_for(device: str) -> PhaseClock:
    """Return a running clock of a device."""
    return CudaClock() if device == "cuda" else CpuClock()


class Reference:
    """A fixed convolution that is timed again and again while something else is measured.

    Neighbours on a shared machine slow everything down for seconds at a time. The reference sees the same
    seconds, and its maps (16 channels of 28×28 for 4 × 16 images, 6 MiB) are too large for a core's own
    cache, as those of a training step are, so that it slows down as a step does.
    """

    def __init__(self) -> None:
        shape, layout = (16, 16, 28, 28), torch.channels_last
        self._images = [torch.ones(shape).contiguous(memory_format=layout) for _ in range(4)]
        self._weights = torch.ones(16, 16, 3, 3).contiguous(memory_format=layout)
        self._samples: list[float] = []
        self._last = float("-inf")
        self.spent = 0.0
        # Once for the choice of a kernel.
        self._convolve()

    def sample(self) -> None:
        """Time the convolution, unless that was done a moment ago."""
        began = time.perf_counter()
        if began - self._last < REFERENCE_INTERVAL:
            return
        self._convolve()
        self._last = time.perf_counter()
        self._samples.append(self._last - began)
        self.spent += self._last - began

    @property
    def seconds(self) -> float | None:
        """Median of the samples; None if there is none."""
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
