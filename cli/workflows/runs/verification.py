"""`advisor db check --runs`: the files of all runs against their rows.

A run that a living process trains is left out, because its checkpoints change meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from advisor.errors import StorageError
from advisor.plans.records import StepStatus
from cli.workflows.answers.database import DatabaseCheck
from cli.workflows.database import check
from cli.workflows.home import Home
from cli.workflows.runs.lookup import reading_store
from db.checks.damage import DamagedRowError
from db.queries import Store
from db.schema import folder_of, shown
from trainer.ensembles.verify import problems_of_run

# Folder of all runs in the home.
RUNS = "runs"


def check_with_runs(home: Home) -> DatabaseCheck:
    """Return what is damaged in the database and in the files of its runs.

    Args:
        home: home of the database.

    Raises:
        StorageError: the database cannot be opened, or does not exist.
    """
    answer = check(home)
    with reading_store(home) as store:
        numbers = store.run_ids()
        found = _problems_of_files(store, home, numbers)
    return replace(answer, problems=(*answer.problems, *found), runs=len(numbers))


def _problems_of_files(store: Store, home: Home, numbers: Sequence[int]) -> list[str]:
    found = list(_strangers(home, {os.path.basename(folder_of(number)) for number in numbers}))
    for number in numbers:
        if not home.trains(folder_of(number)):
            found += [f"run {number}: {line}" for line in _problems(store, home, number)]
    return found


def _strangers(home: Home, known: set[str]) -> Iterator[str]:
    """Yield a line for everything in the folder of the runs that is the folder of none."""
    folder = home.path / RUNS
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if name not in known:
            yield f"{shown(folder / name)} belongs to no run of the database: move it away, or delete it"


def _problems(store: Store, home: Home, number: int) -> Iterator[str]:
    try:
        folder = home.run_folder(folder_of(number))
        if not folder.is_dir():
            yield f"its folder {shown(folder)} is missing"
            return
        # A damaged row is among the problems of the database.
        plan = store.run(number).plan
        ended = {record.step for record in store.steps(number) if record.status is StepStatus.DONE}
    except DamagedRowError:
        return
    except StorageError as error:
        yield str(error)
        return
    yield from problems_of_run(folder, plan, ended)
