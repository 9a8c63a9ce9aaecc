"""How a workflow speaks while it works; results never go this way.

A workflow has one way to speak, `Say`. It says lines, and it tells how a training goes: the start, every
epoch of every network, and the end. `cli.progress` shows this to a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EpochRecord


@dataclass(frozen=True, slots=True)
class TrainingBegun:
    """The first step of a plan begins.

    Attributes:
        plan: plan that is executed.
        expected_seconds: forecast of the wall clock, None if there is none.
        one_of_many: whether only a live display shows its epochs, because many such trainings follow each
            other and each is told of at its end.
        step: id of the one step that is executed; None for all of the plan.
    """

    plan: TrainingPlan
    expected_seconds: float | None
    one_of_many: bool = False
    step: str | None = None


@dataclass(frozen=True, slots=True)
class TrainingEnded:
    """The execution of a plan ended, successfully or not; it may not even have begun."""


@dataclass(frozen=True, slots=True)
class OneOfSeveral:
    """What is told of one of several trainings side by side.

    Attributes:
        label: name of the training, for example ``probe 2``.
        said: what is told of it.
    """

    label: str
    said: TrainingBegun | EpochRecord | TrainingEnded


# A text is one line.
Said = str | TrainingBegun | EpochRecord | TrainingEnded | OneOfSeveral
Say = Callable[[Said], None]


def silent(said: Said) -> None:
    """Take no notice."""
