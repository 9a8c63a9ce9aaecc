"""Connections to the file, and the one place where a database error becomes a `StorageError`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from db.schema import refusal

# What another process may hold the file for before it counts as locked; our own writes take milliseconds.
BUSY_SECONDS = 5.0

_BEGIN = "advisor_begin"


def engine_of(path: Path, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return an engine whose transactions see one state of the file; nothing is opened yet.

    A transaction begins DEFERRED, as readers want it; `writer_of` gives an engine over the same
    connections whose transactions begin IMMEDIATE.
    """

    def connect() -> sqlite3.Connection:
        return connection_to(path, busy_seconds)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    event.listen(engine, "begin", _begin)
    return engine


def writer_of(engine: Engine) -> Engine:
    """Return the engine to write with: it waits for its turn at BEGIN, not in the middle."""
    return engine.execution_options(**{_BEGIN: "IMMEDIATE"})


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN " + connection.get_execution_options().get(_BEGIN, "DEFERRED"))


def connection_to(path: Path, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open the file, creating it when missing.

    Args:
        path: of the database.
        busy_seconds: how long to wait for another process.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    # isolation_level None: sqlite3 would otherwise begin by itself, and not at all before DDL.
    # absolute: SQLite gives a meaning to ":memory:".
    connection = sqlite3.connect(
        path.absolute(), timeout=busy_seconds, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def prefer_wal(path: Path, busy_seconds: float = BUSY_SECONDS) -> None:
    """Give the file a write-ahead log, or leave it without where its file system refuses one.

    WAL lets others read during a write. It needs shared memory, which some network file systems lack, and
    a moment alone with the file; neither is worth a refusal, since both modes are equally durable.

    Args:
        path: of the database; this process must have no connection to it.
        busy_seconds: how long to wait for another process.

    Raises:
        sqlite3.OperationalError: the file cannot be written in either mode.
    """
    with closing(connection_to(path, busy_seconds)) as connection:
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            return
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # SQLite says "wal" before it has tried to write the shared memory.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return  # the next opening tries again
    # A bare connection: alone with the file from its first look at it, SQLite needs no shared memory.
    with closing(sqlite3.connect(path.absolute(), timeout=busy_seconds)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite, SQLAlchemy and the operating system raise into one line.

    Args:
        path: file that the line names.

    Raises:
        StorageError: locked, damaged, read-only, full, or a value that SQLite cannot hold.
    """
    try:
        yield
    except DBAPIError as error:
        raise refusal(path, error.orig or error) from error
    except (sqlite3.Error, OSError, OverflowError, UnicodeEncodeError) as error:
        raise refusal(path, error) from error
