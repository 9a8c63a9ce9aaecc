"""The time of a probing session: given by a user, or what is worthwhile by default.

A given time is all that passes, choosing included. The default is a time of trainings; choosing them comes
on top, and a training that takes longer than its forecast is not cut off, up to `LONGEST_SECONDS` in all.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from cli.workflows.advise.probe_options import PREPARING_SECONDS, longest_probe_seconds

# Longest session where no time is given, seconds.
LONGEST_SECONDS = 180.0


class SessionTime(Protocol):
    """The time of a probing session; clocks are `time.monotonic`."""

    @property
    def until(self) -> float:
        """When a training that is under way is stopped, by the clock, seconds."""

    def left(self, trained: float) -> tuple[float, float]:
        """Return when the next probe must have ended, by the clock, and how long it may take, seconds.

        Args:
            trained: seconds that the probes so far have taken.
        """


@dataclass(frozen=True, slots=True)
class GivenTime:
    """A time that a user gives.

    Attributes:
        seconds: length of the session.
        until: its end by the clock.
    """

    seconds: float
    until: float

    @classmethod
    def of(cls, seconds: float) -> GivenTime:
        """Return the time of a session that begins now."""
        return cls(seconds, time.monotonic() + seconds)

    def left(self, trained: float) -> tuple[float, float]:
        """Return the end of the session, and the longest time of a probe in it."""
        return self.until, longest_probe_seconds(self.seconds)


@dataclass(frozen=True, slots=True)
class DefaultTime:
    """A time that is worthwhile by default.

    Attributes:
        seconds: seconds of all trainings together, by forecast.
        until: end of the session by the clock, however long trainings take.
    """

    seconds: float
    until: float

    @classmethod
    def of(cls, seconds: float) -> DefaultTime:
        """Return the time of a session that begins now."""
        return cls(seconds, time.monotonic() + LONGEST_SECONDS)

    def left(self, trained: float) -> tuple[float, float]:
        """Return an end that leaves time for choosing, and what the trainings so far leave of the time."""
        longest = max(self.seconds - trained, 0.0)
        return min(self.until, time.monotonic() + longest + PREPARING_SECONDS), longest
