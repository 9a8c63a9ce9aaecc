"""Runs may be stages of a path, and know their targets and the stages before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("runs", sa.Column("navigation", sa.String(), nullable=True))
