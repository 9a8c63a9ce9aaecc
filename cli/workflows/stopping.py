"""When training stops before its end: the first Ctrl-C, a termination, or the time limit."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

# Signals that follow each other within this time are one request.
ONE_REQUEST_SECONDS = 0.5
STOPPING = (signal.SIGINT, signal.SIGTERM)


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

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.received is not None or self.past_deadline()

    def past_deadline(self) -> bool:
        """Return whether the time limit is used up."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over the handled signals; a second request ends the process at once."""
        before = {number: signal.signal(number, self._receive) for number in self.handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        # `timeout` signals a process and then its group: that is one request.
        if self.received is not None and time.monotonic() - self.received_at > ONE_REQUEST_SECONDS:
            # Workers notice that their parent is gone and end too.
            os._exit(128 + number)
        if self.received is None:
            self.received, self.received_at = number, time.monotonic()
