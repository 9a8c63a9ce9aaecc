"""When a command stops before its end: the first Ctrl-C, a termination, a closed terminal, or the time limit.

SIGHUP, which a terminal sends when it is closed, is as SIGTERM. A process that began with SIGHUP ignored, as
under `nohup`, goes on ignoring it. The exit code is 128 and the number of the signal.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")

# Signals that follow each other within this time are one request.
ONE_REQUEST_SECONDS = 0.5
# Signals that ask a process to end without a person at a keyboard; Windows has no SIGHUP.
TERMINATING = tuple(number for number in signal.Signals if number.name in ("SIGTERM", "SIGHUP"))
STOPPING = (signal.SIGINT, *TERMINATING)


class _CutShortError(BaseException):
    """A signal ends a piece of work that can be repeated."""


def heeded(numbers: tuple[signal.Signals, ...]) -> list[signal.Signals]:
    """Return the signals without a SIGHUP that is ignored, as under `nohup`."""
    return [n for n in numbers if n.name != "SIGHUP" or signal.getsignal(n) is not signal.SIG_IGN]


@dataclass
class StopSignals:
    """Whether to stop, and why: the first Ctrl-C, a termination, or the deadline.

    Attributes:
        deadline: time at which to stop, by the clock of `time.monotonic`; None for none.
        handled: signals that are taken over while `listening`; only the main thread may take over any.
        received: first signal that came, None before.
        received_at: time at which it came, by the same clock.
    """

    deadline: float | None
    handled: tuple[signal.Signals, ...] = STOPPING
    received: int | None = field(default=None)
    received_at: float = field(default=0.0)
    _cuts: bool = field(default=False, init=False)

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.received is not None or self.past_deadline()

    def past_deadline(self) -> bool:
        """Return whether the time limit is used up."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over the handled signals; a second request ends the process at once."""
        before = {number: signal.signal(number, self._receive) for number in heeded(self.handled)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def unless_stopped(self, work: Callable[[], Result]) -> Result | None:
        """Return the result of a piece of work that can be repeated; None if a signal came before its end.

        Args:
            work: function whose effects do not outlast it.
        """
        try:
            try:
                self._cuts = True
                return None if self.received is not None else work()
            finally:
                self._cuts = False
        except _CutShortError:
            return None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        # `timeout` signals a process and then its group: that is one request.
        if self.received is not None and time.monotonic() - self.received_at > ONE_REQUEST_SECONDS:
            # Workers notice that their parent is gone and end too.
            os._exit(128 + number)
        if self.received is None:
            self.received, self.received_at = number, time.monotonic()
            if self._cuts:
                raise _CutShortError
