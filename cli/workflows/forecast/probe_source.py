"""How the database tells probes from other stored trainings: by their source."""

from __future__ import annotations

import re

# Source of a probe in the database, followed by its duration; older programs wrote no duration.
SOURCE = "advisor probe"
_SOURCE = re.compile(rf"{SOURCE}(?: in (\d+(?:\.\d+)?) s)?")


def source_of(seconds: float) -> str:
    """Return the source under which the database keeps a probe that took so many seconds."""
    return f"{SOURCE} in {seconds:.1f} s"


def is_probe(source: str) -> bool:
    """Return whether a stored training is a probe, by its source."""
    return _SOURCE.fullmatch(source) is not None


def seconds_in(source: str) -> float | None:
    """Return the seconds that a probe took, by its source; None if it does not say."""
    found = _SOURCE.fullmatch(source)
    return float(found[1]) if found and found[1] else None
