from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from advisor.errors import StorageError, UsageError
from advisor.plans.records import EpochRecord, Run, StepRecord, StepStatus
from db.queries import Store
from db.session import open_store

NewRun = Callable[[Store], Run]
NewEpoch = Callable[..., EpochRecord]
Locked = Callable[[Path], AbstractContextManager[None]]


def execute(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def test_damage_behind_the_schema_is_found_by_check(path: Path, new_run: NewRun, epoch_of: NewEpoch) -> None:
    with open_store(path) as store:
        run = new_run(store)
        for epoch in range(100):
            store.record_epoch(run.id, epoch_of(epoch, size=3000))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = os.urandom(20_000)
    path.write_bytes(content)
    with open_store(path) as store:
        assert store.check()
        with pytest.raises(StorageError, match="is damaged"):
            store.epochs(run.id)


def test_check_finds_an_epoch_without_its_run(path: Path, store: Store, epoch_of: NewEpoch) -> None:
    assert store.check() == []
    execute(
        path, "PRAGMA foreign_keys = OFF; INSERT INTO steps VALUES (1, 9, 's', 'n', 'done', 1, 0, 0, '');"
    )
    assert store.check() == ["row 1 of steps belongs to a row of runs that is not there"]


def test_a_backup_is_one_file_with_everything_in_it(
    tmp_path: Path, store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    store.record_epoch(run.id, epoch_of())
    target = tmp_path / "copies %3F" / "copy?.db"
    target.parent.mkdir()
    store.backup(target)
    assert os.listdir(target.parent) == [target.name]
    with open_store(target) as copy:
        assert copy.runs() == [run]
        assert copy.epochs(run.id) == store.epochs(run.id)


def test_a_backup_never_overwrites(tmp_path: Path, path: Path, store: Store) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    for existing in (target, path, tmp_path):
        with pytest.raises(UsageError, match="a backup never overwrites"):
            store.backup(existing)
    assert target.read_text() == "mine"


def test_a_backup_into_a_missing_folder_is_refused(tmp_path: Path, store: Store) -> None:
    with pytest.raises(StorageError, match=r"missing.copy\.db cannot be opened"):
        store.backup(tmp_path / "missing" / "copy.db")


def test_a_backup_of_a_locked_file_is_refused_and_leaves_nothing(
    locked: Locked, path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    execute(path, "PRAGMA journal_mode = DELETE")
    monkeypatch.setattr("db.upkeep.BUSY_SECONDS", 0.2)
    with locked(path), pytest.raises(StorageError, match="locked by another process"):
        store.backup(path.with_name("copy.db"))
    assert not [name for name in os.listdir(path.parent) if "copy" in name]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("DROP TABLE epochs", "schema: the table epochs is missing"),
        (
            "DROP INDEX ix_measurements_digest",
            "schema: the index ix_measurements_digest of the table measurements is missing",
        ),
        ("ALTER TABLE runs DROP COLUMN message", "schema: the column message of the table runs is missing"),
        (
            "ALTER TABLE runs ADD COLUMN note TEXT",
            "schema: the column note of the table runs does not belong to it",
        ),
        ("CREATE TABLE notes (id INTEGER)", "schema: the table notes does not belong to it"),
        (
            "CREATE TRIGGER spy AFTER INSERT ON runs BEGIN DELETE FROM runs; END",
            "schema: the trigger spy of the table runs does not belong to it",
        ),
        (
            "DROP INDEX ix_measurements_digest; CREATE INDEX ix_measurements_digest ON measurements (batch)",
            "schema: the index ix_measurements_digest of the table measurements must be (digest), "
            "got (batch)",
        ),
    ],
)
def test_tables_that_are_not_those_of_the_schema_are_found(
    path: Path, store: Store, change: str, line: str
) -> None:
    assert store.check() == []
    execute(path, change)
    assert store.check() == [line]


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ("UPDATE epochs SET seconds = -1", "row 1 of epochs"),
        ("UPDATE epochs SET validation_error = 1.5", "row 1 of epochs"),
        ("UPDATE epochs SET network = '../x'", "row 1 of epochs"),
        ("UPDATE epochs SET step = '/train'", "row 1 of epochs"),
        ("UPDATE epochs SET validation_probabilities = 'text'", "row 1 of epochs"),
        ("UPDATE steps SET network = 'a/b'", "row 1 of steps"),
        ("UPDATE steps SET peak_bytes = 'much'", "row 1 of steps"),
        ("UPDATE runs SET epochs = 4", "row 1 of runs"),
        ("UPDATE runs SET test_error = 0.5", "row 1 of runs"),
        ("UPDATE runs SET seed = 'x'", "row 1 of runs"),
        ("UPDATE runs SET message = CAST(x'ff' AS TEXT)", "row 1 of runs"),
    ],
)
def test_a_damaged_row_of_any_table_is_found(
    path: Path, store: Store, new_run: NewRun, epoch_of: NewEpoch, change: str, row: str
) -> None:
    run = new_run(store)
    store.record_epoch(run.id, epoch_of())
    store.record_step(
        run.id, StepRecord(step="train mother-1", network="mother-1", status=StepStatus.DONE, seconds=1.0)
    )
    assert store.check() == []
    execute(path, change)
    (line,) = store.check()
    assert line.startswith(f"{row} is damaged (")
    assert "\n" not in line
