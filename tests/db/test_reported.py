"""Imported trainings in the database."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from advisor.dataset import Augmentation
from advisor.errors import StorageError
from advisor.layers import Task
from advisor.reported import ReportedTraining
from db import convert
from db.queries import Store
from db.session import open_store

TRAINING = ReportedTraining(
    dataset="Ziffern – “ß”",
    task=Task(channels=1, height=8, width=9, classes=10),
    augmentation=Augmentation.CROP,
    train_images=10**10,
    test_images=360,
    design="2xresnet-8-4@g1",
    epochs=20,
    batch=32,
    seed=2**63 - 1,
    error=1 / 3,
    member_errors=(0.0, 5e-324),
    device="CPU",
    date="2026-11-21",
)
ORIGIN = {"source": "a.csv", "imported_at": "2026-11-21T12:00:00+00:00"}


def test_reported_trainings_are_read_back_in_their_order(path: Path, store: Store) -> None:
    given = [replace(TRAINING, seed=seed) for seed in (3, 1, 2**63 - 1)]
    assert store.add_reported(given, **ORIGIN) == 3
    store.close()
    with open_store(path) as again:
        assert again.reported() == given
        assert again.check() == []


def test_a_training_is_there_once_whatever_file_told_of_it(store: Store) -> None:
    assert store.add_reported([TRAINING, TRAINING], **ORIGIN) == 1
    other = {"source": "b.csv", "imported_at": "2026-12-01T00:00:00+00:00"}
    assert store.add_reported([TRAINING, replace(TRAINING, seed=1)], **other) == 1
    assert store.add_reported([], **other) == 0
    assert len(store.reported()) == 2


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
    assert store.add_reported([TRAINING, replace(TRAINING, **change)], **ORIGIN) == 2


def test_an_import_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises((StorageError, SQLAlchemyError)):
        store.add_reported([TRAINING, replace(TRAINING, seed=2**63)], **ORIGIN)
    assert store.reported() == []


@pytest.mark.parametrize(
    ("column", "value"),
    [("augmentation", "flop"), ("height", 1), ("member_errors", "{"), ("member_errors", json.dumps(["a"]))],
)
def test_a_row_that_cannot_be_read_is_named(path: Path, store: Store, column: str, value: object) -> None:
    store.add_reported([TRAINING], **ORIGIN)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE reported_trainings SET {column} = ?", (value,))
    with pytest.raises(StorageError, match="reported training 1 of the database cannot be read"):
        store.reported()
    assert "reported training 1" in store.check()[0]


def test_the_digest_is_of_the_training_alone() -> None:
    values = convert.values_of_reported(TRAINING)
    assert values["digest"] == convert.values_of_reported(replace(TRAINING))["digest"]
    assert len(values["digest"]) == 64
