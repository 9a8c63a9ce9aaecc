"""When training stops before its end: the first Ctrl-C, a termination, or the time limit."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

# Signals closer together than this ask for one thing.
ONE_REQUEST_SECONDS = 0.5


@dataclass
class StopSignals:
    """Whether to stop, and why: the first Ctrl-C, a termination, or the deadline."""

    deadline: float | None
    received: int | None = field(default=None)
    # By the clock of `time.monotonic`.
    received_at: float = field(default=0.0)

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.received is not None or self.past_deadline()

    def past_deadline(self) -> bool:
        """Whether the time limit is used up."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over SIGINT and SIGTERM; a second one ends the process at once."""
        before = {s: signal.signal(s, self._receive) for s in (signal.SIGINT, signal.SIGTERM)}
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
