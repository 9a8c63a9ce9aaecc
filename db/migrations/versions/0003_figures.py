"""Runs know voting, the super learner, the best member and calibration; NULL for those that ended before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name in ("voting_error", "super_learner_error", "best_member_error", "calibration_error"):
        op.add_column("runs", sa.Column(name, sa.Float(), nullable=True))
