"""Rows of reported trainings as records and back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from advisor.accuracy.sources.reported import ReportedTraining, check_reported
from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation
from db.checks.rows import readable
from db.models import ReportedTrainingRow

# Columns of a reported training with lists of errors that may be missing.
ERRORS_MAYBE = ("errors_by_members", "member_curve", "ensemble_curve")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTraining:
    """A reported training with where it came from.

    Attributes:
        id: number of the training in the database.
        source: name of the file that reported it, or of the program that trained it.
        imported_at: time in UTC, ISO 8601.
        training: the training.
    """

    id: int
    source: str
    imported_at: str
    training: ReportedTraining


def values_of_reported(record: ReportedTraining) -> dict[str, Any]:
    """Return the columns of a reported training, without source and time of the import."""
    values = asdict(record)
    # Not in the digest, because the same training may be reported by another file without these.
    further = {"validation_images": values.pop("validation_images")} | {
        name: _text_of_errors(values.pop(name)) for name in ERRORS_MAYBE
    }
    # Trainings from before weight decays were reported keep their digest.
    weight_decay = {"weight_decay": values.pop("weight_decay")}
    if record.weight_decay != 1:
        values |= weight_decay
    task = values.pop("task")
    values["augmentation"] = record.augmentation.value
    values["member_errors"] = json.dumps(record.member_errors)
    values |= task
    text = json.dumps(values, sort_keys=True)
    return values | further | weight_decay | {"digest": hashlib.sha256(text.encode()).hexdigest()}


def reported_of(row: ReportedTrainingRow) -> ReportedTraining:
    """Return the reported training of a row.

    Raises:
        DamagedRowError: the row breaks a rule of the CSV files that trainings are imported from, or it is not
            the training that its digest is of.
    """
    return readable(row, _reported_of)


def stored_training_of(row: ReportedTrainingRow) -> StoredTraining:
    """Return the reported training of a row with where it came from.

    Raises:
        DamagedRowError: as for `reported_of`.
    """
    return StoredTraining(
        id=row.id, source=row.source, imported_at=row.imported_at, training=reported_of(row)
    )


def _reported_of(row: ReportedTrainingRow) -> ReportedTraining:
    record = ReportedTraining(
        dataset=row.dataset,
        task=Task(channels=row.channels, height=row.height, width=row.width, classes=row.classes),
        augmentation=Augmentation(row.augmentation),
        train_images=row.train_images,
        test_images=row.test_images,
        design=row.design,
        epochs=row.epochs,
        batch=row.batch,
        seed=row.seed,
        error=row.error,
        member_errors=_errors_of(row.member_errors),
        device=row.device,
        date=row.date,
        validation_images=row.validation_images,
        errors_by_members=_errors_or_none(row.errors_by_members),
        member_curve=_errors_or_none(row.member_curve),
        ensemble_curve=_errors_or_none(row.ensemble_curve),
        weight_decay=row.weight_decay,
    )
    check_reported(record)
    if values_of_reported(record)["digest"] != row.digest:
        raise ValueError("its digest is that of another training")
    return record


def _text_of_errors(errors: tuple[float, ...] | None) -> str | None:
    return None if errors is None else json.dumps(errors)


def _errors_or_none(text: str | None) -> tuple[float, ...] | None:
    return None if text is None else _errors_of(text)


def _errors_of(text: str) -> tuple[float, ...]:
    errors = json.loads(text)
    if not isinstance(errors, list) or not errors or not all(type(e) in (float, int) for e in errors):
        raise ValueError("errors must be a list of numbers")
    return tuple(float(e) for e in errors)
