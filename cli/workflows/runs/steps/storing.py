"""`advisor train --no-start`: a run that is stored with its plan, for other commands to train."""

from __future__ import annotations

from advisor.errors import StorageError, UsageError
from advisor.plans.records import RunStatus
from cli.workflows.answers.runs.run import Run as RunAnswer
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from cli.workflows.locks import locked
from cli.workflows.runs.description import describe_run
from cli.workflows.runs.train import TrainOptions, begin, cluster_of
from cli.workflows.views import Say
from db.session import open_store
from trainer.ensembles.description import describe, write_description
from trainer.run_files import NETWORKS


def store_run(request: PlanRequest, options: TrainOptions, home: Home, say: Say) -> RunAnswer:
    """Store a new run without training it.

    Its folder has everything that a step needs, so that a process can execute one without the database.

    Args:
        request: the plan, or what it is made from.
        options: whether a missing data set may be fetched, the price of the machine, and the cluster by
            whose nodes the run is forecast.
        home: home of the run.
        say: receiver of progress.

    Raises:
        UsageError: a time limit, which there is nothing to apply to.
        AdvisorError: the run cannot begin.
    """
    if options.time_limit is not None:
        raise UsageError("--time-limit is for training, and --no-start does not train: give it to what does")
    target = planned_target(request, home, say)
    with open_store(home.database) as store:
        run, data = begin(target, options, store, home, say, cluster=cluster_of(options, say))
        folder = home.run_folder(run.folder)
        with locked(folder, f"run {run.id}"):
            write_description(folder, describe(run.plan, data))
            try:
                (folder / NETWORKS).mkdir(exist_ok=True)
            except OSError as error:
                raise StorageError(f"cannot write to {folder}: {error.strerror}") from None
            store.set_validation_classes(run.id, data.validation.labels.numpy())
            # A probe of the same plan may have trained for it.
            found = store.run(run.id)
            store.update_run(
                run.id,
                status=RunStatus.PLANNED,
                train_seconds=found.train_seconds,
                overhead_seconds=found.overhead_seconds,
            )
        say(
            f"run {run.id} is stored and not started: `advisor resume {run.id}` trains it, and "
            f"`advisor plan {run.id} --format slurm` (or make) writes a job for each of its steps"
        )
        return describe_run(store, home, run.id, options.price_per_hour)
