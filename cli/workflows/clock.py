"""The time, as records have it, and how long a person has been waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime


def now() -> str:
    """Return the UTC time, ISO 8601, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


@dataclass
class WaitingClock:
    """How long a person has been waiting for a run, without what no later training would repeat.

    It begins with the command: with the process of the command line, after Python itself has started, and
    with the call from Python. It pauses for what is done once or measured: the first look at a data set, the
    download of one, and steps that are timed for a path. It begins anew when the command has stored the end
    of a run, for the next stage of a path.

    Attributes:
        began: reading of `time.monotonic` at its beginning, later by all pauses.
    """

    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since its beginning, without pauses."""
        return time.monotonic() - self.began

    def restart(self) -> None:
        """Begin anew."""
        self.began = time.monotonic()

    @contextmanager
    def paused(self, when: bool = True) -> Iterator[None]:
        """Leave out what is done in the context.

        Args:
            when: whether it is left out.
        """
        before = time.monotonic()
        try:
            yield
        finally:
            if when:
                self.began += time.monotonic() - before
