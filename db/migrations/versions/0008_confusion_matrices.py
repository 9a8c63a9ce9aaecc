"""Runs have a confusion matrix of their test set; those that ended before have none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "confusion_matrices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("images", sa.String(), nullable=False),
        sa.Column("confused", sa.String(), nullable=False),
        sa.Column("names", sa.String(), nullable=False),
        sa.UniqueConstraint("run_id", name="uq_confusion_matrices_run_id"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_confusion_matrices_run_id_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_confusion_matrices"),
        sqlite_autoincrement=True,
    )
