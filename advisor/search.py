"""Optuna search over family, class, depth, members and clusters.

Every trial is a design of the budget with its price and its error, both predicted; nothing is trained.
Four objectives are minimised: test error, training seconds, inference latency and peak memory; limits
on the last three are constraints. The sampler is NSGA-II, which needs no torch and handles constraints,
conditional parameters and several objectives; for every family, member count and class it starts from the
design with the least predicted error, and under limits also from the cheapest ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import optuna

from advisor.accuracy import AccuracyPredictor
from advisor.cost import CostPredictor
from advisor.dataset import DatasetFacts
from advisor.design import Design, DesignClass
from advisor.estimate import Floats
from advisor.measurement import Execution
from advisor.methods import make_plan
from advisor.placement import placed
from advisor.plan import TrainingPlan
from advisor.pricing import PricedPlan, price
from advisor.space import Candidate

OBJECTIVES = ("test_error", "train_seconds", "inference_ms_per_image", "train_peak_bytes")
POPULATION = 40
# Under limits a search starts from the best of all designs of a group and of its cheapest by MACs.
CHEAPEST_SHARES = (1.0, 0.3, 0.0)


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
        memory = priced.train_reserved_bytes or priced.train_peak_bytes
        pairs = {
            "memory": (memory.mean, self.memory_bytes),
            "latency": (priced.inference_ms_per_image.mean, self.latency_ms),
            "training": (priced.train_seconds.mean, self.train_seconds),
        }
        found = {name: value / limit - 1 for name, (value, limit) in pairs.items() if limit is not None}
        return found | {"device memory": 0.0 if priced.fits else 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that a design is judged under.

    Attributes:
        candidates: designs of the budget.
        dataset: facts of the data.
        epochs: schedule of a network from scratch.
        batch: images in a step.
        seed: of plans, sampler and draws.
        execution: how networks train on the device.
        limits: of the user.
        cost, accuracy: the predictors.
    """

    candidates: Sequence[Candidate]
    dataset: DatasetFacts
    epochs: int
    batch: int
    seed: int
    execution: Execution
    limits: Limits
    cost: CostPredictor
    accuracy: AccuracyPredictor


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A design with its class, price and the draws of its error, shape (samples,)."""

    design: Design
    design_class: DesignClass
    parameters: int
    priced: PricedPlan
    errors: Floats
    feasible: bool

    @property
    def objectives(self) -> tuple[float, float, float, float]:
        """Values that the search minimises, in the order of `OBJECTIVES`."""
        return (
            float(self.errors.mean()),
            self.priced.train_seconds.mean,
            self.priced.inference_ms_per_image.mean,
            self.priced.train_peak_bytes.mean,
        )


Group = tuple[str, int, DesignClass]


def planned(scenario: Scenario, design: Design) -> TrainingPlan:
    """Return the plan of a design in a scenario."""
    plan = make_plan(
        design,
        scenario.dataset,
        epochs=scenario.epochs,
        batch=scenario.batch,
        seed=scenario.seed,
        execution=scenario.execution,
    )
    return placed(plan, scenario.execution.processes)


def judge(scenario: Scenario, candidate: Candidate, clusters: int) -> Judged:
    """Price a design and predict its error."""
    design = candidate.design(clusters)
    plan = planned(scenario, design)
    priced = price(plan, scenario.cost)
    errors = scenario.accuracy.sample_errors(
        [design], scenario.dataset.learned_as, scenario.dataset.task, scenario.epochs
    )
    feasible = all(excess <= 0 for excess in scenario.limits.excess(priced).values())
    return Judged(design, candidate.design_class, candidate.parameters, priced, errors[:, 0], feasible)


def search(
    scenario: Scenario, storage: optuna.storages.BaseStorage, study_name: str, trials: int
) -> list[Judged]:
    """Return every distinct design that the study looked at.

    Args:
        scenario: what designs are judged under.
        storage: where the study is kept, for optuna-dashboard.
        study_name: of the study in it.
        trials: designs to look at, the starting points included.
    """
    groups = _grouped(scenario.candidates)
    found: dict[str, Judged] = {}
    sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=scenario.seed)
    # Trials are kept in memory while the search runs and written at once: a write a trial costs more
    # than the trial itself.
    study = optuna.create_study(directions=["minimize"] * len(OBJECTIVES), sampler=sampler)
    for start in _starting_points(scenario, groups)[:trials]:
        study.enqueue_trial(start)
    study.optimize(_objective(scenario, groups, found), n_trials=trials)
    kept = optuna.create_study(
        study_name=study_name, storage=storage, directions=["minimize"] * len(OBJECTIVES)
    )
    kept.set_user_attr("objectives", list(OBJECTIVES))
    kept.add_trials(study.trials)
    return list(found.values())


def _objective(
    scenario: Scenario, groups: dict[Group, list[Candidate]], found: dict[str, Judged]
) -> Callable[[optuna.Trial], tuple[float, float, float, float]]:
    families = sorted({family for family, _, _ in groups})

    def objective(trial: optuna.Trial) -> tuple[float, float, float, float]:
        family = trial.suggest_categorical("family", families)
        counts = sorted({k for f, k, _ in groups if f == family})
        members = trial.suggest_categorical(f"members/{family}", counts)
        classes = [c.value for f, k, c in groups if (f, k) == (family, members)]
        kind = trial.suggest_categorical(f"class/{family}/{members}", classes)
        group = groups[family, members, DesignClass(kind)]
        position = trial.suggest_int(f"position/{family}/{members}/{kind}", 0, len(group) - 1)
        clusters = members
        if members > 1:
            clusters = trial.suggest_int(f"clusters/{members}", 1, members)
        judged = _judge_once(scenario, group[position], clusters, found)
        trial.set_user_attr("design", judged.design.name)
        for name, excess in scenario.limits.excess(judged.priced).items():
            trial.set_constraint(name, excess)
        return judged.objectives

    return objective


def _judge_once(scenario: Scenario, candidate: Candidate, clusters: int, found: dict[str, Judged]) -> Judged:
    name = candidate.name + ("" if clusters == candidate.members else f"@g{clusters}")
    if name not in found:
        found[name] = judge(scenario, candidate, clusters)
    return found[name]


def _grouped(candidates: Sequence[Candidate]) -> dict[Group, list[Candidate]]:
    groups: dict[Group, list[Candidate]] = {}
    for c in sorted(candidates, key=lambda c: (c.family, c.members, c.depth, c.width)):
        groups.setdefault((c.family, c.members, c.design_class), []).append(c)
    return groups


def _starting_points(scenario: Scenario, groups: dict[Group, list[Candidate]]) -> list[dict[str, str | int]]:
    """The design of least predicted error of every group, small ensembles first.

    Under limits also that of the cheapest designs of the group, or a tight limit would leave the sampler
    without any design that keeps it.
    """
    limits = scenario.limits
    limited = (limits.memory_bytes, limits.latency_ms, limits.train_seconds) != (None, None, None)
    points: list[dict[str, str | int]] = []
    for (family, members, kind), group in sorted(groups.items(), key=lambda item: item[0][1]):
        errors = scenario.accuracy.sample_regular(
            family,
            scenario.dataset.learned_as,
            scenario.dataset.task.classes,
            parameters=np.array([c.parameters / c.members for c in group]),
            depth=np.array([float(c.depth) for c in group]),
            members=np.array([float(c.members) for c in group]),
            epochs=scenario.epochs,
        ).mean(axis=0)
        macs = np.array([c.macs for c in group])
        for share in CHEAPEST_SHARES if limited else (1.0,):
            affordable = np.where(macs <= np.quantile(macs, share), errors, np.inf)
            for clusters in (members, 1) if members > 1 else (members,):
                point: dict[str, str | int] = {
                    "family": family,
                    f"members/{family}": members,
                    f"class/{family}/{members}": kind.value,
                    f"position/{family}/{members}/{kind.value}": int(np.argmin(affordable)),
                }
                if members > 1:
                    point[f"clusters/{members}"] = clusters
                if point not in points:
                    points.append(point)
    return points
