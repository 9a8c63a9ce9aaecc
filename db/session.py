"""Opening the database: a missing file is created, an older one is backed up and migrated.

Alembic is imported only if there is something to migrate. All migrations of one opening are one transaction
that begins IMMEDIATE. If two processes open a new file at the same time, one creates the tables and the other
waits. A migration that fails or is killed leaves the file as it was.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine

from advisor.errors import StorageError
from db.engine import BUSY_SECONDS, connection_to, engine_of, prefer_wal, storage_errors, writer_of
from db.queries import Store
from db.schema import HEAD, read_only, require_file, revision_of, shown
from db.upkeep import save_copy

SCRIPTS = Path(__file__).parent / "migrations"


def open_store(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Store:
    """Open the database.

    Args:
        path: path of the file; file and folder are created if they are missing.
        busy_seconds: longest wait for another process that writes.

    Raises:
        StorageError: the file is damaged, locked, read-only, newer than this program or from another program,
            or the disk is full. Nothing was written then.
    """
    path = path.absolute()  # the working directory may change
    engine = engine_of(path, busy_seconds)
    with storage_errors(path):
        _require_writable(path)
        _create(path)
        with closing(connection_to(path, busy_seconds)) as connection:
            revision = revision_of(connection, path)
        if revision != HEAD:
            migrate(path, engine)
        prefer_wal(path, busy_seconds)
    return Store(path, engine)


def _require_writable(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    require_file(path)
    # The folder must be writable too, because SQLite's journal is a file in it.
    needed = [path.parent, path] if path.exists() else [path.parent]
    if not all(os.access(each, os.W_OK) for each in needed):
        raise StorageError(read_only(shown(path)))


def _create(path: Path) -> None:
    """Create a missing file with the permissions that the umask grants, as all other files of a home.

    SQLite grants the right to write to the owner alone, but a home may belong to a group. Its further files
    have the permissions of this one.
    """
    if not path.exists():
        path.touch()


def migrate(path: Path, engine: Engine) -> None:
    """Back up the database and migrate its schema to `HEAD`, if it is not there yet.

    Args:
        path: path of the database; the backup is called ``<name>.backup-<revision>``.
        engine: engine of the database; its connections are closed at the end.

    Raises:
        StorageError: the same cases as for `open_store`.
    """
    try:
        with storage_errors(path), writer_of(engine).begin() as connection:
            revision = revision_of(_driver(connection), path)
            if revision == HEAD:
                return  # another process was first
            if revision is not None:
                save_copy(path, _free_name(path, revision))
            _upgrade(connection)
    finally:
        engine.dispose()


def _free_name(path: Path, revision: str) -> Path:
    name, number = f"{path.name}.backup-{revision}", 1
    while os.path.lexists(path.with_name(name)):
        number += 1
        name = f"{path.name}.backup-{revision}-{number}"
    return path.with_name(name)


def _upgrade(connection: Connection) -> None:
    # Alembic takes 0.2 s to import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Config reads % as interpolation.
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver
