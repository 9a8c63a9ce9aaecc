"""The version of the schema and the wording of every refusal, with the standard library alone.

`db.session` opens the file with SQLAlchemy, and `db.listing` without it, because importing SQLAlchemy takes
longer than listing ten thousand runs. This module has what both need. The version of a schema is the revision
that Alembic writes into the table ``alembic_version``: four digits, beginning with ``0001``.
"""

from __future__ import annotations

import errno
import re
import sqlite3
from pathlib import Path

from advisor.errors import LockedError, StorageError

# Newest revision of Alembic's scripts; tests/db/test_migrations.py compares them.
HEAD = "0012"

_REVISION = re.compile(r"\d{4}")
# Tables since the first schema. Other programs have a table `runs` too, but hardly two of these.
_OWN = {"runs", "epochs", "steps", "measurements", "recommendations"}


def folder_of(run_id: int) -> str:
    """Return the folder of a run, relative to the home folder."""
    return f"runs/{run_id:04d}"


def shown(path: Path) -> str:
    """Return a path as one line of text, whatever bytes its name has."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def require_file(path: Path) -> None:
    """Refuse a folder or a device in place of the file; a missing file is accepted.

    Raises:
        StorageError: `path` exists and is not a file.
    """
    if path.exists() and not path.is_file():
        raise StorageError(f"the database {shown(path)} must be a file: choose another path")


def revision_of(connection: sqlite3.Connection, path: Path) -> str | None:
    """Return the revision of a database; None for a database without tables.

    Args:
        connection: open connection, which is only read from.
        path: path of the file, for messages.

    Raises:
        StorageError: the database belongs to another program, or is newer than this program.
        sqlite3.Error: the file cannot be read.
    """
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    names = {name for name in names if not name.startswith("sqlite_")}
    stamps: list[str] = []
    if "alembic_version" in names:
        stamps = [str(stamp) for (stamp,) in connection.execute("SELECT version_num FROM alembic_version")]
    if not stamps and names <= {"alembic_version"}:
        return None
    if not stamps or len(names & _OWN) < 2:
        raise StorageError(
            f"{shown(path)} is a database of another program and stays as it is: choose another folder"
        )
    return _known(", ".join(stamps), path)


def _known(stamp: str, path: Path) -> str:
    """Return a stamp that this program knows.

    Raises:
        StorageError: it is of no schema, or of a newer one.
    """
    if _REVISION.fullmatch(stamp) and "0001" <= stamp <= HEAD:
        return stamp
    if _REVISION.fullmatch(stamp) and stamp > HEAD:
        raise StorageError(
            f"the database {shown(path)} has schema {stamp} and this program reads up to {HEAD}: "
            "upgrade advisor"
        )
    raise StorageError(
        f"the database {shown(path)} must have a schema from 0001 to {HEAD}, got the stamp {stamp[:40]!r}: "
        "put a backup in its place"
    )


def older(path: Path, revision: str | None) -> StorageError:
    """Return the refusal of a read-only database with an older schema, or without tables (None)."""
    has = "has no tables" if revision is None else f"has schema {revision}"
    return StorageError(
        f"the database {shown(path)} {has} and must be brought to {HEAD}, but its home is read-only: copy "
        "the home to a writable folder, and name that with --home"
    )


def refusal(path: Path, error: BaseException) -> StorageError:
    """Return an error of SQLite or the operating system as one line: rule, file, remedy."""
    if isinstance(error, sqlite3.Error):
        # The low byte of an extended code is its primary code (https://www.sqlite.org/rescode.html).
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        locked = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        return (LockedError if locked else StorageError)(_sqlite_line(shown(path), code, error))
    if isinstance(error, OSError):
        return StorageError(_system_line(shown(path), error))
    return StorageError(f"the database {shown(path)} cannot hold a value: {one_line(error)}")


def one_line(error: BaseException) -> str:
    """Return the message of an error without line breaks."""
    return " ".join(str(error).split())


def _sqlite_line(where: str, code: int, error: sqlite3.Error) -> str:
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"the database {where} is locked by another process: stop that one, or wait until it has ended"
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return (
            f"the database {where} is damaged ({one_line(error)}): put a backup in its place, or move it "
            "away to start a new one"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return read_only(where)
    if code == sqlite3.SQLITE_FULL:
        return _full(where)
    if code == sqlite3.SQLITE_CANTOPEN:
        return f"the database {where} cannot be opened: check that it is a file in a writable folder"
    if code == sqlite3.SQLITE_IOERR:
        return f"the database {where} cannot be read or written ({one_line(error)}): check its disk"
    return f"the database {where} refuses ({one_line(error)}): upgrade advisor, or put a backup in its place"


def _system_line(where: str, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(where)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return read_only(where)
    reason = error.strerror or one_line(error)
    return f"the database {where} cannot be opened ({reason}): check the path, or choose another folder"


def read_only(where: str) -> str:
    """Return the message about a file that can only be read; `where` is its path as text."""
    return (
        f"the database {where} cannot be written, because its home is read-only: make the file and its "
        "folder writable, or choose another home with --home"
    )


def _full(where: str) -> str:
    return f"no space is left for the database {where}: free some disk space and try again"
