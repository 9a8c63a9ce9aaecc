"""Imported trainings in the database."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError

from advisor.accuracy.sources.reported import ReportedTraining
from advisor.errors import StorageError
from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation
from db.conversion.reported import values_of_reported
from db.imports import Imported
from db.queries import Store
from db.session import open_store

TRAINING = ReportedTraining(
    dataset="Ziffern – “ß”",
    task=Task(channels=1, height=8, width=9, classes=10),
    augmentation=Augmentation.CROP,
    train_images=10**10,
    test_images=360,
    design="2xresnet-8-4@g1",
    epochs=1,
    batch=32,
    seed=2**63 - 1,
    error=1 / 3,
    member_errors=(0.0, 5e-324),
    device="CPU",
    date="2026-11-21",
)
CURVES: dict[str, Any] = {
    "validation_images": 10**10,
    "errors_by_members": (0.5, 1 / 3),
    "member_curve": (1.0, 5e-324),
    "ensemble_curve": (2 / 3, 0.0),
}
ORIGIN = {"source": "a.csv", "imported_at": "2026-11-21T12:00:00+00:00"}
LATER = {"source": "b.csv", "imported_at": "2026-12-01T00:00:00+00:00"}
NOTHING = Imported(added=0, completed=0)


def test_reported_trainings_are_read_back_in_their_order(path: Path, store: Store) -> None:
    given = [replace(TRAINING, seed=seed) for seed in (3, 1, 2**63 - 1)]
    given.append(replace(TRAINING, seed=7, **CURVES))
    assert store.add_reported(given, **ORIGIN) == Imported(added=4, completed=0)
    store.close()
    with open_store(path) as again:
        assert again.reported() == given
        assert again.check() == []


def test_a_training_is_there_once_whatever_file_reports_it(store: Store) -> None:
    assert store.add_reported([TRAINING, TRAINING], **ORIGIN) == Imported(added=1, completed=0)
    other = replace(TRAINING, seed=1)
    assert store.add_reported([TRAINING, other], **LATER) == Imported(added=1, completed=0)
    assert store.add_reported([], **LATER) == NOTHING
    assert store.reported() == [TRAINING, other]


def test_a_training_with_curves_is_there_once_too(store: Store) -> None:
    whole = replace(TRAINING, **CURVES)
    assert store.add_reported([whole, whole], **ORIGIN) == Imported(added=1, completed=0)
    assert store.add_reported([whole], **LATER) == NOTHING
    assert store.reported() == [whole]


def test_a_training_is_completed_by_a_file_with_more(path: Path, store: Store) -> None:
    first, second = TRAINING, replace(TRAINING, seed=1)
    store.add_reported([first, second], **ORIGIN)
    whole = replace(second, **CURVES)
    assert store.add_reported([first, whole], **LATER) == Imported(added=0, completed=1)
    assert store.add_reported([first, whole], **LATER) == NOTHING
    # A file with less removes nothing.
    assert store.add_reported([second], **LATER) == NOTHING
    assert store.reported() == [first, whole]
    with closing(sqlite3.connect(path)) as connection:
        sources = connection.execute("SELECT DISTINCT source FROM reported_trainings").fetchall()
    assert sources == [(ORIGIN["source"],)]


def test_one_import_may_add_and_complete(store: Store) -> None:
    whole, new = replace(TRAINING, **CURVES), replace(TRAINING, seed=1)
    store.add_reported([TRAINING], **ORIGIN)
    assert store.add_reported([whole, new], **LATER) == Imported(added=1, completed=1)
    assert store.reported() == [whole, new]


@pytest.mark.parametrize(
    ("stored", "reported", "left"),
    [
        # Reported values stay.
        ({"errors_by_members": (0.9, 1 / 3)}, CURVES, CURVES | {"errors_by_members": (0.9, 1 / 3)}),
        ({"validation_images": 5}, {"validation_images": 6}, {"validation_images": 5}),
        # Curves come with the images that they were measured on, and stay together.
        ({"validation_images": 5}, CURVES, CURVES),
        (
            {"validation_images": 5, "member_curve": (0.5, 0.25)},
            CURVES,
            {
                "validation_images": 5,
                "member_curve": (0.5, 0.25),
                "errors_by_members": CURVES["errors_by_members"],
            },
        ),
        (
            CURVES,
            {"validation_images": 5, "member_curve": (0.5, 0.25), "ensemble_curve": (0.5, 0.25)},
            CURVES,
        ),
    ],
)
def test_reported_values_are_never_replaced(
    store: Store, stored: dict[str, Any], reported: dict[str, Any], left: dict[str, Any]
) -> None:
    store.add_reported([replace(TRAINING, **stored)], **ORIGIN)
    store.add_reported([replace(TRAINING, **reported)], **LATER)
    assert store.reported() == [replace(TRAINING, **left)]


@pytest.mark.parametrize(
    "change",
    [
        {"error": 0.5},
        {"member_errors": (0.0, 0.1)},
        {"date": "2026-11-22"},
        {"task": Task(channels=1, height=9, width=8, classes=10)},
    ],
    ids=str,
)
def test_a_training_that_differs_is_another_one(store: Store, change: dict[str, object]) -> None:
    assert store.add_reported([TRAINING, replace(TRAINING, **change)], **ORIGIN).added == 2


def test_an_import_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises((StorageError, SQLAlchemyError)):
        store.add_reported([TRAINING, replace(TRAINING, seed=2**63)], **ORIGIN)
    assert store.reported() == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("augmentation", "flop"),
        ("height", 1),
        ("member_errors", "{"),
        ("member_errors", json.dumps(["a"])),
        ("errors_by_members", "[]"),
        ("member_curve", "no json"),
        ("ensemble_curve", "[null]"),
        # Rules of the files that trainings are imported from, and the digest of what was imported.
        ("member_errors", "[0.1]"),
        ("error", 2.0),
        ("error", 0.25),
        ("design", "2xresnet-8"),
        ("dataset", "two\nlines"),
        ("member_curve", "[0.5, 0.25]"),
        ("epochs", "twenty"),
    ],
)
def test_a_damaged_row_is_named_and_left_out_of_the_evidence(
    path: Path, store: Store, caplog: pytest.LogCaptureFixture, column: str, value: object
) -> None:
    other = replace(TRAINING, seed=1)
    store.add_reported([TRAINING, other], **ORIGIN)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE reported_trainings SET {column} = ? WHERE id = 1", (value,))
    assert store.reported() == [other]
    assert ["row 1 of reported_trainings is damaged" in record.message for record in caplog.records] == [True]
    assert "row 1 of reported_trainings is damaged" in store.check()[0]


def test_the_digest_is_of_the_training_alone() -> None:
    values = values_of_reported(TRAINING)
    assert values["digest"] == values_of_reported(replace(TRAINING))["digest"]
    assert values["digest"] == values_of_reported(replace(TRAINING, **CURVES))["digest"]
    assert len(values["digest"]) == 64


def test_a_training_keeps_its_number_until_it_is_deleted(store: Store) -> None:
    trainings = [replace(TRAINING, seed=seed) for seed in range(3)]
    store.add_reported(trainings, **ORIGIN)
    first, second, third = store.stored_trainings()
    assert [each.training for each in (first, second, third)] == trainings
    assert {"source": second.source, "imported_at": second.imported_at} == ORIGIN
    store.delete_reported([second.id, 99])
    assert store.stored_trainings() == [first, third]
    store.delete_reported([third.id])
    store.add_reported(trainings[1:2], **LATER)
    # The number of a deleted training is not given to another.
    assert store.stored_trainings()[1].id > third.id
    assert store.check() == []
