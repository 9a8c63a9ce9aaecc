"""Where files live, what time it is, and how a workflow speaks while it works."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from advisor.errors import RunError, StorageError

# Of every JSON object that a command prints.
SCHEMA_VERSION = 1
PROJECT_FOLDER = Path(".advisor")
LOCK = "lock"
# A query that asks for a lock holds it for a moment; who wants to keep it tries again for so long.
LOCK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of everything that the program writes."""

    path: Path

    @classmethod
    def find(cls, wanted: Path | None) -> Home:
        """Return the folder asked for, or the project's, or the user's."""
        if wanted is not None:
            return cls(wanted.expanduser().absolute())
        if PROJECT_FOLDER.is_dir():
            return cls(PROJECT_FOLDER.absolute())
        from platformdirs import user_data_path

        return cls(user_data_path("ensemble-advisor"))

    @property
    def database(self) -> Path:
        """Measurements, recommendations and runs.

        Raises:
            StorageError: there is something else where the folder would have to be.
        """
        _require_folder(self.path)
        return self.path / "advisor.sqlite"

    @property
    def studies(self) -> Path:
        """Optuna's journals, one file a search."""
        return self.path / "studies"

    @property
    def data(self) -> Path:
        """Downloaded data sets."""
        return self.path / "data"

    def run_folder(self, relative: str) -> Path:
        """Folder of a run as the database names it."""
        return self.path / relative


def now() -> str:
    """UTC time, ISO 8601, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def _require_folder(path: Path) -> None:
    """Refuse a home that is, or lies below, a file: SQLite would only say that there is no database."""
    nearest = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if not nearest.is_dir():
        raise StorageError(
            f"the home {path} must be a folder, which {nearest} is not: choose another with --home"
        )


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for this process alone.

    Raises:
        RunError: another process holds it.
        StorageError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}") from None
    try:
        _lock(descriptor, what)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, what: str) -> None:
    if os.name != "posix":
        return
    import fcntl

    until = time.monotonic() + LOCK_SECONDS
    while True:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() >= until:
            raise RunError(f"{what} is in use by another process: wait for it or stop it")
        time.sleep(LOCK_SECONDS / 10)


def is_held(folder: Path) -> bool:
    """Whether a living process holds a folder; asking writes nothing. Where there are no locks, always."""
    if os.name != "posix":
        return True
    import fcntl

    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
