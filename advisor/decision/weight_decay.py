"""The weight decay of a design: the recipe's, or a multiple of it that is expected to have less error.

A design may be trained with each of `MULTIPLES` of its family's recipe. The chosen multiple is the smallest
whose expected error is within `LEAST_GAIN` of the least; one whose networks exist goes before the others. So
the recipe's is left only for a gain that a reader would care about.

The formula (`advisor.accuracy.formula`) has the same factor for all designs on a data set. Without a training
with another weight decay on the data, the expected factor is 1 or more, and the recipe's is chosen.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

import numpy as np

from advisor.accuracy.cases import weight_decay_of
from advisor.designs.design import Design, parse_design
from advisor.estimate import Floats
from advisor.plans.plan import TrainingPlan, TrainStep
from advisor.plans.recipes.table import RECIPES

# Weight decay over that of the recipe, rising, the recipe's first.
MULTIPLES = (1.0, 3.0, 10.0, 30.0)
RECIPE_ONLY = MULTIPLES[:1]
# Share of the error. Chosen: less than the error of one design differs between two seeds.
LEAST_GAIN = 0.01


class Tune(StrEnum):
    """Whether a request lets designs have another weight decay than their recipe's."""

    AUTO = "auto"
    OFF = "off"


def multiples_of(tune: Tune) -> tuple[float, ...]:
    """Return the multiples of the recipe's weight decay that a design may be trained with."""
    return MULTIPLES if tune is Tune.AUTO else RECIPE_ONLY


def chosen_place(errors: Floats, at_hand: Collection[int] = ()) -> int:
    """Return the place of the multiple to train with.

    Args:
        errors: draws of a design's expected error by multiple, the recipe's first, shape (draws, multiples).
        at_hand: places of the multiples that were trained with, whose networks exist.
    """
    means = errors.mean(axis=0)
    near = np.flatnonzero(means <= means.min() / (1 - LEAST_GAIN))
    return int(next((place for place in near if place in at_hand), near[0]))


def absolute(design: Design, multiple: float) -> float:
    """Return a multiple of the recipe's weight decay as a weight decay.

    Args:
        design: design whose first member's family has the recipe.
        multiple: weight decay over that of the recipe.
    """
    # Without the last digits, 3 times 1e-4 is 3e-4.
    return float(f"{RECIPES[design.families[0]].weight_decay * multiple:.9g}")


def other_than_recipe(design: Design, multiple: float) -> float | None:
    """Return the weight decay of a design where it is not that of its recipe, else None.

    Args:
        design: the design.
        multiple: weight decay over that of the recipe, perhaps rounded in its last digits.
    """
    return None if _text(multiple) == _text(1.0) else absolute(design, multiple)


def tuned_weight_decay_of(plan: TrainingPlan) -> float | None:
    """Return the weight decay of a plan where it is not that of the recipes, else None.

    Of a plan with several weight decays it is that of the first member's recipe times the mean multiple.
    """
    multiple = weight_decay_of(plan)
    if _text(multiple) == _text(1.0):
        return None
    found = {step.weight_decay for step in plan.steps if isinstance(step, TrainStep)}
    return found.pop() if len(found) == 1 else absolute(parse_design(plan.design), multiple)


def times_words(multiple: float) -> str:
    """Return a multiple as "10 times the weight decay"; empty for that of the recipe."""
    return "" if _text(multiple) == _text(1.0) else f"{_text(multiple)} times the weight decay"


def weight_decay_words(weight_decay: float) -> str:
    """Return a weight decay as "weight decay 3e-3"."""
    digits, exponent = f"{weight_decay:.2e}".split("e")
    return f"weight decay {float(digits):g}e{int(exponent)}" if weight_decay else "no weight decay"


def with_weight_decay(name: str, weight_decay: float | None) -> str:
    """Return a design's name, and its weight decay where that is not the recipe's (not None)."""
    return name if weight_decay is None else f"{name} with {weight_decay_words(weight_decay)}"


def _text(multiple: float) -> str:
    return f"{multiple:g}"
