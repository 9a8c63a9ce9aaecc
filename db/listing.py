"""A quick listing of runs, read with the standard library's sqlite3.

`advisor runs list` must answer at once, and importing SQLAlchemy alone takes longer than that. So this module
imports neither SQLAlchemy nor anything that needs numpy. It only reads, and the columns of ``runs`` below are
all that it knows of the tables.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from advisor.errors import UnknownNameError, UsageError
from db.checks.damage import check_value, damaged, leave_out
from db.reading import is_writable, reading_connection, text_of
from db.schema import HEAD, older, refusal, require_file, revision_of

BUSY_SECONDS = 5.0

Row = dict[str, object]

# Columns of the table `runs`, in the order in which they are returned.
COLUMNS = (
    "id",
    "created_at",
    "status",
    "design",
    "dataset",
    "family",
    "method",
    "epochs",
    "members",
    "clusters",
    "batch",
    "seed",
    "device",
    "parameters",
    "train_seconds",
    "predicted_train_seconds",
    "test_error",
    "predicted_test_error",
    "mean_member_error",
    "voting_error",
    "super_learner_error",
    "best_member_error",
    "calibration_error",
    "fingerprint",
    "message",
    "overhead_seconds",
)

# Columns that are compared as numbers; all others are compared as text.
NUMBERS: Mapping[str, type[int] | type[float]] = {
    "id": int,
    "epochs": int,
    "members": int,
    "clusters": int,
    "batch": int,
    "seed": int,
    "parameters": int,
    "train_seconds": float,
    "predicted_train_seconds": float,
    "test_error": float,
    "predicted_test_error": float,
    "mean_member_error": float,
    "voting_error": float,
    "super_learner_error": float,
    "best_member_error": float,
    "calibration_error": float,
    "overhead_seconds": float,
}

# Columns that may be empty.
OPTIONAL = frozenset(name for name, kind in NUMBERS.items() if kind is float) - {"train_seconds"}


_STORED_AS = {int: "'integer'", float: "'real', 'integer'", str: "'text'"}


def _usual(name: str) -> str:
    """Return the condition that a column has a value of its type."""
    types = _STORED_AS[NUMBERS.get(name, str)] + (", 'null'" if name in OPTIONAL else "")
    return f"typeof({name}) IN ({types})"


_USUAL = " AND ".join(map(_usual, COLUMNS))
# SQLite's integers have 64 bits.
_LARGEST = 2**63 - 1


def list_runs(
    path: Path,
    *,
    where: Mapping[str, str],
    sort: str,
    descending: bool,
    limit: int | None,
    busy_seconds: float = BUSY_SECONDS,
) -> list[dict[str, object]]:
    """Return runs, each as a dict of `COLUMNS`; a missing file has none and is not created.

    A row with a value that its column cannot have is left out, and the log says so.

    Args:
        path: path of the database.
        where: wanted value of each column as text; a run must have all of them.
        sort: column to sort by. Runs without a value come last; equal runs are in the order of their ids.
        descending: whether the largest value comes first.
        limit: largest number of runs; None: no limit.
        busy_seconds: longest wait for another process that writes.

    Raises:
        UnknownNameError: `where` or `sort` names a column that does not exist.
        UsageError: a value or `limit` is not a number where it must be one.
        StorageError: the file is damaged, locked, newer than this program, or of another program.
    """
    query, values = _query(where, sort, descending, limit)
    if not os.path.lexists(path):
        return []
    try:
        require_file(path)
        with closing(reading_connection(path, busy_seconds)) as connection:
            revision = revision_of(connection, path)
            if revision == HEAD:
                return _sound(connection, query, values, path)
    except (sqlite3.Error, OSError, UnicodeEncodeError) as error:
        raise refusal(path, error) from error
    if revision is None:
        return []
    if not is_writable(path):
        raise older(path, revision)
    _migrate(path, busy_seconds)
    return list_runs(
        path, where=where, sort=sort, descending=descending, limit=limit, busy_seconds=busy_seconds
    )


def _query(
    where: Mapping[str, str], sort: str, descending: bool, limit: int | None
) -> tuple[str, list[str | int | float]]:
    # Against SQL injection: names come from COLUMNS alone, values are parameters.
    values = [_value(_column(name), text) for name, text in where.items()]
    query = f"SELECT {', '.join(COLUMNS)}, {_USUAL} FROM runs"
    if where:
        query += " WHERE " + " AND ".join(f"{name} = ?" for name in where)
    query += f" ORDER BY {_column(sort)} IS NULL, {sort} {'DESC' if descending else 'ASC'}, id"
    if limit is not None:
        if limit < 1:
            raise UsageError(f"the number of runs must be at least 1, got {limit}")
        query += " LIMIT ?"
        # A limit beyond SQLite's integers means no limit.
        values.append(min(limit, _LARGEST))
    return query, values


def _column(name: str) -> str:
    if name not in COLUMNS:
        raise UnknownNameError("column", name, COLUMNS)
    return name


def _value(column: str, text: str) -> str | int | float:
    kind = NUMBERS.get(column)
    if kind is None:
        return text
    what = "a whole number" if kind is int else "a number"
    try:
        value = kind(text)
    except ValueError:
        raise UsageError(f"{column} must be {what}, got {text!r}") from None
    if kind is int and not -_LARGEST <= value <= _LARGEST:
        raise UsageError(f"{column} must be {what} below 2**63, got {text}")
    return value


def _sound(connection: sqlite3.Connection, query: str, values: Sequence[object], path: Path) -> list[Row]:
    """Return the rows of a query by column, without the damaged ones, each of which the log names once."""
    try:
        # As fast as the driver can: SQLite itself compares the types.
        connection.text_factory = str
        rows = connection.execute(query, values).fetchall()
    except sqlite3.OperationalError:
        # Perhaps a text that is not UTF-8, which the check of its row then refuses.
        connection.text_factory = text_of
        rows = [(*row[:-1], False) for row in connection.execute(query, values)]
    found = []
    for row in rows:
        by_column = dict(zip(COLUMNS, row[:-1], strict=True))
        if row[-1] or _is_sound(by_column, path):
            found.append(by_column)
    return found


def _is_sound(row: Row, path: Path) -> bool:
    try:
        for name, value in row.items():
            check_value(name, value, NUMBERS.get(name, str), name in OPTIONAL)
        return True
    except ValueError as error:
        leave_out(path, damaged("runs", int(str(row["id"])), error))
        return False


def _migrate(path: Path, busy_seconds: float) -> None:
    # Only once after an upgrade, so the import of SQLAlchemy and Alembic may take its time.
    from db.session import open_reader

    open_reader(path, busy_seconds=busy_seconds).close()
