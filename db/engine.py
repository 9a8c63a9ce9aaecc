"""Connections to the file, and the one place where a database error becomes a `StorageError`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from db.reading import reading_connection, text_of
from db.schema import refusal

# Seconds after which a file that another process writes counts as locked; our own writes take milliseconds.
BUSY_SECONDS = 5.0

_BEGIN = "advisor_begin"


def engine_of(path: Path, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return an engine whose transactions each see one state of the file; the file is not opened yet.

    A transaction begins DEFERRED, which is right for readers. `writer_of` returns an engine over the same
    connections whose transactions begin IMMEDIATE.

    Args:
        path: path of the database.
        busy_seconds: longest wait for another process that writes.
    """
    return _engine_of(lambda: connection_to(path, busy_seconds))


def reading_engine_of(path: Path, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return an engine that only reads, also where nothing can be written; arguments as for `engine_of`."""
    return _engine_of(lambda: reading_connection(path, busy_seconds))


def _engine_of(connect: Callable[[], sqlite3.Connection]) -> Engine:
    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    event.listen(engine, "begin", _begin)
    return engine


def writer_of(engine: Engine) -> Engine:
    """Return the engine to write with; its transactions wait for other writers at BEGIN, not later."""
    return engine.execution_options(**{_BEGIN: "IMMEDIATE"})


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN " + connection.get_execution_options().get(_BEGIN, "DEFERRED"))


def connection_to(path: Path, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open the file, creating it when missing.

    Args:
        path: path of the database.
        busy_seconds: longest wait for another process that writes.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """
    # isolation_level=None: otherwise sqlite3 begins transactions by itself, and none before DDL.
    # absolute(): a file may be called ":memory:", which has a meaning of its own to SQLite.
    connection = sqlite3.connect(
        path.absolute(), timeout=busy_seconds, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.text_factory = text_of
    return connection


def prefer_wal(path: Path, busy_seconds: float = BUSY_SECONDS) -> None:
    """Switch the file to a write-ahead log (WAL), unless the file system does not support one.

    With WAL others can read during a write. It needs shared memory, which some network file systems lack, and
    a moment without other connections. Both modes are equally durable, so neither is a reason to refuse the
    file.

    Args:
        path: path of the database; this process must have no connection to it.
        busy_seconds: longest wait for another process that writes.

    Raises:
        sqlite3.OperationalError: the file cannot be written in either mode.
    """
    with closing(connection_to(path, busy_seconds)) as connection:
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            return
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # SQLite answers "wal" before it has tried to write the shared memory.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return  # the next opening tries again
    # A connection with an exclusive lock from the start needs no shared memory.
    with closing(sqlite3.connect(path.absolute(), timeout=busy_seconds)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite, SQLAlchemy and the operating system into one line.

    Args:
        path: path of the file, which the line names.

    Raises:
        StorageError: the file is locked, damaged, read-only or full, or SQLite cannot store a value.
    """
    try:
        yield
    except DBAPIError as error:
        raise refusal(path, error.orig or error) from error
    except (sqlite3.Error, OSError, OverflowError, UnicodeEncodeError) as error:
        raise refusal(path, error) from error
