"""`advisor step RUN evaluate`: the end of a run whose steps are all done.

It stores the records that the steps have kept, reads the test images, stores what became of the run, and ends
it, as the end of `advisor train` does. No worker processes start, because nothing is left to train.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from advisor.errors import UsageError
from advisor.plans.execution import MOST_WORKERS
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EpochRecord, RunStatus, StepRecord
from cli.workflows.answers.runs.run import Run as RunAnswer
from cli.workflows.forecast.planning import with_data_at
from cli.workflows.home import Home
from cli.workflows.runs.description import describe_run
from cli.workflows.runs.lookup import existing_store, refuse_stage
from cli.workflows.runs.own_data import data_of_run
from cli.workflows.runs.steps.found import MOST_NAMES
from cli.workflows.runs.train import TrainOptions, carry_out, resumable, signals_of
from cli.workflows.views import Say
from trainer.data.loading import Data
from trainer.ensembles.verify import require_plan
from trainer.events import Tell
from trainer.execution.finished_steps import unfinished
from trainer.execution.plan_step import run_step
from trainer.execution.ready_steps import ReadySteps
from trainer.run_files import RunFiles


def evaluate_run(number: int, options: TrainOptions, home: Home, say: Say) -> RunAnswer:
    """Evaluate a run whose steps are all done, and end it; one that is done stays as it is.

    Args:
        number: number of the run.
        options: limits of the execution.
        home: home of the run.
        say: receiver of progress.

    Raises:
        UsageError: no such run, a stage of a path, or a step is not done.
        AdvisorError: as `advisor resume`.
    """
    signals = signals_of(options)
    with existing_store(home) as store:
        run = store.run(number)
        if run.status is not RunStatus.DONE:
            refuse_stage(run)
            resumable(store, number)
            folder = home.run_folder(run.folder)
            require_plan(folder, run.plan)
            if missing := unfinished(run.plan, run.plan.steps, folder, say):
                raise _not_done(number, missing)
            run = replace(run, plan=with_data_at(run.plan, options.moved_to))
            data = data_of_run(run, home, download=False)
            carry_out(run, store, home, data, signals, _without_epochs(say), executing=one_by_one)
        else:
            say(f"run {number} is done")
        return describe_run(store, home, number, options.price_per_hour)


def one_by_one(
    plan: TrainingPlan, files: RunFiles, data: Data, tell: Tell, stop: Callable[[], bool]
) -> dict[str, StepRecord]:
    """Execute the steps of a plan in this process, as `trainer.execution.execute.execute` with one process.

    Steps that are done only have their records told again, in case they were lost.
    """
    on_device = data.to(plan.execution.device)
    steps = ReadySteps(plan, tell)
    # Whatever its devices: no step trains here.
    while (step := steps.next_ready(MOST_WORKERS)) is not None and not stop():
        steps.finish(run_step(plan, step, files, on_device, tell, stop))
    return steps.ended


def _without_epochs(say: Say) -> Say:
    """Return a receiver that leaves out epochs, which whoever trained them has shown."""
    return lambda said: None if isinstance(said, EpochRecord) else say(said)


def _not_done(number: int, missing: list[str]) -> UsageError:
    names = ", ".join(map(repr, missing[:MOST_NAMES])) + ", …" * (len(missing) > MOST_NAMES)
    return UsageError(
        f"run {number} is evaluated when all of its steps are done, and these are not: {names}; "
        f"`advisor resume {number}` trains what is left"
    )
