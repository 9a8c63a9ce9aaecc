"""Opening the database: a missing file is created, an older one is backed up and migrated.

Alembic is imported only if there is something to migrate. All migrations of one opening are one transaction
that begins IMMEDIATE. If two processes open a new file at the same time, one creates the tables and the other
waits. A migration that fails or is killed leaves the file as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError

from advisor.errors import StorageError
from db.backups import copy_of, kept_copy
from db.checks.structure import differences, structure_of, structure_of_code
from db.engine import (
    BUSY_SECONDS,
    connection_to,
    engine_of,
    prefer_wal,
    reading_engine_of,
    storage_errors,
    writer_of,
)
from db.queries import Store
from db.reading import is_writable, reading_connection
from db.schema import HEAD, older, one_line, read_only, refusal, require_file, revision_of, shown

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
    with storage_errors(path):
        _require_writable(path)
        _create(path)
        return _opened(path, busy_seconds, migrate)


def open_reader(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Store:
    """Open the database for a command that only reads; the home need not be writable.

    Where the home is writable, an older database is migrated as by `open_store`, but a migration that failed
    before is not tried again.

    Args:
        path: path of the file, which exists.
        busy_seconds: longest wait for another process that writes.

    Raises:
        StorageError: the file is damaged, locked, newer than this program or from another program, or it is
            older and cannot be migrated. Nothing was written then.
    """
    path = path.absolute()
    with storage_errors(path):
        require_file(path)
        if is_writable(path):
            return _opened(path, busy_seconds, _migrate_once)
        with closing(reading_connection(path, busy_seconds)) as connection:
            revision = revision_of(connection, path)
        if revision != HEAD:
            raise older(path, revision)
        return Store(path, reading_engine_of(path, busy_seconds))


def _opened(path: Path, busy_seconds: float, update: Callable[[Path, Engine], None]) -> Store:
    """Open a file that may be written; `update` brings it to `HEAD`."""
    engine = engine_of(path, busy_seconds)
    with closing(connection_to(path, busy_seconds)) as connection:
        revision = revision_of(connection, path)
    if revision != HEAD:
        update(path, engine)
    prefer_wal(path, busy_seconds)
    return Store(path, engine)


def _require_writable(path: Path) -> None:
    if not is_writable(path):
        raise StorageError(read_only(shown(path)))
    path.parent.mkdir(parents=True, exist_ok=True)
    require_file(path)


def _migrate_once(path: Path, engine: Engine) -> None:
    """Migrate as `migrate` does, unless a copy tells that it was tried with what the file contains now.

    Raises:
        StorageError: it was tried, or the same cases as for `open_store`.
    """
    with closing(connection_to(path, BUSY_SECONDS)) as connection:
        revision = revision_of(connection, path)
    if revision is not None and (copy := copy_of(path, revision)):
        raise StorageError(
            f"the database {shown(path)} has schema {revision}, and {copy.name} is a copy of it from a "
            "migration that failed: upgrade advisor, or use a command that writes, which tries again"
        )
    migrate(path, engine)


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
        path: path of the database; `db.backups` has the name of its copy.
        engine: engine of the database; its connections are closed at the end.

    Raises:
        StorageError: the tables are not those of the schema, a migration fails, or the same cases as for
            `open_store`.
    """
    try:
        with storage_errors(path), writer_of(engine).begin() as connection:
            revision = revision_of(_driver(connection), path)
            if revision == HEAD:
                return  # another process was first
            if revision is None:
                _upgrade(connection, HEAD)
                return
            _require_tables(_driver(connection), revision, path)
            copy = kept_copy(path, revision)
            try:
                _upgrade(connection, HEAD)
            except Exception as error:
                raise _failed(path, revision, copy, error) from error
    finally:
        engine.dispose()


def _require_tables(connection: sqlite3.Connection, revision: str, path: Path) -> None:
    """Refuse a database whose tables are not those of its schema: its migration would end in the middle.

    What no schema has, such as an index of the user's, is left alone.

    Raises:
        StorageError: a table, column or index is missing, differs, or is of a later schema.
    """
    engine = create_engine("sqlite://")
    with engine.connect() as memory:
        _upgrade(memory, revision)
        wanted = structure_of(_driver(memory))
    engine.dispose()
    later = structure_of_code()
    found = {part: text for part, text in structure_of(connection).items() if part in wanted or part in later}
    if lines := differences(found, wanted):
        raise StorageError(
            f"the database {shown(path)} must have the tables of its schema {revision}, but "
            f"{lines[0].removeprefix('schema: ')}: put a backup in its place"
        )


def _failed(path: Path, revision: str, copy: Path, error: Exception) -> StorageError:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if isinstance(cause, OSError) or code not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT):
        return refusal(path, cause)  # the disk, not the migration
    return StorageError(
        f"the database {shown(path)} cannot be brought from schema {revision} to {HEAD} ({one_line(cause)}) "
        f"and stays as it is, with a copy in {copy.name}: upgrade advisor, or put another backup in place"
    )


def _upgrade(connection: Connection, revision: str) -> None:
    # Alembic takes 0.2 s to import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Config reads % as interpolation.
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver
