"""The time of a probing session for which none is given.

It is a time by the clock: probes side by side use it together. Choosing them comes on top,
and so does what a training takes beyond its forecast, up to `LONGEST_SECONDS` in all: on a busy machine a
leading design would else be trained, and not its rival.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.decision.probes.probing import BESIDE_SECONDS, Probe
from cli.workflows.advise.probe_options import PREPARING_SECONDS

# Longest session where no time is given, seconds.
LONGEST_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class TrainedProbe:
    """The time of a finished probe, or of one that trains.

    Attributes:
        began: its beginning by the monotonic clock, seconds.
        forecast: upper end of its forecast, with what a probe costs beside its training, seconds.
        actual: seconds that it took, or has taken so far.
        full: whether it was the full training of a leading design.
    """

    began: float
    forecast: float
    actual: float
    full: bool

    @classmethod
    def of(cls, probe: Probe, began: float, actual: float) -> TrainedProbe:
        """Return the time of a probe that began and took so long, seconds."""
        return cls(began, probe.seconds.high + BESIDE_SECONDS, actual, probe.full)

    @property
    def charged(self) -> float:
        """Seconds that count: a full training that is slower than its forecast takes no time of others."""
        return min(self.forecast, self.actual) if self.full else self.actual


def spent_seconds(trained: Sequence[TrainedProbe]) -> float:
    """Return the seconds of a session that its probes have used; where several trained they count once."""
    covered, end = 0.0, float("-inf")
    for each in sorted(trained, key=lambda t: t.began):
        covered += max(each.began + each.actual - max(each.began, end), 0.0)
        end = max(end, each.began + each.actual)
    total = sum(each.actual for each in trained)
    return sum(each.charged for each in trained) * covered / total if total else 0.0


def default_left(seconds: float, until: float, trained: Sequence[TrainedProbe]) -> tuple[float, float]:
    """Return when the next probe must have ended, by the clock, and how long it may take, seconds.

    The next training is expected to take as much longer than its forecast as any before.

    Args:
        seconds: time for further trainings, by forecast.
        until: end of the session by the clock of `time.monotonic`, seconds.
        trained: probes so far.
    """
    now = time.monotonic()
    slower = max((each.actual / each.forecast for each in trained), default=1.0)
    longest = max(min(seconds, (until - now) / max(slower, 1.0)), 0.0)
    return min(until, now + longest + PREPARING_SECONDS), longest
