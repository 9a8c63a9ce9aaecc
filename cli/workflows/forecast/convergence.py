"""Epochs to convergence, learned from the finished training steps of the database.

A step of fixed length is evidence too: its recorded training errors tell when a patience would have ended it.
Cycles of snapshots and FGE are not, because their learning rate rises again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from advisor.plans.convergence.expectation import with_expected_epochs
from advisor.plans.convergence.kinds import family_of, follows_a_schedule, kind_of, train_steps
from advisor.plans.convergence.predictor import EpochPredictor, TrainedStep
from advisor.plans.method_traits import CHAINS
from advisor.plans.plan import TrainingPlan
from advisor.plans.recipes.choice import patience_of_plan
from advisor.plans.records import Run, RunStatus
from db.queries import Store

# States of runs whose finished steps count.
FINISHED = (RunStatus.DONE, RunStatus.PARTIAL)


def with_learned_epochs(plan: TrainingPlan, store: Store, unchanged: Collection[str] = ()) -> TrainingPlan:
    """Return a plan whose trainings to convergence have the epochs that the database leads to expect.

    Args:
        plan: the plan; one without such trainings is returned as it is, and nothing is read.
        store: database with runs.
        unchanged: ids of steps that keep their expectation.
    """
    if patience_of_plan(plan) is None:
        return plan
    return with_expected_epochs(plan, epoch_predictor(store), unchanged)


def epoch_predictor(store: Store) -> EpochPredictor:
    """Return the predictor of epochs to convergence that the runs of a database lead to."""
    runs = [r for r in store.runs() if r.status in FINISHED and r.plan.method not in CHAINS]
    errors = store.train_errors([run.id for run in runs])
    return EpochPredictor(tuple(step for run in runs for step in _steps_of(run, errors[run.id])))


def _steps_of(run: Run, errors: dict[str, tuple[float, ...]]) -> Iterator[TrainedStep]:
    """Yield the training steps of a run that came to their end."""
    plan = run.plan
    for step in train_steps(plan):
        found = errors.get(step.id, ())
        # In a run that lost members, a step may have ended early.
        if step.schedule.finished(list(found)):
            yield TrainedStep(
                dataset=plan.dataset.learned_as,
                family=family_of(plan, step),
                kind=kind_of(plan, step),
                epochs=step.schedule.epochs,
                falling=follows_a_schedule(step.schedule),
                train_errors=found,
            )
