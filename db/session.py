"""Opening the database: a file that is missing is created, an older one is saved and migrated.

Alembic is imported only when there is something to migrate. Every migration of one opening happens in one
transaction that begins IMMEDIATE: of two processes that open a new file at once, one creates the tables
and the other waits for it; a migration that fails or is killed leaves the file as it was.
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
        path: of the file; it and its folder are created when missing.
        busy_seconds: how long to wait for another process that writes.

    Raises:
        StorageError: the file is damaged, locked, read-only, newer than this program, of another
            program, or there is no space; nothing was written then.
    """
    path = path.absolute()  # the working directory may change
    engine = engine_of(path, busy_seconds)
    with storage_errors(path):
        _require_writable(path)
        with closing(connection_to(path, busy_seconds)) as connection:
            revision = revision_of(connection, path)
        if revision != HEAD:
            migrate(path, engine)
        prefer_wal(path, busy_seconds)
    return Store(path, engine)


def _require_writable(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    require_file(path)
    # The folder too: SQLite's journal is a file beside the database.
    needed = [path.parent, path] if path.exists() else [path.parent]
    if not all(os.access(each, os.W_OK) for each in needed):
        raise StorageError(read_only(shown(path)))


def migrate(path: Path, engine: Engine) -> None:
    """Bring the schema up to `HEAD`, after a backup of what was there; nothing to do is fine.

    Args:
        path: of the database; the backup is called ``<name>.backup-<revision>``.
        engine: over it; its connections are closed again.

    Raises:
        StorageError: as `open_store`.
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
