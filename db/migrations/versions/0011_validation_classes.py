"""Runs know the true classes of their validation images; those that began before know none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "validation_classes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("classes", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("run_id", name="uq_validation_classes_run_id"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_validation_classes_run_id_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_validation_classes"),
        sqlite_autoincrement=True,
    )
