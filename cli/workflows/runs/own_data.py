"""The data that a stored run was trained on: the one way to load them again."""

from __future__ import annotations

from pathlib import Path

from advisor.errors import AdvisorError, DataError
from advisor.plans.records import Run
from cli.workflows.home import Home
from trainer.data.loading import Data, load_data
from trainer.ensembles.ensemble import read_description


def data_of_run(run: Run, home: Home, *, download: bool) -> Data:
    """Return the data set of a run.

    Args:
        run: the run; its plan has the data folder where it lies now.
        home: home of the run.
        download: whether a missing data set may be fetched.

    Raises:
        DataError: the data set is missing, or has changed since the run began.
    """
    data = load_data(run.plan.dataset, home.data, download=download)
    # A plan of an older program has no identity of its data, but its ensemble has the names of the classes.
    known = _described_classes(home.run_folder(run.folder)) if run.plan.dataset.identity is None else ()
    if known and data.classes != known:
        changed = sorted(set(known) ^ set(data.classes))
        raise DataError(
            f"{data.facts.name} has other classes than run {run.id} was trained on, such as {changed[0]!r}: "
            "restore them, or start a new run"
        )
    return data


def _described_classes(folder: Path) -> tuple[str, ...]:
    try:
        return read_description(folder).classes
    except AdvisorError:
        return ()
