"""Connections that only read, with the standard library alone; they work in a home that cannot be written.

To read a file in WAL mode, SQLite makes the file ``-shm`` beside it. Where it cannot, and nobody's changes
wait in ``-wal`` or ``-journal``, the file is opened as immutable: without locks and without that file. Where
changes wait, the file alone would give stale answers, so it is refused.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from advisor.errors import StorageError
from db.schema import shown

# Primary codes of SQLite where it cannot make or write a file beside the database.
_CANNOT_WRITE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


def is_writable(path: Path) -> bool:
    """Return whether this process may write a database, or create a missing one with its folders.

    The folder must be writable too, because SQLite's journal is a file in it. On a file system that is
    mounted for reading, nobody may write, root included.

    Args:
        path: path of the database.
    """
    nearest = next(each for each in (path.parent, *path.parent.parents) if each.exists())
    needed = [nearest, path] if path.exists() else [nearest]
    return all(os.access(each, os.W_OK) for each in needed)


def reading_connection(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Open a database to read; nothing is created, nothing is written.

    Args:
        path: path of the database.
        busy_seconds: longest wait for another process that writes.

    Raises:
        StorageError: changes wait beside the file, and the folder cannot be written.
        sqlite3.Error: the file cannot be read.
    """
    # Some bytes of a file name have a meaning in a URI, so all are quoted.
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro"
    try:
        return _tried(uri, busy_seconds)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _CANNOT_WRITE or not path.exists() or is_writable(path):
            raise
    waiting = _waiting(path)
    if waiting is not None:
        raise StorageError(
            f"the database {shown(path)} has changes in {shown(waiting)}, which cannot be read in a home "
            "that is read-only: copy the home to a writable folder, and name that with --home"
        )
    return _tried(f"{uri}&immutable=1", busy_seconds)


def _tried(uri: str, busy_seconds: float) -> sqlite3.Connection:
    """Open a URI and read from it: SQLite opens the file only then."""
    connection = sqlite3.connect(
        uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    connection.text_factory = text_of
    return connection


def text_of(content: bytes) -> str:
    """Return stored text; bytes that are not UTF-8 become surrogates, which the reader of a row refuses.

    By default SQLite's driver would refuse the whole query without the number of the row.
    """
    return str(content, "utf-8", "surrogateescape")


def _waiting(path: Path) -> Path | None:
    for suffix in ("-wal", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists() and beside.stat().st_size:
            return beside
    return None
