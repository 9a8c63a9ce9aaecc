"""Expected epochs of a plan's trainings to convergence."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from advisor.estimate import Estimate
from advisor.plans.convergence.kinds import family_of, kind_of
from advisor.plans.convergence.predictor import EpochPredictor
from advisor.plans.plan import Step, TrainingPlan, TrainStep
from advisor.plans.schedule import PlateauSchedule, Schedule


def epochs_of(schedule: Schedule) -> Estimate:
    """Return the epochs of a schedule; without an interval where their number is fixed."""
    return Estimate(schedule.expected_epochs, *schedule.epoch_bounds)


def converging_epochs(schedule: Schedule | None) -> Estimate | None:
    """Return the expected epochs where convergence ends a training, else None."""
    return epochs_of(schedule) if isinstance(schedule, PlateauSchedule) else None


def with_expected_epochs(
    plan: TrainingPlan, predictor: EpochPredictor, unchanged: Collection[str] = ()
) -> TrainingPlan:
    """Return a plan whose trainings to convergence have the epochs that are predicted for them.

    A plan whose schedules have a fixed length is returned as it is. Nothing that training depends on changes.

    Args:
        plan: the plan.
        predictor: predictor of the epochs.
        unchanged: ids of steps that keep their expectation.
    """

    def expected(step: Step) -> Step:
        if not isinstance(step, TrainStep) or step.id in unchanged:
            return step
        if not isinstance(step.schedule, PlateauSchedule):
            return step
        kind, family = kind_of(plan, step), family_of(plan, step)
        epochs = predictor.predict(plan.dataset.learned_as, family, kind, step.schedule)
        schedule = replace(step.schedule, expected=epochs.mean, low=epochs.low, high=epochs.high)
        return replace(step, schedule=schedule)

    steps = tuple(map(expected, plan.steps))
    return plan if steps == plan.steps else replace(plan, steps=steps)
