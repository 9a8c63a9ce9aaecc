"""Errors of simple classifiers on data sets, one row for equal data; none of earlier looks was stored."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "looks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("data_key", sa.String(), nullable=False),
        sa.Column("looked_at", sa.String(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("train_images", sa.Integer(), nullable=False),
        sa.Column("errors", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_looks"),
        sa.UniqueConstraint("data_key", name="uq_looks_data_key"),
        sqlite_autoincrement=True,
    )
