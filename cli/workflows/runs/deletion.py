"""`advisor runs delete`: a run, its records and its files.

The files go first. The records stay until the last file is gone, so that a deletion which was refused or
killed can be finished by another.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path

from advisor.errors import StorageError
from cli.workflows.answers.runs.listing import DeletedRun
from cli.workflows.home import Home
from cli.workflows.locks import locked
from cli.workflows.runs.lookup import existing_store, run_id_of

BEGUN = "its deletion was begun: delete it again"


def delete_run(home: Home, run: str) -> DeletedRun:
    """Delete a run, its records and its files.

    Args:
        home: home of the run.
        run: its number, or ``last``.

    Raises:
        UsageError: no such run.
        RunError: a process trains it.
        StorageError: the database refuses, or files of the run cannot be removed; its records stay then.
    """
    number = run_id_of(run, home)
    with existing_store(home) as store:
        folder = home.run_folder(store.folder_of_run(number))
        # Locking makes a missing folder, which may be all that is left to do without.
        with locked(folder, f"run {number}") if folder.exists() else nullcontext():
            # Before the first file is gone: the run is unusable then, whatever happens next.
            store.mark_failed(number, BEGUN)
            _remove(folder, number)
            store.delete_run(number)
    return DeletedRun(deleted=number)


def _remove(folder: Path, number: int) -> None:
    """Remove a folder with all files in it.

    Raises:
        StorageError: some files are left.
    """
    reasons: list[str] = []

    def note(function: object, path: str, failure: BaseException | tuple[object, object, object]) -> None:
        error = failure[1] if isinstance(failure, tuple) else failure
        reasons.append(str(getattr(error, "strerror", None) or error))

    if sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=note)
    else:
        shutil.rmtree(folder, onerror=note)
    if os.path.lexists(folder):
        left = 1 + sum(1 for _ in folder.rglob("*"))
        raise StorageError(
            f"run {number} is only partly deleted, {left} files and folders are left in {folder} "
            f"({reasons[0] if reasons else 'unknown reason'}): remove the cause and delete the run again"
        )
