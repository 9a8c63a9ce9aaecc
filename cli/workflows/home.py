"""The home: the folder of everything that the program writes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import StorageError, UsageError
from cli.workflows.locks import is_trained

PROJECT_FOLDER = Path(".advisor")
_RUN_FOLDER = re.compile(r"runs/\d{4,}")


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of everything that the program writes.

    Attributes:
        path: absolute path of the folder.
    """

    path: Path

    @classmethod
    def find(cls, wanted: Path | None) -> Home:
        """Return the wanted home, or else the project's, or else the user's.

        Args:
            wanted: folder that the user names, None for none.

        Raises:
            UsageError: the folder begins with ``~``, and nobody knows that user's folder; or none is named,
                and the system knows no folder of this user.
        """
        if wanted is not None:
            try:
                return cls(wanted.expanduser().absolute())
            except RuntimeError:
                raise UsageError(
                    f"the home {wanted} begins with a user whose folder the system does not know: name a "
                    "folder with --home"
                ) from None
        if PROJECT_FOLDER.is_dir():
            return cls(PROJECT_FOLDER.absolute())
        from platformdirs import user_data_path

        try:
            # Older versions give a path that begins with ~ where newer ones raise an error.
            return cls(user_data_path("ensemble-advisor").expanduser())
        except RuntimeError:
            raise UsageError(
                "the system knows no folder of this user: name one for the database and the runs with --home"
            ) from None

    @property
    def database(self) -> Path:
        """File of measurements, recommendations and runs.

        Raises:
            StorageError: the home is not a folder, or lies below something that is not.
        """
        _require_folder(self.path)
        return self.path / "advisor.sqlite"

    @property
    def studies(self) -> Path:
        """Folder of Optuna's journals, one file a search."""
        return self.path / "studies"

    @property
    def probes(self) -> Path:
        """Folder of the checkpoints of probes while they train."""
        return self.path / "probes" / "training"

    @property
    def kept_probes(self) -> Path:
        """Folder of the trained networks of probes that are kept."""
        return self.path / "probes" / "kept"

    @property
    def data(self) -> Path:
        """Folder of downloaded data sets."""
        return self.path / "data"

    @property
    def headers(self) -> Path:
        """Folder of what is known of the files of data folders; it may be deleted at any time."""
        return self.path / "cache" / "headers"

    @property
    def answers(self) -> Path:
        """Folder of answers that a repeated question may get; it may be deleted at any time."""
        return self.path / "cache" / "answers"

    def run_folder(self, relative: str) -> Path:
        """Return the folder of a run from its path in the home, which a link must not lead out of.

        Raises:
            StorageError: the path is not that of a run, or a link leads elsewhere.
        """
        folder = self.path / relative
        real = os.path.realpath(folder)
        if not _RUN_FOLDER.fullmatch(relative) or real != os.path.join(os.path.realpath(self.path), relative):
            raise StorageError(
                f"the files of a run must lie in a folder runs/NUMBER of the home without links, got {folder}"
                f", which is {real}: move them there, or make the whole home a link"
            )
        return folder

    def trains(self, relative: str) -> bool:
        """Return whether living processes train the run in a folder; one outside the home is nobody's."""
        try:
            return is_trained(self.run_folder(relative))
        except StorageError:
            return False


def _require_folder(path: Path) -> None:
    """Refuse a home that is a file or lies below one: SQLite would only say that there is no database."""
    nearest = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if not nearest.is_dir():
        raise StorageError(
            f"the home {path} must be a folder, which {nearest} is not: choose another with --home"
        )
