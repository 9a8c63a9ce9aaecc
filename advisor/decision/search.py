"""Optuna search over family, members, class, depth, training method and clusters.

Every trial is a choice (`advisor.decision.search_space`) with its price and its error, both predicted;
nothing is trained. Four objectives are minimised: test error, training seconds, inference latency and peak
memory; limits on the last three are constraints. The sampler is TPE (Ozaki et al. 2022), which needs no torch
and of those that were measured finds the front in the fewest trials (docs/search.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import PricedPlan, price
from advisor.decision.search_space import DEFAULT_METHODS, Choice, Choices
from advisor.decision.starting_points import starting_points
from advisor.designs.design import Design, DesignClass
from advisor.designs.mixtures import Mixture
from advisor.designs.space import Candidate
from advisor.estimate import Floats
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import Method, TrainingPlan

OBJECTIVES = ("test_error", "train_seconds", "inference_ms_per_image", "train_peak_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper limits on predicted means; None for none."""

    memory_bytes: float | None = None
    latency_ms: float | None = None
    train_seconds: float | None = None

    def excess(self, priced: PricedPlan) -> dict[str, float]:
        """Relative excess over every limit that is set; none is positive if all are kept.

        A design that is known not to fit into the device's memory exceeds it by its whole size.
        """
        pairs = {
            "memory": (priced.memory_bytes.mean, self.memory_bytes),
            "latency": (priced.inference_ms_per_image.mean, self.latency_ms),
            "training": (priced.train_seconds.mean, self.train_seconds),
        }
        found = {name: value / limit - 1 for name, (value, limit) in pairs.items() if limit is not None}
        return found | {"device memory": 0.0 if priced.fits else 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that a design is judged under.

    Attributes:
        candidates: regular designs of the budget.
        mixtures: other designs of the budget.
        methods: that ensembles may be trained by.
        dataset: facts of the data.
        epochs: schedule of a network from scratch.
        batch: images in a step.
        seed: of plans, sampler and draws.
        execution: how networks train on the device.
        limits: of the user.
        cost, accuracy: the predictors.
    """

    candidates: Sequence[Candidate]
    mixtures: Sequence[Mixture] = ()
    methods: Sequence[Method] = DEFAULT_METHODS
    dataset: DatasetFacts
    epochs: int
    batch: int
    seed: int
    execution: Execution
    limits: Limits
    cost: CostPredictor
    accuracy: AccuracyPredictor

    @property
    def choices(self) -> Choices:
        """What a search chooses from."""
        return Choices([*self.candidates, *self.mixtures], self.methods)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """A design as the predictors see it.

    Attributes:
        design: what it is.
        design_class: of the design.
        parameters: of all members together.
        priced: its plan.
        errors: draws of its expected error, shape (samples,).
        feasible: whether it keeps the limits.
        method: that trains it.
        seed_std: spread of the log error of one training between seeds.
        images: that its error will be counted on; None for endlessly many.
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

    @property
    def key(self) -> tuple[str, Method]:
        """What tells it from others."""
        return self.design.name, self.method

    @property
    def objectives(self) -> tuple[float, float, float, float]:
        """Values that the search minimises, in the order of `OBJECTIVES`."""
        return (
            float(self.errors.mean()),
            self.priced.train_seconds.mean,
            self.priced.inference_ms_per_image.mean,
            self.priced.train_peak_bytes.mean,
        )


def planned(scenario: Scenario, design: Design, method: Method | None = None) -> TrainingPlan:
    """Return the plan of a design in a scenario; without a method the one that its clusters say.

    Raises:
        UsageError: the method cannot train the design.
    """
    return make_plan(
        design,
        scenario.dataset,
        epochs=scenario.epochs,
        batch=scenario.batch,
        seed=scenario.seed,
        execution=scenario.execution,
        options=PlanOptions(method=method),
    )


def evaluate_choices(scenario: Scenario, choices: Sequence[Choice]) -> list[Evaluated]:
    """Price designs and predict their errors, all at once, which is much faster than one by one."""
    designs = [choice.design for choice in choices]
    methods = [choice.method for choice in choices]
    prices = [
        price(planned(scenario, design, method), scenario.cost)
        for design, method in zip(designs, methods, strict=True)
    ]
    data = scenario.dataset
    errors = scenario.accuracy.sample_errors(
        designs, data.learned_as, data.task, scenario.epochs, methods=methods
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
        )
        for choice, design, priced, drawn in zip(choices, designs, prices, errors.T, strict=True)
    ]


def search(
    scenario: Scenario, storage: optuna.storages.BaseStorage, study_name: str, trials: int
) -> list[Evaluated]:
    """Return every distinct design that the study looked at.

    Args:
        scenario: what designs are judged under.
        storage: where the study is kept, for optuna-dashboard.
        study_name: of the study in it.
        trials: designs to look at, the starting points included.
    """
    sampler = optuna.samplers.TPESampler(multivariate=True, seed=scenario.seed)
    # Trials are kept in memory while the search runs and written at once: a write a trial costs more
    # than the trial itself.
    study = optuna.create_study(directions=["minimize"] * len(OBJECTIVES), sampler=sampler)
    choices = scenario.choices
    found = explore(
        study,
        choices,
        starting_points(choices, scenario.accuracy, scenario.dataset, scenario.epochs, trials),
        lambda new: evaluate_choices(scenario, new),
        scenario.limits,
        trials,
    )
    kept = optuna.create_study(
        study_name=study_name, storage=storage, directions=["minimize"] * len(OBJECTIVES)
    )
    kept.set_user_attr("objectives", list(OBJECTIVES))
    kept.add_trials(study.trials)
    return found


def explore(
    study: optuna.Study,
    choices: Choices,
    starts: Sequence[Choice],
    evaluating: Callable[[Sequence[Choice]], list[Evaluated]],
    limits: Limits,
    trials: int,
    at_once: int = 1,
) -> list[Evaluated]:
    """Let the sampler of a study look at so many different choices, and return them judged.

    Args:
        study: in memory, without trials.
        choices: what it chooses from.
        starts: looked at first.
        evaluating: of choices, all at once.
        limits: of the user.
        trials: in all; as many as there are choices at most.
        at_once: trials that the sampler suggests before it learns how they were judged.
    """
    trials = min(trials, len(choices.all))
    for start in starts[:trials]:
        study.enqueue_trial(choices.point(start))
    found: dict[Choice, Evaluated] = {}
    known: set[Choice] = set()
    for first in range(0, trials, at_once):
        picked: dict[Choice, optuna.Trial] = {}
        for _ in range(first, min(first + at_once, trials)):
            trial = study.ask()
            # Nothing is random in judging, so a second look at a design would be wasted.
            choice = choices.nearest_new(choices.suggested(trial), known)
            picked[choice] = trial
            known.add(choice)
        found.update(zip(picked, evaluating(list(picked)), strict=True))
        for choice, trial in picked.items():
            evaluated = found[choice]
            trial.set_user_attr("design", evaluated.design.name)
            trial.set_user_attr("method", evaluated.method.value)
            for name, excess in limits.excess(evaluated.priced).items():
                trial.set_constraint(name, excess)
            study.tell(trial, evaluated.objectives)
    return list(found.values())
