"""`advisor runs delete`: a run, its records and its files."""

from __future__ import annotations

import shutil

from cli.workflows.answers.run_list import DeletedRun
from cli.workflows.home import Home, locked
from cli.workflows.runs.lookup import existing_store, run_id_of


def delete_run(home: Home, run: str) -> DeletedRun:
    """Delete a run, its records and its files.

    Args:
        home: home of the run.
        run: its number, or ``last``.

    Raises:
        UsageError: no such run.
        RunError: a process trains it.
    """
    number = run_id_of(run, home)
    with existing_store(home) as store:
        folder = home.run_folder(store.folder_of_run(number))
        with locked(folder, f"run {number}"):
            store.delete_run(number)
        shutil.rmtree(folder, ignore_errors=True)
    return DeletedRun(deleted=number)
