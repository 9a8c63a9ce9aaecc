"""Options of a probing session, and how its time is divided."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.errors import UsageError

# Time that is reserved before the first probe, for fitting, searching and choosing; a share of a short time.
PREPARING_SECONDS, PREPARING_SHARE = 20.0, 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """Options of a probing session that do not concern the decision.

    Attributes:
        seconds: time for choosing and training all probes, seconds.
        download: whether a missing data set may be downloaded.
        take_signals: whether the first SIGINT, SIGTERM or SIGHUP ends the session and keeps its finished
            probes. Only the main thread of a process can take over signals.
    """

    seconds: float
    download: bool = False
    take_signals: bool = False


def check_seconds(seconds: float, option: str) -> None:
    """Refuse a time for probing that is not positive and finite.

    Args:
        seconds: time for probing, seconds.
        option: name of the option that gives it, in minutes.

    Raises:
        UsageError: the time is not positive, or infinite.
    """
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{option} must be positive, got {seconds / 60:g}")


def longest_probe_seconds(seconds: float) -> float:
    """Return the longest time that one probe may take in a session of `seconds`.

    A recommendation that names the first probe of a later session chooses it for the same time.
    """
    return seconds - min(PREPARING_SECONDS, PREPARING_SHARE * seconds)
