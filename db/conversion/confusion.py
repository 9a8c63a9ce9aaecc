"""Rows of confusion matrices as records and back."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from advisor.plans.confusion import ConfusionMatrix
from advisor.serial import from_plain, to_plain
from db.checks.rows import readable
from db.models import ConfusionRow


def values_of_confusion(run_id: int, matrix: ConfusionMatrix) -> dict[str, Any]:
    """Return the columns of the confusion matrix of a run."""
    plain = to_plain(matrix)
    lists = {field.name: json.dumps(plain[field.name], separators=(",", ":")) for field in fields(matrix)}
    return {"run_id": run_id} | lists


def confusion_of(row: ConfusionRow) -> ConfusionMatrix:
    """Return the confusion matrix of a row.

    Raises:
        DamagedRowError: a column is not a list of its kind, or a number breaks a rule.
    """
    return readable(row, _confusion_of)


def _confusion_of(row: ConfusionRow) -> ConfusionMatrix:
    lists = {field.name: json.loads(getattr(row, field.name)) for field in fields(ConfusionMatrix)}
    return from_plain(ConfusionMatrix, {"kind": ConfusionMatrix.__name__} | lists)
