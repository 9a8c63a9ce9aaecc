"""Parts that several answers share: the facts of a plan, the evidence of a forecast, and its deviation."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from advisor.conformal import CostBasis, ErrorBasis, Quantity
from advisor.decision.weight_decay import tuned_weight_decay_of
from advisor.estimate import Estimate
from advisor.plans.method_traits import Method
from advisor.plans.plan import TrainingPlan
from advisor.plans.recipes.choice import RecipeName, patience_of_plan, recipe_of_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastEvidence:
    """The evidence behind a forecast.

    Attributes:
        cost: measurements of this machine, few of them, or none at all (``nominal``).
        measurements: number of measurements that the forecast of cost rests on.
        accuracy: trainings (``runs``), errors of simple classifiers on the data (``data``), or published
            errors alone (``prior``).
        runs: number of trainings that the forecast of the error rests on.
        unmeasured: properties of the plan's networks that were never measured on this machine.
    """

    cost: CostBasis
    measurements: int
    accuracy: ErrorBasis
    runs: int
    unmeasured: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityCoverage:
    """How many finished forecasts of a quantity held.

    Attributes:
        quantity: time, memory or error.
        forecasts: number of forecasts; the 30 newest at most where a plan is explained.
        inside: number of them whose outcome lies in the 90 % interval.
    """

    quantity: Quantity
    forecasts: int
    inside: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFacts:
    """A plan without its steps.

    Attributes:
        design: short name of the design.
        method: training method.
        dataset: name of the data set.
        epochs: schedule of a network trained from scratch, in epochs.
        batch: images in a training step.
        seed: origin of all randomness.
        processes: number of networks that train at the same time.
        dtype: arithmetic, ``float32`` or ``bfloat16``.
        device: ``cpu`` or ``cuda``.
        tuned_weight_decay: weight decay of its networks where it is not that of the recipe; null where it is.
        recipe: recipe of its learning rates.
        patience: epochs without a gain in training accuracy that end a training; null where its length is
            fixed.
    """

    design: str
    method: Method
    dataset: str
    epochs: int
    batch: int
    seed: int
    processes: int
    dtype: str
    device: str
    tuned_weight_decay: float | None = None
    recipe: RecipeName = RecipeName.OURS
    patience: int | None = None

    @classmethod
    def of(cls, plan: TrainingPlan) -> PlanFacts:
        """Return the facts of a plan."""
        return cls(
            design=plan.design,
            method=plan.method,
            dataset=plan.dataset.name,
            epochs=plan.epochs,
            batch=plan.batch,
            seed=plan.seed,
            processes=plan.execution.processes,
            dtype=plan.execution.dtype,
            device=plan.execution.device,
            tuned_weight_decay=tuned_weight_decay_of(plan),
            recipe=recipe_of_plan(plan),
            patience=patience_of_plan(plan),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """An actual figure beside its forecast.

    Attributes:
        share: actual ÷ predicted mean − 1.
        inside: whether the actual figure lies in the 90 % interval of the forecast.
    """

    share: float
    inside: bool

    @classmethod
    def of(cls, predicted: Estimate | None, actual: float | None) -> Deviation | None:
        """Return the deviation of an actual figure; None where it or its forecast is unknown."""
        if predicted is None or actual is None or predicted.mean <= 0:
            return None
        return cls(share=actual / predicted.mean - 1, inside=predicted.low <= actual <= predicted.high)


def fields_of(part: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by name, as arguments for a subclass with further fields."""
    return {field.name: getattr(part, field.name) for field in fields(part)}
