"""The time, as records have it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return the UTC time, ISO 8601, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()
