"""Checks and copies of the whole database."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from advisor.errors import StorageError, UsageError
from advisor.files import STREAM
from db.checks.damage import SEE_CHECK, DamagedRowError
from db.checks.structure import differences, structure_of, structure_of_code
from db.conversion.confusion import confusion_of
from db.conversion.looks import look_of
from db.conversion.measurements import measurement_of
from db.conversion.reported import reported_of
from db.conversion.runs import epoch_of, run_of, step_of
from db.conversion.validation_classes import classes_of
from db.engine import BUSY_SECONDS, storage_errors
from db.models import (
    Base,
    ConfusionRow,
    EpochRow,
    LookRow,
    MeasurementRow,
    RecommendationRow,
    ReportedTrainingRow,
    RunRow,
    StepRow,
    ValidationClassesRow,
)
from db.reading import reading_connection
from db.recommendations import recommendation_of
from db.schema import shown

# By table, the function that reads a row as a record; it fails where the row is damaged.
_READERS: dict[type[Base], Callable[[Any], object]] = {
    RunRow: run_of,
    EpochRow: epoch_of,
    StepRow: step_of,
    ConfusionRow: confusion_of,
    ValidationClassesRow: classes_of,
    MeasurementRow: measurement_of,
    RecommendationRow: recommendation_of,
    ReportedTrainingRow: reported_of,
    LookRow: look_of,
}


def problems(path: Path, engine: Engine) -> list[str]:
    """Return the defects of the database, one line each: of its pages, references, tables and rows.

    Args:
        path: path of the file, for messages.
        engine: engine of the database.
    """
    found: list[str] = []
    try:
        with storage_errors(path), Session(engine) as session:
            # From generators, so defects found before the file became unreadable are kept.
            found.extend(_pages(session))
            structure = structure_of(_driver(session))
            found.extend(differences(structure, structure_of_code()))
            for table, read in _READERS.items():
                # A table without a column cannot be read; the line above says so.
                if all(
                    (table.__tablename__, f"column {c.name}") in structure for c in table.__table__.columns
                ):
                    found.extend(_rows(session, table, read))
    except StorageError as error:
        found.append(str(error))
    return found


def _pages(session: Session) -> Iterator[str]:
    connection = session.connection()
    for (line,) in connection.exec_driver_sql("PRAGMA integrity_check"):
        if line != "ok":
            yield f"integrity: {line}"
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} belongs to a row of {parent} that is not there"


def _driver(session: Session) -> sqlite3.Connection:
    driver = session.connection().connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _rows(session: Session, table: type[Base], read: Callable[[Any], object]) -> Iterator[str]:
    for row in session.scalars(select(table).order_by("id").execution_options(yield_per=100)):
        try:
            read(row)
        except DamagedRowError as error:
            yield str(error).removesuffix(SEE_CHECK)


def save_copy(path: Path, target: Path) -> None:
    """Copy a database into one file that appears complete or not at all.

    Args:
        path: path of the database; others may read and write it meanwhile.
        target: path of the copy.

    Raises:
        UsageError: `target` exists already.
        StorageError: `path` cannot be read, or `target` cannot be written.
    """
    _refuse_existing(target)
    # A name that is made of the target's could be longer than a name may be.
    part = target.with_name(f".advisor-{os.getpid()}.part")
    with storage_errors(path), closing(reading_connection(path, BUSY_SECONDS)) as source:
        # Begin to read here. A locked file is refused here, while Connection.backup would wait for ever.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with storage_errors(target):
            _save(source, part, target)


def _save(source: sqlite3.Connection, part: Path, target: Path) -> None:
    try:
        with closing(sqlite3.connect(part.absolute())) as copy:
            # The copy inherits WAL. With an exclusive lock it needs no shared memory.
            copy.execute("PRAGMA locking_mode = EXCLUSIVE")
            source.backup(copy)
            # With DELETE the copy is a single file, which can be opened on read-only media.
            copy.execute("PRAGMA journal_mode = DELETE")
        _sync(part)
        _refuse_existing(target)
        os.rename(part, target)
        _sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _refuse_existing(target: Path) -> None:
    if str(target) == STREAM:
        raise UsageError(f"a backup is a file, got {STREAM!r}: name one")
    if os.path.lexists(target):
        raise UsageError(f"a backup never overwrites, and {shown(target)} exists: choose another name")


def _sync(path: Path) -> None:
    """Make the operating system write a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
