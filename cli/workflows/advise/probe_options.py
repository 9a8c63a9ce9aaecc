"""Options of a probing session, and how its time is divided."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from advisor.errors import UsageError
from cli.workflows.defaults import PROBE
from trainer.execution.cluster.address import ClusterAddress

# Time that is reserved before the first probe, for fitting, searching and choosing; a share of a short time.
PREPARING_SECONDS, PREPARING_SHARE = 20.0, 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """Options of a probing session that do not concern the decision.

    Attributes:
        seconds: time for choosing and training all probes, seconds; None for what is worthwhile by default,
            on data that are at hand (`cli.workflows.advise.probe_session.default_probing`).
        download: whether a missing data set may be downloaded.
        take_signals: whether the first SIGINT, SIGTERM or SIGHUP ends the session and keeps its finished
            probes. Only the main thread of a process can take over signals.
        cluster: cluster whose nodes train; None for this machine.
    """

    seconds: float | None
    download: bool = False
    take_signals: bool = False
    cluster: ClusterAddress | None = None


def probe_options(
    probe: str | float,
    *,
    download: bool = False,
    take_signals: bool = False,
    cluster: ClusterAddress | None = None,
) -> ProbeOptions | None:
    """Return the options of probing before an answer; None for none.

    Args:
        probe: ``auto``, or a time in minutes, 0 for none.
        download: whether a missing data set may be downloaded.
        take_signals: see `ProbeOptions`.
        cluster: cluster whose nodes train; None for this machine.

    Raises:
        UsageError: neither of the two.
    """
    options = ProbeOptions(seconds=None, download=download, take_signals=take_signals, cluster=cluster)
    if probe == PROBE:
        return options
    try:
        minutes = float(probe)
    except ValueError:
        minutes = math.nan
    if not 0 <= minutes < math.inf:
        raise UsageError(f"--probe must be {PROBE}, or a time in minutes that is 0 or more, got {probe}")
    if not minutes:
        return None
    return replace(options, seconds=60 * minutes)


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
