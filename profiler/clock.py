"""Clocks for the phases of a step: the processor's counter on a CPU, events on a CUDA stream."""

from __future__ import annotations

import time
from typing import Protocol

import torch


class PhaseClock(Protocol):
    """Measures the time between marks."""

    def start(self) -> None:
        """Begin a step."""

    def mark(self, phase: str) -> None:
        """End a phase; the time since the mark before belongs to it."""

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every phase of the step, summed by name."""


class CpuClock:
    """Reads `time.perf_counter` at every mark."""

    def __init__(self) -> None:
        self._marks: list[tuple[str, float]] = []

    def start(self) -> None:
        """Begin a step."""
        self._marks = [("", time.perf_counter())]

    def mark(self, phase: str) -> None:
        """End a phase."""
        self._marks.append((phase, time.perf_counter()))

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every phase."""
        return _summed([(b[0], b[1] - a[1]) for a, b in zip(self._marks, self._marks[1:], strict=False)])


class CudaClock:
    """Records an event at every mark and synchronises once, when the times are read."""

    def __init__(self) -> None:
        self._marks: list[tuple[str, torch.cuda.Event]] = []

    def start(self) -> None:
        """Begin a step."""
        self._marks = []
        self.mark("")

    def mark(self, phase: str) -> None:
        """End a phase."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._marks.append((phase, event))

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every phase."""
        torch.cuda.synchronize()
        pairs = zip(self._marks, self._marks[1:], strict=False)
        return _summed([(b[0], a[1].elapsed_time(b[1]) / 1000) for a, b in pairs])


def clock_for(device: str) -> PhaseClock:
    """Return the clock of a device."""
    return CudaClock() if device == "cuda" else CpuClock()


def _summed(parts: list[tuple[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for phase, seconds in parts:
        sums[phase] = sums.get(phase, 0.0) + seconds
    return sums
