"""Reported trainings know their learning curves and the errors of smaller ensembles; NULL where nobody said.

The test figures of a run, which are JSON, have had `errors_by_members` since then; those from before lack it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for column in (
        sa.Column("validation_images", sa.Integer(), nullable=True),
        sa.Column("errors_by_members", sa.String(), nullable=True),
        sa.Column("member_curve", sa.String(), nullable=True),
        sa.Column("ensemble_curve", sa.String(), nullable=True),
    ):
        op.add_column("reported_trainings", column)
