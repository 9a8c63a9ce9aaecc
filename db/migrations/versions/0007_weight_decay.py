"""Reported trainings know their weight decay over that of the family's recipe; it was 1 before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    column = sa.Column("weight_decay", sa.Float(), nullable=False, server_default=sa.text("1"))
    op.add_column("reported_trainings", column)
