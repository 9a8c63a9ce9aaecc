"""Import of trainings: each training is stored once, and a later file may complete it.

The digest identifies a training (`db.conversion.reported.values_of_reported`). It does not include what
a file may leave out:

1. the errors by members;
2. the curves with the number of images that they were measured on.

Each of the two is taken from the first file that has it and is never replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.orm import Session

from db.models import ReportedTrainingRow as Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Effect of an import.

    Attributes:
        added: number of trainings that are new.
        completed: number of stored trainings that the file completed.
    """

    added: int
    completed: int


def import_rows(session: Session, values: Sequence[dict[str, Any]]) -> Imported:
    """Insert or complete trainings.

    Args:
        session: session to write with.
        values: columns of each training.
    """
    if not values:
        return Imported(added=0, completed=0)
    # Number of rows, and SQLite's own count of the rows that it has inserted or updated.
    counts = select(select(func.count()).select_from(Row).scalar_subquery(), func.total_changes())
    rows, changes = session.execute(counts).one()
    session.execute(_statement(), list(values))
    more_rows, more_changes = session.execute(counts).one()
    added = more_rows - rows
    return Imported(added=added, completed=more_changes - changes - added)


def _statement() -> Insert:
    statement = insert(Row)
    new = statement.excluded
    # Only together: curves of two files may differ in length and in their images.
    brings_curves = (
        Row.member_curve.is_(None)
        & Row.ensemble_curve.is_(None)
        & or_(new.member_curve.is_not(None), new.ensemble_curve.is_not(None))
    )
    return statement.on_conflict_do_update(
        index_elements=("digest",),
        set_={
            "errors_by_members": func.coalesce(Row.errors_by_members, new.errors_by_members),
            "validation_images": case(
                (brings_curves, new.validation_images),
                else_=func.coalesce(Row.validation_images, new.validation_images),
            ),
            "member_curve": case((brings_curves, new.member_curve), else_=Row.member_curve),
            "ensemble_curve": case((brings_curves, new.ensemble_curve), else_=Row.ensemble_curve),
        },
        where=or_(
            brings_curves,
            Row.errors_by_members.is_(None) & new.errors_by_members.is_not(None),
            Row.validation_images.is_(None) & new.validation_images.is_not(None),
        ),
    )
