"""Measurements know their layers and the state of the device; seconds of epochs are in an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for column in (
        sa.Column("fits", sa.Boolean(), nullable=False, server_default=sa.text("1")),
        sa.Column("layers", sa.String(), nullable=False, server_default=sa.text("'[]'")),
        sa.Column("reference_seconds", sa.Float(), nullable=True),
        sa.Column("reserved_bytes", sa.Integer(), nullable=True),
        sa.Column("watts", sa.Float(), nullable=True),
        sa.Column("clock_mhz", sa.Integer(), nullable=True),
        sa.Column("throttle", sa.String(), nullable=False, server_default=sa.text("''")),
    ):
        op.add_column("measurements", column)
    op.create_index(
        "ix_epochs_run_id_step_epoch_seconds", "epochs", ["run_id", "step", "epoch", "seconds"]
    )
