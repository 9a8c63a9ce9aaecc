"""Which run is meant, and where it stands; opening the database for it. It imports little before it is used.

A killed process cannot say that its run stopped: the database has the run as running. It is shown as
interrupted, because no process locks its folder any more. A query writes nothing, so the database has the
status only after the run is resumed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from advisor.errors import UsageError
from cli.workflows.home import Home
from cli.workflows.locks import is_trained
from db.listing import list_runs
from db.schema import folder_of

if TYPE_CHECKING:
    from advisor.plans.records import Run
    from db.queries import Store

NO_RUN = "there is no run yet: `advisor train` makes one"


def run_id_of(text: str, home: Home) -> int:
    """Return the number of a run.

    Args:
        text: the number, or ``last`` for the newest run.
        home: home of the run.

    Raises:
        UsageError: `text` is neither, or there is no run yet.
    """
    if text == "last":
        rows = list_runs(home.database, where={}, sort="id", descending=True, limit=1)
        if not rows:
            raise UsageError(NO_RUN)
        return int(str(rows[0]["id"]))
    if not text.isdecimal() or len(text) > 18:
        raise UsageError(f"a run is a number or 'last', got {text!r}: see `advisor runs list`")
    return int(text)


def trains_now(home: Home, run: str) -> bool:
    """Return whether a process trains a run; one that does not exist is trained by none.

    Args:
        home: home of the run.
        run: its number, or ``last``.
    """
    try:
        return home.trains(folder_of(run_id_of(run, home)))
    except UsageError:
        return False


def existing_store(home: Home) -> Store:
    """Open the database, which must exist, for a command that changes its runs.

    Raises:
        UsageError: there is none yet.
    """
    if not home.database.exists():
        raise UsageError(NO_RUN)
    from db.session import open_store

    return open_store(home.database)


def reading_store(home: Home) -> Store:
    """Open the database, which must exist, for a command that only reads; the home may be read-only.

    Raises:
        UsageError: there is none yet.
    """
    if not home.database.exists():
        raise UsageError(NO_RUN)
    from db.session import open_reader

    return open_reader(home.database)


def stored_run(store: Store, home: Home, number: int) -> Run:
    """Return a run with its true status: one whose process was killed is interrupted.

    Raises:
        UsageError: no such run.
    """
    from advisor.plans.records import RunStatus

    run = store.run(number)
    if run.status is not RunStatus.RUNNING or is_trained(home.run_folder(run.folder)):
        return run
    # Read again: a run that ended in between stored its status before it released its folder.
    run = store.run(number)
    return replace(run, status=RunStatus.INTERRUPTED) if run.status is RunStatus.RUNNING else run


def refuse_stage(run: Run) -> None:
    """Refuse a run that is a stage of a path, which goes on with other runs.

    Raises:
        UsageError: it is.
    """
    if run.navigation is not None:
        raise UsageError(
            f"run {run.id} is a stage of a path, whose next plan depends on this one: "
            f"`advisor resume {run.id}` goes on with it"
        )
