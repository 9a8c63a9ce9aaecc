"""The time of a probing session for which none is given.

It is a time of trainings by forecast (`default_probing`). Choosing them comes on top,
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
        forecast: upper end of its forecast, with what a probe costs beside its training, seconds.
        actual: seconds that it took.
        full: whether it was the full training of a leading design.
    """

    forecast: float
    actual: float
    full: bool

    @classmethod
    def as_forecast(cls, probe: Probe) -> TrainedProbe:
        """Return the time of a probe that has not ended, as it is expected."""
        seconds = probe.seconds.high + BESIDE_SECONDS
        return cls(seconds, seconds, probe.full)


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
