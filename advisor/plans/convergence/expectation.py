"""Expected epochs of a plan's trainings to convergence."""

from __future__ import annotations

from collections.abc import Callable, Collection
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

    def expected(step: TrainStep, schedule: PlateauSchedule) -> PlateauSchedule:
        if step.id in unchanged:
            return schedule
        kind, family = kind_of(plan, step), family_of(plan, step)
        epochs = predictor.predict(plan.dataset.learned_as, family, kind, schedule)
        return replace(schedule, expected=epochs.mean, low=epochs.low, high=epochs.high)

    return _with_schedules(plan, expected)


def without_expected_epochs(plan: TrainingPlan) -> TrainingPlan:
    """Return a plan that is equal for two plans which differ by their expected epochs only."""
    return _with_schedules(plan, lambda _, s: replace(s, expected=float(s.epochs), low=None, high=None))


def _with_schedules(
    plan: TrainingPlan, changed: Callable[[TrainStep, PlateauSchedule], PlateauSchedule]
) -> TrainingPlan:
    """Return a plan whose trainings to convergence have other schedules."""

    def step_of(step: Step) -> Step:
        if not isinstance(step, TrainStep) or not isinstance(step.schedule, PlateauSchedule):
            return step
        return replace(step, schedule=changed(step, step.schedule))

    steps = tuple(map(step_of, plan.steps))
    return plan if steps == plan.steps else replace(plan, steps=steps)
