"""Runs know what was waited for beside their training; those that began before do not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("runs", sa.Column("overhead_seconds", sa.Float(), nullable=True))
