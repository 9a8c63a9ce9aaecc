"""Repetitions of a step: how many, how often timed by layers, and which of them count."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from profiler.clock import PhaseClock, Reference
from profiler.layers import LayerTimer
from profiler.repetitions import Repetitions

MOST_REPETITIONS = 200
# Number of whole steps for each step that is timed by layers.
LAYERED_EVERY = 2


class Samples:
    """Repetitions of one kind of step until a deadline.

    Args:
        device: ``cpu`` or ``cuda``.
        deadline: time of `time.perf_counter` after which no repetition starts.
        reference: reference convolution to sample between steps; None on CUDA.
        repetitions: least numbers of repetitions.
    """

    def __init__(
        self, device: str, deadline: float, reference: Reference | None, repetitions: Repetitions
    ) -> None:
        self._device, self._deadline, self._reference = device, deadline, reference
        self._repetitions, self._least = repetitions, max(repetitions.whole, 1)
        self._whole: list[PhaseClock] = []
        self._layered: list[PhaseClock] = []

    @property
    def disturbed(self) -> int:
        """Number of disturbed whole steps."""
        return len(self._whole) - len(_undisturbed(self._whole))

    def add(self, step: PhaseClock) -> None:
        """Add a whole step that was done before."""
        self._whole.append(step)
        self._sample_reference()

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
            if self._wants_layers():
                with timer.attached():
                    self._layered.append(layered())

    def _sample_reference(self) -> None:
        if self._reference is not None:
            self._reference.sample()

    def _wants_layers(self) -> bool:
        if not self._repetitions.usual:
            return len(self._layered) < self._repetitions.layered
        wanted = max(self._repetitions.layered, len(self._whole) / LAYERED_EVERY)
        return len(_undisturbed(self._layered)) < wanted

    def _wants_more(self) -> bool:
        least, tried = self._least, len(self._whole)
        if not self._repetitions.usual:
            return tried < least
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
        return _kept(self._whole, self._least)

    def layered(self) -> list[PhaseClock]:
        """Return the clocks of the steps timed by layers that count."""
        return _kept(self._layered, self._repetitions.layered)

    def seconds(self) -> list[float]:
        """Return the seconds of every step that counts."""
        return [total(clock) for clock in self._kept()]

    def median(self, phase: str) -> float:
        """Return the median seconds of a phase."""
        return float(np.median([clock.seconds()[phase] for clock in self._kept()]))


def total(clock: PhaseClock) -> float:
    """Return the seconds of all phases of a step."""
    return sum(clock.seconds().values())


def _undisturbed(clocks: list[PhaseClock]) -> list[PhaseClock]:
    return [clock for clock in clocks if clock.undisturbed]


def _kept(clocks: list[PhaseClock], least: int) -> list[PhaseClock]:
    """Return the undisturbed clocks, or all clocks if too few are undisturbed."""
    undisturbed = _undisturbed(clocks)
    return undisturbed if len(undisturbed) >= least else clocks
