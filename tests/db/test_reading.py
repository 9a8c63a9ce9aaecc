"""Homes that can only be read. Permissions do not bind root, so tests become somebody else for a moment."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from advisor.errors import StorageError
from advisor.plans.records import Run
from db.listing import list_runs
from db.queries import Store
from db.session import open_reader, open_store

NewRun = Callable[[Store], Run]
Unprivileged = Callable[[], AbstractContextManager[None]]
ALL = {"where": {}, "sort": "id", "descending": False, "limit": None}


@pytest.fixture
def read_only(open_folder: Path, new_run: NewRun) -> Path:
    """A database with one run in WAL mode, whose file and folder cannot be written."""
    path = open_folder / "advisor.db"
    with open_store(path) as store:
        new_run(store)
    path.chmod(0o444)
    open_folder.chmod(0o555)
    return path


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_database_that_cannot_be_written_is_read_checked_and_copied(
    read_only: Path, tmp_path: Path, without_privileges: Unprivileged, open_folder: Path, mode: str
) -> None:
    open_folder.chmod(0o777)
    with closing(sqlite3.connect(read_only)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    open_folder.chmod(0o555)
    elsewhere = Path(os.path.realpath(open_folder.parent)) / f"{open_folder.name}-copies"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    try:
        with without_privileges(), open_reader(read_only) as store:
            assert [run.id for run in store.runs()] == [1]
            assert store.check() == []
            store.backup(elsewhere / "copy.db")
        with open_store(elsewhere / "copy.db") as copy:
            assert len(copy.runs()) == 1
        assert os.listdir(open_folder) == ["advisor.db"]
    finally:
        shutil.rmtree(elsewhere)


def test_a_read_only_file_in_a_writable_folder_is_read(
    read_only: Path, open_folder: Path, without_privileges: Unprivileged
) -> None:
    open_folder.chmod(0o777)
    with without_privileges(), open_reader(read_only) as store:
        assert [run.id for run in store.runs()] == [1]
        with pytest.raises(StorageError, match="its home is read-only: .* --home"):
            store.delete_run(1)


def test_changes_that_wait_beside_a_read_only_file_are_never_left_out_in_silence(
    read_only: Path, open_folder: Path, without_privileges: Unprivileged
) -> None:
    open_folder.chmod(0o777)
    read_only.with_name("advisor.db-wal").write_bytes(b"changes of a killed program")
    open_folder.chmod(0o555)
    with without_privileges():
        for read in (open_reader, lambda path: list_runs(path, **ALL)):
            with pytest.raises(
                StorageError, match=r"changes in .*-wal, .* read-only: copy the home .*--home"
            ):
                read(read_only)


def test_an_older_database_that_cannot_be_written_says_what_to_do(
    open_folder: Path, without_privileges: Unprivileged
) -> None:
    path = open_folder / "advisor.db"
    dump = Path(__file__).parent.parent / "data" / "db" / "schema_0004.sql"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))
    path.chmod(0o444)
    open_folder.chmod(0o555)
    with without_privileges():
        for read in (open_reader, lambda path: list_runs(path, **ALL)):
            with pytest.raises(StorageError, match=r"has schema 0004 .* read-only: copy the home .*--home"):
                read(path)
    assert os.listdir(open_folder) == ["advisor.db"]


def test_a_reader_creates_nothing(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.mkdir()
    with pytest.raises(StorageError, match="must be a file"):
        open_reader(path)
