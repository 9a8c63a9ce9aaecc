"""A scenario, on which the evaluation of a design depends, and a design that is evaluated in it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from advisor.accuracy.at_hand import AtHand
from advisor.accuracy.likelihood import LikelihoodPredictor
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.parallel.nodes import NodeKind
from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import PricedPlan, price
from advisor.decision.search_space import DEFAULT_METHODS, Choice, Choices
from advisor.decision.weight_decay import (
    RECIPE_ONLY,
    other_than_recipe,
)
from advisor.designs.design import Design, DesignClass
from advisor.designs.mixtures import Mixture
from advisor.designs.space import Candidate
from advisor.estimate import Floats
from advisor.plans.convergence.expectation import with_expected_epochs
from advisor.plans.convergence.kinds import scratch_epochs
from advisor.plans.convergence.predictor import EpochPredictor
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from advisor.plans.method_traits import CHAINS, Method, usual_method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import TrainingPlan
from advisor.plans.recipes.choice import RecipeName

# Name of a design, its method, and its weight decay over that of the recipe.
Key = tuple[str, Method, float]
OBJECTIVES = ("test_error", "train_seconds", "inference_ms_per_image", "train_peak_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper limits on predicted means; None where there is no limit.

    Attributes:
        memory_bytes: peak memory.
        latency_ms: inference time for one image.
        train_seconds: training time.
    """

    memory_bytes: float | None = None
    latency_ms: float | None = None
    train_seconds: float | None = None

    def excess(self, priced: PricedPlan) -> dict[str, float]:
        """Return the relative excess over every limit; none is positive if all limits are met.

        A design that is known not to fit into the device's memory has an excess of 1 over it.
        """
        pairs = {
            "memory": (priced.memory_bytes.mean, self.memory_bytes),
            "latency": (priced.inference_ms_per_image.mean, self.latency_ms),
            "training": (priced.train_seconds.mean, self.train_seconds),
        }
        excess = {name: value / limit - 1 for name, (value, limit) in pairs.items() if limit is not None}
        return excess | {"device memory": 0.0 if priced.fits else 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that the evaluation of a design depends on.

    Attributes:
        candidates: regular designs of the budget.
        mixtures: designs of the budget whose members have several shapes.
        methods: methods that ensembles may be trained by.
        weight_decays: multiples of the recipe's weight decay that designs may be trained with, the recipe's
            first.
        dataset: facts of the data set.
        epochs: epochs of a network that is trained from scratch.
        batch: images in a step.
        recipe: recipe of the trainings.
        patience: epochs without a gain in training accuracy that end a training; None for those of the
            recipe.
        epoch_predictor: predictor of the epochs to convergence.
        seed: random seed of plans and sampler.
        execution: device, precision and number of processes of the training.
        limits: limits of the user.
        cost: predictor of times and memory.
        accuracy: predictor of test errors.
        likelihood: predictor of likelihood and calibration; None where nothing needs them.
        cluster: nodes that train, by their kinds; none for the machine of `cost`.
        at_hand: trainings of this scenario whose networks exist, by design, method and weight decay
            (`Evaluated.key`).
    """

    candidates: Sequence[Candidate]
    mixtures: Sequence[Mixture] = ()
    methods: Sequence[Method] = DEFAULT_METHODS
    weight_decays: Sequence[float] = RECIPE_ONLY
    dataset: DatasetFacts
    epochs: int
    batch: int
    recipe: RecipeName = RecipeName.OURS
    patience: int | None = None
    epoch_predictor: EpochPredictor = EpochPredictor()
    seed: int
    execution: Execution
    limits: Limits
    cost: CostPredictor
    accuracy: AccuracyPredictor
    likelihood: LikelihoodPredictor | None = None
    cluster: Sequence[NodeKind] = ()
    at_hand: Mapping[Key, AtHand] = field(default_factory=dict)

    @property
    def choices(self) -> Choices:
        """The choices of the search."""
        return Choices([*self.candidates, *self.mixtures], self.methods)

    @property
    def families(self) -> list[str]:
        """Families of the candidates, each once."""
        return list(dict.fromkeys(candidate.family for candidate in self.candidates))

    def limited_to(self, families: Collection[str]) -> Scenario:
        """Return the scenario with designs of these families only."""
        return replace(
            self,
            candidates=[c for c in self.candidates if c.family in families],
            mixtures=[m for m in self.mixtures if m.family in families],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """A design with its predicted price and errors.

    Attributes:
        design: the design.
        design_class: class of the design.
        parameters: parameters of all members together.
        priced: price of its training plan.
        errors: draws of its expected test error as shares, shape (samples,); where its networks exist, of
            theirs.
        feasible: whether it meets the limits.
        method: training method.
        seed_std: standard deviation of the log error of one training between seeds; where its networks
            exist, of their log error around the draws.
        images: number of images that its error will be counted on; None for infinitely many.
        nlls: draws of its expected negative log-likelihood in nats, shape (samples,); None for no forecast.
        weight_decay: weight decay over that of the recipe.
        errors_by_weight_decay: draws of its expected test error for each multiple of the scenario, shape
            (samples, multiples); None where it has the recipe's weight decay only.
        at_hand: whether its networks exist (`Scenario.at_hand`).
    """

    design: Design
    design_class: DesignClass
    parameters: int
    priced: PricedPlan
    errors: Floats
    feasible: bool
    method: Method = Method.FULL_DATA
    seed_std: float = 0.0
    images: int | None = None
    nlls: Floats | None = None
    weight_decay: float = 1.0
    errors_by_weight_decay: Floats | None = None
    at_hand: bool = False

    @property
    def key(self) -> Key:
        """Name, method and weight decay, which identify it among the designs of a search."""
        return self.design.name, self.method, self.weight_decay

    @property
    def tuned_weight_decay(self) -> float | None:
        """Weight decay of its networks where it is not that of the recipe, else None."""
        return other_than_recipe(self.design, self.weight_decay)

    @property
    def gain_by_weight_decay(self) -> float:
        """Share of the error with the recipe's weight decay that is expected to be saved."""
        # Of networks that exist it cannot be told from the luck of their seed.
        if self.errors_by_weight_decay is None or self.at_hand:
            return 0.0
        return 1 - float(self.errors.mean() / self.errors_by_weight_decay[:, 0].mean())

    @property
    def expected_nll(self) -> float:
        """Expected negative log-likelihood in nats; infinite where it is not forecast."""
        return math.inf if self.nlls is None else float(self.nlls.mean())

    @property
    def objectives(self) -> tuple[float, float, float, float]:
        """The minimised values, in the order of `OBJECTIVES`."""
        return (
            float(self.errors.mean()),
            self.priced.train_seconds.mean,
            self.priced.inference_ms_per_image.mean,
            self.priced.train_peak_bytes.mean,
        )


def planned(
    scenario: Scenario, design: Design, method: Method | None = None, weight_decay: float = 1.0
) -> TrainingPlan:
    """Return the training plan of a design in a scenario.

    Args:
        scenario: the scenario.
        design: the design.
        method: training method; by default full data for independent members, else MotherNets.
        weight_decay: weight decay over that of the recipe.

    Raises:
        UsageError: the method cannot train the design.
    """
    chosen = method or usual_method(design.independent)
    plan = make_plan(
        design,
        scenario.dataset,
        epochs=scenario.epochs,
        batch=scenario.batch,
        seed=scenario.seed,
        execution=scenario.execution,
        options=PlanOptions(
            method=method,
            weight_decay=other_than_recipe(design, weight_decay),
            recipe=scenario.recipe,
            # Cycles have a fixed length.
            patience=None if chosen in CHAINS else scenario.patience,
        ),
    )
    return with_expected_epochs(plan, scenario.epoch_predictor)


def plan_of(scenario: Scenario, evaluated: Evaluated) -> TrainingPlan:
    """Return the training plan of an evaluated design in its scenario."""
    return planned(scenario, evaluated.design, evaluated.method, evaluated.weight_decay)


def evaluate_choices(scenario: Scenario, choices: Sequence[Choice]) -> list[Evaluated]:
    """Return the choices with their prices and predicted errors, in their order.

    Predicting all errors at once is much faster than one by one.
    """
    designs = [choice.design for choice in choices]
    methods = [choice.method for choice in choices]
    plans = [planned(scenario, design, method) for design, method in zip(designs, methods, strict=True)]
    prices = [price(plan, scenario.cost, cluster=scenario.cluster) for plan in plans]
    data, likelihood = scenario.dataset, scenario.likelihood
    errors = scenario.accuracy.sample_errors(
        designs, data.learned_as, data.task, [scratch_epochs(plan) for plan in plans], methods=methods
    )
    return [
        Evaluated(
            design,
            choice.candidate.design_class,
            choice.candidate.parameters,
            priced,
            drawn,
            all(excess <= 0 for excess in scenario.limits.excess(priced).values()),
            choice.method,
            scenario.accuracy.seed_std(design, data.learned_as, choice.method),
            data.test_images,
            None if likelihood is None else likelihood.sample_nlls(drawn, len(design.members)),
        )
        for choice, design, priced, drawn in zip(choices, designs, prices, errors.T, strict=True)
    ]
