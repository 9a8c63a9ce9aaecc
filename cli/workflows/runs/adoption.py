"""What lies in the folder of a run before it begins.

Networks that a probe has trained move into the run, with the records of epochs and steps. Files of a run that
the database does not know are set aside.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

from advisor.errors import StorageError
from advisor.plans.records import Run, RunStatus
from cli.workflows.home import Home
from cli.workflows.kept_probes import KeptProbe, take
from cli.workflows.runs.steps.accounting import mark_disturbed
from cli.workflows.views import Say
from db.queries import Store
from trainer.execution.outbox import UNSTORED
from trainer.run_files import NETWORKS


def adopt(run: Run, kept: KeptProbe, store: Store, home: Home, say: Say) -> None:
    """Give a new run the networks of a probe; the probe is then no evidence of its own.

    Args:
        run: the new run, whose folder is empty.
        kept: probe of the run's plan.
        store: database of both.
        home: home of both.
        say: receiver of one line.

    Raises:
        StorageError: the database or the disk refuses.
    """
    if not take(home, run.plan, home.run_folder(run.folder)):
        return
    # What was waited for beside the training of the probe was waited for by who asked for the probe.
    store.update_run(run.id, status=RunStatus.RUNNING, train_seconds=kept.seconds, overhead_seconds=0.0)
    if kept.disturbed:
        mark_disturbed(run.id, store, True)
    # Evidence counts once.
    same = [each.id for each in store.stored_trainings() if each.training == kept.training]
    store.delete_reported(same)
    say(f"the networks were trained by a probe on {kept.trained_at[:10]}: they are those of run {run.id} now")


def set_aside(folder: Path, say: Say) -> None:
    """Move away the files of a run that this database does not know: the new run would use its checkpoints.

    Raises:
        StorageError: the folder cannot be moved.
    """
    if not any((folder / name).exists() for name in (NETWORKS, UNSTORED)):
        return
    places = (folder.with_name(f"{folder.name}.orphan-{i}") for i in count(1))
    aside = next(place for place in places if not place.exists())
    try:
        folder.rename(aside)
    except OSError as error:
        raise StorageError(
            f"cannot move {folder} of a run unknown to the database: {error.strerror}"
        ) from None
    say(f"the files of a run that this database does not know are now in {aside}")
