"""The pace of the processor now: how long the reference convolution takes, other programs included.

A measurement has the median time of the same convolution (`profiler.clock.Reference`). A comparison of the
two tells how busy the machine is. The pace is a mean over a while in which the process never pauses: one that
has slept gets its core at once, so single samples would show nothing of programs beside it. Other data pass
the caches between two convolutions, as a training step does where the measured ones come from.

The pace is measured on a CPU only. A GPU has no reference.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from profiler.clock import Reference

# Seconds of a measurement before a training, when nothing else of it runs. Chosen by benchmarks/busy.py.
BEFORE_SECONDS = 0.2
# Seconds of a measurement between two epochs, and the least seconds from one to the next: 0.5 % of the time.
BETWEEN_SECONDS, INTERVAL = 0.05, 10.0
# Elements of the other data, 8 MiB of float32. Without them the convolution is a tenth faster than usual.
OTHER_ELEMENTS = 2**21


class Pace:
    """The reference convolution of one thread, and other data that pass its caches."""

    def __init__(self) -> None:
        self._reference, self._other = Reference(), torch.ones(OTHER_ELEMENTS)

    def measure(self, seconds: float) -> float:
        """Return the mean seconds of the reference convolution now, by one thread of torch.

        Args:
            seconds: seconds for which it is repeated, once at least.
        """
        began, spent, done = time.perf_counter(), 0.0, 0
        while not done or time.perf_counter() - began < seconds:
            self._other.neg_()
            spent += self._reference.once()
            done += 1
        return spent / done


def pace_side_by_side(copies: int, seconds: float = BEFORE_SECONDS) -> float:
    """Return the mean seconds of the reference convolution now, over copies that run at the same time.

    Args:
        copies: number of copies, each on a thread of its own: that of the networks that will train.
        seconds: seconds of the measurement.
    """
    own = [Pace() for _ in range(copies)]
    with _one_thread(), ThreadPoolExecutor(copies) as threads:
        paces = list(threads.map(lambda each: _measured(each, seconds), own))
    return sum(paces) / copies


def watch_pace(device: str) -> Callable[[], float | None]:
    """Start to watch the pace; the returned function measures it if the last time is long ago.

    Args:
        device: ``cpu`` or ``cuda``; on the latter nothing is measured.

    Returns:
        Function that returns the mean seconds of the reference convolution now, None where it measures
        nothing.
    """
    return _nothing if device == "cuda" else _Watch()


class _Watch:
    """The pace of one training process, which is measured every `INTERVAL`."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._next = time.perf_counter() + INTERVAL

    def __call__(self) -> float | None:
        if time.perf_counter() < self._next:
            return None
        with _one_thread():
            seconds = self._pace.measure(BETWEEN_SECONDS)
        self._next = time.perf_counter() + INTERVAL
        return seconds


def load() -> float | None:
    """Return the number of processes that wanted a core in the last minute; None where it is unknown."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def _nothing() -> None:
    return None


def _measured(pace: Pace, seconds: float) -> float:
    # Each thread of Python has a number of threads of torch.
    torch.set_num_threads(1)
    return pace.measure(seconds)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread, as measuring processes do; the number of before returns."""
    before = torch.get_num_threads()
    if before != 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before != 1:
            torch.set_num_threads(before)
