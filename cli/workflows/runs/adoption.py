"""A run whose networks a probe has trained: they move into the run, with the records of epochs and steps."""

from __future__ import annotations

from advisor.plans.records import Run, RunStatus
from cli.workflows.home import Home
from cli.workflows.kept_probes import KeptProbe, take
from cli.workflows.views import Say
from db.queries import Store


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
    store.update_run(run.id, status=RunStatus.RUNNING, train_seconds=kept.seconds)
    # Evidence counts once.
    same = [each.id for each in store.stored_trainings() if each.training == kept.training]
    store.delete_reported(same)
    say(f"the networks were trained by a probe on {kept.trained_at[:10]}: they are those of run {run.id} now")
