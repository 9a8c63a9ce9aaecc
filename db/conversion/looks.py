"""Rows of looks as records and back."""

from __future__ import annotations

import json
from typing import Any

from advisor.accuracy.data_level import CountedError, Look
from db.checks.rows import readable
from db.models import LookRow


def values_of_look(look: Look) -> dict[str, Any]:
    """Return the columns of a look."""
    return {
        "data_key": look.data_key,
        "looked_at": look.looked_at,
        "seed": look.seed,
        "train_images": look.train_images,
        "errors": json.dumps({name: [error.wrong, error.images] for name, error in look.errors.items()}),
    }


def look_of(row: LookRow) -> Look:
    """Return the look of a row.

    Raises:
        DamagedRowError: the row breaks a rule of a look.
    """
    return readable(row, _look_of)


def _look_of(row: LookRow) -> Look:
    return Look(
        data_key=row.data_key,
        errors=_errors_of(row.errors),
        train_images=row.train_images,
        seed=row.seed,
        looked_at=row.looked_at,
    )


def _errors_of(text: str) -> dict[str, CountedError]:
    counts = json.loads(text)
    if not isinstance(counts, dict) or not all(_is_count(count) for count in counts.values()):
        raise ValueError("errors must be an object of pairs of numbers")
    return {name: CountedError(wrong, images) for name, (wrong, images) in counts.items()}


def _is_count(count: object) -> bool:
    return isinstance(count, list) and len(count) == 2 and all(type(number) is int for number in count)
