"""The time of a probing session: given by a user, or what is worthwhile by default.

A given time is all that passes, choosing included. The default is a time of trainings by forecast. Choosing
them comes on top, and so does what a training takes beyond its forecast, up to `LONGEST_SECONDS` in all: on a
busy machine a leading design would else be trained, and not its rival.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cli.workflows.advise.probe_options import PREPARING_SECONDS, longest_probe_seconds

# Longest session where no time is given, seconds.
LONGEST_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Trained:
    """The time of a finished probe.

    Attributes:
        forecast: upper end of its forecast, with what a probe costs beside its training, seconds.
        actual: seconds that it took.
    """

    forecast: float
    actual: float


class SessionTime(Protocol):
    """The time of a probing session; clocks are `time.monotonic`."""

    @property
    def until(self) -> float:
        """When a training that is under way is stopped, by the clock, seconds."""

    def left(self, trained: Sequence[Trained]) -> tuple[float, float]:
        """Return when the next probe must have ended, by the clock, and how long it may take, seconds.

        Args:
            trained: probes so far.
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

    def left(self, trained: Sequence[Trained]) -> tuple[float, float]:
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

    def left(self, trained: Sequence[Trained]) -> tuple[float, float]:
        """Return an end that leaves time for choosing, and what the trainings so far leave of the time.

        The next training is expected to take as much longer than its forecast as any before.
        """
        now = time.monotonic()
        longest = self.seconds - sum(min(each.forecast, each.actual) for each in trained)
        slower = max((each.actual / each.forecast for each in trained), default=1.0)
        longest = max(min(longest, (self.until - now) / max(slower, 1.0)), 0.0)
        return min(self.until, now + longest + PREPARING_SECONDS), longest
