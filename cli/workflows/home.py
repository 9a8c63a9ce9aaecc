"""Where files live, what time it is, and how a workflow speaks while it works."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from advisor.errors import RunError, StorageError

# Of every JSON object that a command prints.
SCHEMA_VERSION = 1
PROJECT_FOLDER = Path(".advisor")


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
        """Measurements, recommendations and runs."""
        return self.path / "advisor.sqlite"

    @property
    def studies(self) -> Path:
        """Optuna's storage, a file of its own."""
        return self.path / "studies.sqlite"

    @property
    def data(self) -> Path:
        """Downloaded data sets."""
        return self.path / "data"

    def run_folder(self, relative: str) -> Path:
        """Folder of a run as the database names it."""
        return self.path / relative


class Say(Protocol):
    """Progress that a person may want to see; results never go this way."""

    def __call__(self, text: str, /) -> None:
        """Show one line."""


def now() -> str:
    """UTC time, ISO 8601, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for this process alone.

    Raises:
        RunError: another process holds it.
        StorageError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
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

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RunError(f"{what} is in use by another process: wait for it or stop it") from None
