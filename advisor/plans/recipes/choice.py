"""The two recipes that a user may choose, and when training ends.

- ``ours`` takes table A of "More or Less": the learning rate falls in steps, and members that are hatched
  anneal along a cosine (ADR 10). A training has a fixed number of epochs unless a patience is given.
- ``published`` is the setting of MotherNets (MLSys 2020, section 3): a constant learning rate of 0.1, batch
  256, DenseNets hatched at 0.01, and a training that ends after 15 epochs without a gain in training
  accuracy.

Both have the momentum and weight decay of table A; MotherNets prints none. Methods that train in cycles
(`CHAINS`) keep their cycles, because a cycle has a fixed length: a patience says nothing about them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from advisor.errors import UsageError, require_entries
from advisor.plans.dataset import DatasetFacts
from advisor.plans.method_traits import CHAINS, Method
from advisor.plans.plan import TrainingPlan, TrainStep
from advisor.plans.recipes.table import recipe_of
from advisor.plans.schedule import (
    PATIENCE,
    CosineSchedule,
    PlateauSchedule,
    Schedule,
    StepSchedule,
    check_patience,
)

# Epochs of a network from scratch in the MotherNets paper, of which a snapshot's cycle takes 60.
PUBLISHED_EPOCHS = 128


class RecipeName(StrEnum):
    """Name of a recipe."""

    OURS = "ours"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a recipe sets beside the table of families and data sets.

    Attributes:
        batch: images in a step; None for those of the table or the data set.
        patience: epochs without a gain in training accuracy that end a training; None for none.
        constant: whether the learning rate stays as it is to the end.
        hatched_rates: initial learning rate of hatched members by family, where it is not that of the table.
    """

    batch: int | None = None
    patience: int | None = None
    constant: bool = False
    hatched_rates: tuple[tuple[str, float], ...] = ()


CHOICES: dict[RecipeName, Choice] = {
    RecipeName.OURS: Choice(),
    RecipeName.PUBLISHED: Choice(
        batch=256, patience=PATIENCE, constant=True, hatched_rates=(("densenet", 0.01),)
    ),
}
require_entries("advisor/plans/recipes/choice.py: CHOICES", CHOICES, RecipeName)


def patience_of(recipe: RecipeName, patience: int | None, method: Method) -> int | None:
    """Return the epochs without a gain that end a training, None where every schedule has a fixed length.

    Args:
        recipe: the recipe.
        patience: number that the user gives; None for that of the recipe.
        method: training method.

    Raises:
        UsageError: a number is given for a method that trains in cycles, or it is not positive.
    """
    if patience is not None:
        check_patience(patience)
        if method in CHAINS:
            raise UsageError(
                f"{method} trains in cycles of a fixed length, which no patience ends: leave out "
                "--until-converged and --patience"
            )
    if method in CHAINS:
        return None
    return CHOICES[recipe].patience if patience is None else patience


def ending(fixed: StepSchedule | CosineSchedule, recipe: RecipeName, patience: int | None) -> Schedule:
    """Return a schedule that ends with convergence, or the fixed one where there is no patience.

    Args:
        fixed: schedule with the most epochs.
        recipe: recipe that says whether the learning rate falls as in `fixed`.
        patience: epochs without a gain that end the training, None for none.
    """
    if patience is None:
        return fixed
    return PlateauSchedule(
        epochs=fixed.epochs,
        rate=fixed.rate,
        patience=patience,
        # Until a forecast takes its place (`advisor.plans.convergence`).
        expected=float(fixed.epochs),
        following=None if CHOICES[recipe].constant else fixed,
    )


def hatched_rate(family: str, dataset: str, recipe: RecipeName) -> float:
    """Return the initial learning rate of members that are hatched from a mother network."""
    return dict(CHOICES[recipe].hatched_rates).get(family, recipe_of(family, dataset).hatched_rate)


def recipe_of_plan(plan: TrainingPlan) -> RecipeName:
    """Return the recipe of a plan: only the published one has constant rates until convergence."""
    constant = any(schedule.following is None for schedule in _plateaus(plan))
    return RecipeName.PUBLISHED if constant else RecipeName.OURS


def patience_of_plan(plan: TrainingPlan) -> int | None:
    """Return the epochs without a gain that end the trainings of a plan; None where their length is fixed."""
    return next((schedule.patience for schedule in _plateaus(plan)), None)


def _plateaus(plan: TrainingPlan) -> list[PlateauSchedule]:
    schedules = (step.schedule for step in plan.steps if isinstance(step, TrainStep))
    return [schedule for schedule in schedules if isinstance(schedule, PlateauSchedule)]


def usual_epochs(
    families: Iterable[str],
    dataset: str,
    recipe: RecipeName = RecipeName.OURS,
    method: Method | None = None,
) -> int:
    """Return the length of the published schedule, the longest of several families.

    Args:
        families: families of a design.
        dataset: name of the data set.
        recipe: the recipe.
        method: training method; a snapshot of the published recipe has 60 of 128 epochs.
    """
    if recipe is RecipeName.PUBLISHED and method is Method.SNAPSHOT:
        return PUBLISHED_EPOCHS
    return max(recipe_of(family, dataset).reference_epochs for family in families)


def usual_batch(families: Collection[str], facts: DatasetFacts, recipe: RecipeName = RecipeName.OURS) -> int:
    """Return the images in a step, the fewest of several families and at most all training images.

    Args:
        families: families of the designs, which have one batch.
        facts: facts of the data set.
        recipe: the recipe.
    """
    rows = (
        CHOICES[recipe].batch or recipe_of(family, facts.name).batch or facts.batch for family in families
    )
    return min(*rows, facts.train_images)
