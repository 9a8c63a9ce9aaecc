"""Forecasts of runs say which corrections their intervals have; those before say nothing.

They are a field of the JSON in `runs.forecast`, so no table changes. Programs that do not know the field refuse a
database of this schema as a whole, not run by run.
"""

from __future__ import annotations

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    pass
