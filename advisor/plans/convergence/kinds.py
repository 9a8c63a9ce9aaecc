"""Kinds of training steps by what decides their number of epochs to convergence.

A hatched member begins as a trained network, so it converges in a fraction of the epochs. A bootstrap sample
has fewer distinct images, and a teacher's outputs tell a student more than labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from advisor.plans.plan import HatchStep, Role, TrainingPlan, TrainStep
from advisor.plans.schedule import PlateauSchedule


class Kind(StrEnum):
    """Kind of a training step."""

    MEMBER = "member"
    MOTHER = "mother"
    BAGGED = "bagged"
    HATCHED = "hatched"
    DISTILLED = "distilled"


def kind_of(plan: TrainingPlan, step: TrainStep) -> Kind:
    """Return the kind of a training step; a teacher and a tree count as members that train from scratch."""
    if any(isinstance(other, HatchStep) and other.network == step.network for other in plan.steps):
        return Kind.HATCHED
    if step.distillation is not None:
        return Kind.DISTILLED
    if step.bootstrap:
        return Kind.BAGGED
    return Kind.MOTHER if plan.network(step.network).role is Role.MOTHER else Kind.MEMBER


def family_of(plan: TrainingPlan, step: TrainStep) -> str:
    """Return the family of a step's network; a joint network has that of its members."""
    network = plan.network(step.network)
    first = plan.network(plan.outputs_of(network.name)[0])
    return first.spec.family


def train_steps(plan: TrainingPlan) -> Iterator[TrainStep]:
    """Yield the training steps of a plan."""
    return (step for step in plan.steps if isinstance(step, TrainStep))


def follows_a_schedule(schedule: object) -> bool:
    """Whether a training to convergence has a learning rate that falls, as a schedule of fixed length has."""
    return schedule.following is not None if isinstance(schedule, PlateauSchedule) else True


def scratch_epochs(plan: TrainingPlan) -> float:
    """Return the epochs of a network that trains from scratch, the mean of those expected to convergence.

    The accuracy predictor takes a training to convergence for a whole schedule of that length.
    """
    steps = [step for step in train_steps(plan) if kind_of(plan, step) is not Kind.HATCHED]
    if not any(isinstance(step.schedule, PlateauSchedule) for step in steps):
        return plan.epochs
    return sum(step.schedule.expected_epochs for step in steps) / len(steps)
