"""Trainings that were done elsewhere, imported from CSV files; the digest tells those already there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "reported_trainings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("imported_at", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("classes", sa.Integer(), nullable=False),
        sa.Column("augmentation", sa.String(), nullable=False),
        sa.Column("train_images", sa.Integer(), nullable=False),
        sa.Column("test_images", sa.Integer(), nullable=False),
        sa.Column("design", sa.String(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("error", sa.Float(), nullable=False),
        sa.Column("member_errors", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("date", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reported_trainings"),
        sa.UniqueConstraint("digest", name="uq_reported_trainings_digest"),
        sqlite_autoincrement=True,
    )
