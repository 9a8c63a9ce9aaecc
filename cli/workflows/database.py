"""The database itself: where it is, whether it is whole, a copy of it, and trainings done elsewhere."""

from __future__ import annotations

from pathlib import Path

from advisor.errors import DataError, StorageError
from advisor.files import read_regular
from cli.workflows.answers.database import DatabaseBackup, DatabaseCheck, DatabasePath, ImportedTrainings
from cli.workflows.clock import now
from cli.workflows.home import Home
from db.schema import shown

# Bytes of some ten thousand trainings with their curves.
LARGEST_IMPORT = 64 * 2**20


def path_of(home: Home) -> DatabasePath:
    """Return where the database is, without creating it."""
    return DatabasePath(database=str(home.database), studies=str(home.studies), exists=home.database.exists())


def check(home: Home) -> DatabaseCheck:
    """Return what is damaged in the database.

    Args:
        home: home of the database.

    Raises:
        StorageError: the database cannot be opened, or does not exist.
    """
    from db.session import open_reader

    _require(home)
    with open_reader(home.database) as store:
        return DatabaseCheck(database=str(home.database), problems=tuple(store.check()))


def require_whole(answer: DatabaseCheck) -> None:
    """Refuse to end well if there are problems; the answer that lists them comes first.

    Raises:
        StorageError: there are.
    """
    if count := len(answer.problems):
        raise StorageError(
            f"{answer.database} must have no problems, got {count}: put a backup (advisor db backup) in its "
            "place, or delete the runs that are named"
        )


def backup(home: Home, target: Path) -> DatabaseBackup:
    """Copy the database, which may be in use.

    Args:
        home: home of the database.
        target: new file to write.

    Raises:
        StorageError: the database does not exist, the target exists, or it cannot be written.
    """
    from db.upkeep import save_copy

    _require(home)
    # As it is: an older schema is not migrated, and whatever can be read is copied.
    save_copy(home.database, target)
    return DatabaseBackup(backup=str(target))


def import_trainings(home: Home, file: Path) -> ImportedTrainings:
    """Add the trainings of a CSV file to the evidence of the accuracy predictor, each once.

    A training that the database already has is completed by curves and errors that it lacked so far.

    Args:
        home: home of the database.
        file: CSV file, one training a row.

    Raises:
        DataError: the file cannot be read, or a column or a value is wrong; nothing is imported then.
        StorageError: the database refuses.
    """
    from advisor.accuracy.sources.reported import read_reported
    from db.session import open_store

    trainings = read_reported(_text_of(file), shown(file))
    with open_store(home.database) as store:
        imported = store.add_reported(trainings, source=shown(file), imported_at=now())
    return ImportedTrainings(
        file=shown(file),
        trainings=len(trainings),
        added=imported.added,
        already_there=len(trainings) - imported.added,
        completed=imported.completed,
    )


def _text_of(file: Path) -> str:
    """Return the text of a file, without the byte order mark with which some programs begin it."""
    try:
        return read_regular(file, LARGEST_IMPORT).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"cannot import {shown(file)}: it must be text in UTF-8; save it as such") from None
    except OSError as error:
        raise DataError(
            f"cannot import {shown(file)}: it must be a CSV file that exists, and {error.strerror or error}; "
            "check the path"
        ) from None


def _require(home: Home) -> None:
    if not home.database.exists():
        raise StorageError(f"there is no database at {home.database} yet: recommend or train makes one")
