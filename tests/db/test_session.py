from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from advisor.errors import StorageError
from advisor.plans.records import EpochRecord, Run
from db.queries import Store
from db.schema import HEAD
from db.session import open_store

NewRun = Callable[[Store], Run]
NewEpoch = Callable[..., EpochRecord]
Locked = Callable[[Path], AbstractContextManager[None]]
Unprivileged = Callable[[], AbstractContextManager[None]]

# As another program would leave it.
FOREIGN = "CREATE TABLE books (title TEXT); INSERT INTO books VALUES ('A');"
OPTUNA = "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('v3.2.0.a');"
OTHER_ALEMBIC = (
    "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('0001');"
)


def execute(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def refused(path: Path) -> str:
    """The line with which opening is refused; nothing may be written."""
    before = path.read_bytes()
    with pytest.raises(StorageError) as caught:
        open_store(path, busy_seconds=0.2)
    assert path.read_bytes() == before
    line = str(caught.value)
    assert str(path) in line
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    "name", ["plain.db", "with space.db", "100%41?mode=ro&x#y.db", "größe-数据.db", ":memory:", "a'b\".db"]
)
def test_any_file_name_in_a_missing_folder_is_created(tmp_path: Path, new_run: NewRun, name: str) -> None:
    path = tmp_path / "new folder" / "50%" / name
    with open_store(path) as store:
        run = new_run(store)
    assert path.is_file()
    with open_store(path) as store:
        assert store.run(run.id) == run


def test_a_relative_path_does_not_follow_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_run: NewRun
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store(Path("advisor.db")) as store:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        new_run(store)
    assert os.listdir(tmp_path / "elsewhere") == []


def test_an_empty_file_gets_the_tables(path: Path) -> None:
    path.touch()
    with open_store(path) as store:
        assert store.check() == []
    assert pragma(path, "journal_mode") == "wal"


def test_every_connection_is_durable_and_keeps_references(store: Store) -> None:
    with store.engine.connect() as connection:
        values = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert values == ["wal", 2, 1, 200]  # 2 is FULL


def test_closing_leaves_one_file(path: Path, new_run: NewRun) -> None:
    with open_store(path) as store:
        new_run(store)
    assert os.listdir(path.parent) == [path.name]


def test_a_file_system_without_shared_memory_gets_no_write_ahead_log(path: Path, new_run: NewRun) -> None:
    # A folder in its place: SQLite cannot map shared memory.
    path.with_name(path.name + "-shm").mkdir()
    with open_store(path) as store:
        new_run(store)
    with open_store(path) as store:
        new_run(store)
        assert len(store.runs()) == 2
    assert pragma(path, "journal_mode") == "delete"


def test_a_locked_database_is_refused_after_the_time_out_and_works_again(
    locked: Locked, path: Path, store: Store, new_run: NewRun
) -> None:
    run = new_run(store)
    with locked(path):
        with pytest.raises(StorageError, match="locked by another process"):
            new_run(store)
        assert store.runs() == [run]  # WAL: reading goes on
    assert new_run(store).id == run.id + 1


def test_a_database_locked_without_write_ahead_log_is_refused_on_opening(locked: Locked, path: Path) -> None:
    open_store(path).close()
    execute(path, "PRAGMA journal_mode = DELETE")
    with locked(path):
        assert "locked by another process" in refused(path)
    open_store(path).close()


@pytest.mark.parametrize("content", [b"xy", b"not a database, but text\n" * 400, os.urandom(8192)])
def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "is damaged" in refused(path)


def test_a_damaged_header_is_refused(path: Path) -> None:
    open_store(path).close()
    content = bytearray(path.read_bytes())
    content[3] ^= 0xFF
    path.write_bytes(content)
    assert "is damaged" in refused(path)


def test_a_truncated_database_is_reported_and_left_as_it_is(
    path: Path, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    with open_store(path) as store:
        run = new_run(store)
        for epoch in range(100):
            store.record_epoch(run.id, epoch_of(epoch, size=3000))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])

    def read() -> None:
        with open_store(path) as store:
            store.epochs(run.id)

    with pytest.raises(StorageError, match="is damaged"):
        read()
    assert path.read_bytes() == content[: len(content) // 2]


def test_a_newer_database_is_refused(path: Path) -> None:
    open_store(path).close()
    newer = f"{int(HEAD) + 1:04d}"
    execute(path, f"UPDATE alembic_version SET version_num = '{newer}'")
    assert f"has schema {newer} and this program reads up to {HEAD}: upgrade advisor" in refused(path)


@pytest.mark.parametrize("script", [FOREIGN, OPTUNA, OTHER_ALEMBIC])
def test_a_database_of_another_program_is_refused(path: Path, script: str) -> None:
    execute(path, script)
    assert "is a database of another program" in refused(path)


def test_a_folder_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StorageError, match="must be a file"):
        open_store(path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(StorageError, match=r"home.advisor\.db cannot be opened"):
        open_store(tmp_path / "home" / "advisor.db")


def test_a_read_only_file_is_refused(open_folder: Path, without_privileges: Unprivileged) -> None:
    path = open_folder / "advisor.db"
    open_store(path).close()
    path.chmod(0o444)
    with without_privileges():
        assert "cannot be written" in refused(path)


def test_a_file_that_cannot_be_read_is_refused(open_folder: Path, without_privileges: Unprivileged) -> None:
    path = open_folder / "advisor.db"
    open_store(path).close()
    path.chmod(0)
    with without_privileges(), pytest.raises(StorageError, match="cannot be written"):
        open_store(path)


def test_a_folder_that_cannot_be_written_is_refused(
    open_folder: Path, without_privileges: Unprivileged
) -> None:
    open_folder.chmod(0o555)
    with without_privileges():
        with pytest.raises(StorageError, match="cannot be written"):
            open_store(open_folder / "advisor.db")
        with pytest.raises(StorageError, match="cannot be written"):
            open_store(open_folder / "home" / "advisor.db")
    assert os.listdir(open_folder) == []


def test_a_file_that_becomes_read_only_is_refused_in_one_line(store: Store, new_run: NewRun) -> None:
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match="cannot be written"):
        new_run(store)


def test_a_full_disk_loses_nothing_that_was_stored(store: Store, new_run: NewRun, epoch_of: NewEpoch) -> None:
    run = new_run(store)
    stored = epoch_of(0)
    store.record_epoch(run.id, stored)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # as small as the file now is
    with pytest.raises(StorageError, match="no space is left for the database"):
        store.record_epoch(run.id, epoch_of(1, size=100_000))
    assert store.epochs(run.id) == [stored]
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    store.record_epoch(run.id, epoch_of(1, size=100_000))
    assert store.check() == []


def test_a_file_that_may_not_grow_while_it_is_created_can_be_created_later(path: Path) -> None:
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from db.session import open_store\n"
        "from advisor.errors import StorageError\n"
        "sys.dont_write_bytecode = True\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
        "try:\n"
        "    open_store(Path(sys.argv[1]))\n"
        "except StorageError as error:\n"
        "    sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"the database {path} cannot be read or written" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    with open_store(path) as store:
        assert store.check() == []
