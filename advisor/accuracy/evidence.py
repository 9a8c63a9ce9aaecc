"""What trainings and papers tell the accuracy predictor: log errors of cases of its formula, with spreads.

A finished training tells the error of its members, and what averaging makes of it; the errors of fewer of its
members tell the same of smaller ensembles. A learning curve, finished or not, tells the error at the end of
every part of the schedule that has one learning rate, where the formula knows it too (`accuracy_formula`).
Ratios of two errors of one training are told as such, since what its seed or data have of their own cancels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from advisor.accuracy.formula import DESCRIBED, PENALISED, Case
from advisor.accuracy.published import ERRORS, GAPS
from advisor.designs.clustering import clusters_of
from advisor.designs.design import Design
from advisor.networks.architecture import NetworkSpec, lower
from advisor.networks.layers import Task
from advisor.plans.dataset import DATASETS
from advisor.plans.method import CHAINS, CLUSTERED, JOINT, usual_method
from advisor.plans.plan import Method
from advisor.plans.schedule import RECIPES

# How far a training lies from formula and Gaussian process, as a spread of log error, its seed left out.
DISCREPANCY_STD = 0.05
# The same for the ratio of two errors of one training.
RATIO_STD = 0.02
# The same for an epoch in the middle of a schedule, over the end of the same training.
CURVE_STD = 0.15
# How far one seed is from another, as a spread of the log error of one network: (mean of its log, spread of
# that) for data that papers describe, and for any other, where little data and short schedules may make it
# ten times as large.
DESCRIBED_SEEDS, UNKNOWN_SEEDS = (float(np.log(0.03)), 0.2), (float(np.log(0.1)), 0.8)
SEED_GRID = np.geomspace(0.01, 1.0, 41)
# Epochs before a drop of the learning rate whose errors are averaged: at a high rate they jump.
AVERAGED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Validation errors after the epochs of networks trained from scratch.

    Attributes:
        member: mean over members, one an epoch so far; shares.
        ensemble: of the average, as many; None if unknown.
        images: that the errors were counted on.
    """

    member: tuple[float, ...]
    ensemble: tuple[float, ...] | None
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedEvidence:
    """What a training teaches, finished or not.

    Attributes:
        dataset: name that errors are learned under.
        task: input and classes.
        design: what was trained.
        method: how; None for full data or MotherNets, as the clusters of the design say.
        epochs: schedule of a network from scratch.
        images: share of the training images.
        member_errors: of each member, shares; None before the end.
        ensemble_error: share; None before the end.
        test_images: that these errors were counted on.
        errors_by_members: of averages of one, two, … members; None if unknown.
        curve: of members trained from scratch; None if unknown.
    """

    dataset: str
    task: Task
    design: Design
    epochs: int
    member_errors: tuple[float, ...] | None
    ensemble_error: float | None
    test_images: int
    method: Method | None = None
    images: float = 1.0
    errors_by_members: tuple[float, ...] | None = None
    curve: Curve | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """Log error (or, with `against`, log of the ratio of two errors) with its spread."""

    case: Case
    value: float
    std: float
    against: Case | None = None


def published() -> list[Observation]:
    """Published errors and thresholds as observations."""
    classes = {name: facts.task.classes for name, facts in DATASETS.items()}
    found = []
    for e in ERRORS:
        share = e.epochs / RECIPES[e.family].reference_epochs
        case = Case(e.dataset, classes[e.dataset], e.family, e.parameters, e.depth, share, e.members)
        std = training_std(float(np.exp(DESCRIBED_SEEDS[0])), case)
        found.append(Observation(case, float(np.log(e.error / 100)), std))
    for g in GAPS:
        single = Case(g.dataset, classes[g.dataset], g.family, g.parameters, 32, g.share, 1)
        ensemble = replace(single, parameters=g.parameters / g.members, members=g.members)
        found.append(Observation(ensemble, g.log_ratio, g.std, against=single))
    return found


def learned(evidence: TrainedEvidence, seeds: float) -> Iterator[Observation]:
    """Yield what a training tells; of members of several families nothing, as it has no one case.

    Args:
        evidence: of the training.
        seeds: spread of the log error of one network between seeds on its data.
    """
    e = evidence
    if len(e.design.families) > 1:
        return
    case = case_of(e.design, e.dataset, e.task, e.epochs, e.method, e.images)
    if e.member_errors is not None and e.ensemble_error is not None:
        error = _mean_error(e, e.member_errors)
        m, counted = case.members, _counted(error, e.test_images)
        std = np.hypot(training_std(seeds, case), 1 / np.sqrt(counted * m))
        yield Observation(alone(case), float(np.log(counted / e.test_images)), float(std))
        sizes = [(m, e.ensemble_error)] if m > 1 else []
        # Of several shapes or clusters, some members are no smaller ensemble of the same kind.
        if e.errors_by_members is not None and e.design.homogeneous and e.design.clusters in (1, m):
            sizes += [(k, e.errors_by_members[k - 1]) for k in _powers_of_two(m)]
        for k, error in sizes:
            together, smaller = _counted(error, e.test_images), _of_members(case, k)
            value = float(np.log(together / counted))
            yield Observation(smaller, value, ratio_std(seeds, smaller, together), against=alone(case))
    if e.curve is not None:
        yield from _of_curve(e, e.curve, case, seeds)


def _mean_error(e: TrainedEvidence, errors: Sequence[float]) -> float:
    """Mean error of the members; of several shapes the geometric one, which belongs to their mean size."""
    if e.design.homogeneous:
        return float(np.mean(errors))
    return float(
        np.exp(np.mean([np.log(_counted(error, e.test_images) / e.test_images) for error in errors]))
    )


def _of_curve(e: TrainedEvidence, curve: Curve, case: Case, seeds: float) -> Iterator[Observation]:
    """Yield what a learning curve tells, if the formula knows it."""
    if not has_curve(e.design, e.method):
        return
    rates, travelled = relative_rates(case.family, e.epochs), progress(case.family, e.epochs)
    finished = len(curve.member) >= e.epochs and e.member_errors is not None
    end = alone(case)
    last = _counted(curve.member[e.epochs - 1], curve.images) if finished else None
    for epochs in turning_points(case.family, e.epochs, len(curve.member), finished=finished):
        here = replace(
            case,
            share=case.share * travelled[epochs - 1],
            relative_rate=rates[epochs - 1],
            final_relative_rate=rates[-1],
        )
        first = next(i for i in range(epochs) if rates[i] == rates[epochs - 1])
        window = slice(max(epochs - AVERAGED, first), epochs)
        error = _counted(float(np.mean(curve.member[window])), curve.images)
        std = np.hypot(CURVE_STD, 1 / np.sqrt(error))
        if last is None:
            value, std = np.log(error / curve.images), np.hypot(std, training_std(seeds, case))
        else:
            value, std = np.log(error / last), np.hypot(std, 1 / np.sqrt(last))
        against = None if last is None else end
        yield Observation(alone(here), float(value), float(std), against)
        if curve.ensemble is not None and case.members > 1:
            together = _counted(float(np.mean(curve.ensemble[window])), curve.images)
            value, std = np.log(together / error), ratio_std(seeds, case, together)
            yield Observation(here, float(value), float(std), against=alone(here))


def has_curve(design: Design, method: Method | None) -> bool:
    """Return whether the formula knows the epochs of a design's members: of one shape, from scratch.

    Members that begin as copies of others have no learning curve of their own.
    """
    return design.homogeneous and _from_scratch(design, method)


def _from_scratch(design: Design, method: Method | None) -> bool:
    return design.independent and method in (None, Method.FULL_DATA)


def merged(observations: Iterable[Observation]) -> list[Observation]:
    """Return one observation of everything that was observed, several times or once."""
    alike: dict[tuple[Case, Case | None], list[Observation]] = {}
    for o in observations:
        alike.setdefault((o.case, o.against), []).append(o)
    found = []
    for (case, against), group in alike.items():
        weights = np.array([o.std**-2 for o in group])
        value = float(weights @ [o.value for o in group] / weights.sum())
        found.append(Observation(case, value, float(weights.sum() ** -0.5), against))
    return found


def fitted_seed_std(dataset: str, evidence: Sequence[TrainedEvidence]) -> float:
    """Return how far seeds lie apart on a data set, as a spread of the log error of one network.

    Members of one shape that were trained independently differ by nothing else, nor do repeated trainings. Of
    the grid `SEED_GRID` the value is returned that explains their differences best, counting noise and prior
    considered.
    """
    # Errors counted, and among how many images, of each kind of member.
    groups: dict[Case, list[tuple[float, int]]] = {}
    for e in evidence:
        alike = e.design.homogeneous and _from_scratch(e.design, e.method)
        if e.dataset == dataset and e.member_errors and alike:
            case = alone(case_of(e.design, e.dataset, e.task, e.epochs, e.method, e.images))
            found = [(_counted(x, e.test_images), e.test_images) for x in e.member_errors]
            groups.setdefault(case, []).extend(found)
    mean, std = DESCRIBED_SEEDS if dataset in DESCRIBED else UNKNOWN_SEEDS
    fit = -0.5 * ((np.log(SEED_GRID) - mean) / std) ** 2
    for group in groups.values():
        counts, images = np.array(group).T
        weights = 1 / (SEED_GRID[:, None] ** 2 + 1 / counts)
        total = weights.sum(axis=1)
        logs = np.log(counts / images)
        middle = weights @ logs / total
        squares = (weights * (logs - middle[:, None]) ** 2).sum(axis=1)
        fit += 0.5 * (np.log(weights).sum(axis=1) - np.log(total) - squares)
    return float(SEED_GRID[fit.argmax()])


def case_of(
    design: Design,
    dataset: str,
    task: Task,
    epochs: float,
    method: Method | None = None,
    images: float = 1.0,
    family: str | None = None,
) -> Case:
    """Return a design in the variables of the formula; members of several sizes by their mean logs.

    Args:
        design: whose error is meant.
        dataset: name that its errors are learned under.
        task: input and classes.
        epochs: schedule of a network from scratch.
        method: without, full data or MotherNets as the clusters of the design say.
        images: share of the training images.
        family: whose members stand for all where there are several; without, the first one's.
    """
    method = method or usual_method(design.independent)
    m = len(design.members)
    family = family or design.families[0]
    own = [member for member in design.members if member.family == family]
    same = mixed = hatched = 0
    for cluster in _clusters(design, method):
        hatched += len(cluster) if len(cluster) > 1 else 0
        for i in cluster:
            for j in cluster:
                if i != j and (method in CHAINS or design.members[i] == design.members[j]):
                    same += 1
                elif i != j:
                    mixed += 1
    alike = method in CLUSTERED and method in JOINT
    sizes = [_millions(member, task) for member in own]
    return Case(
        dataset=dataset,
        classes=task.classes,
        family=family,
        parameters=float(np.exp(np.mean(np.log(sizes)))),
        depth=float(np.mean([member.depth for member in own])),
        share=epochs / RECIPES[family].reference_epochs,
        members=m,
        pairs_same=0.0 if alike else same / m**2,
        pairs_mixed=0.0 if alike else mixed / m**2,
        pairs_alike=(same + mixed) / m**2 if alike else 0.0,
        method=method.value if method in PENALISED else "",
        penalised_share=hatched / m if method in CLUSTERED else 1.0,
        images=images,
    )


@lru_cache(maxsize=4096)
def _millions(member: NetworkSpec, task: Task) -> float:
    return lower(member, task).parameters / 1e6


def _clusters(design: Design, method: Method) -> Sequence[Sequence[int]]:
    """Members that have begun as one network; every snapshot is a copy of the one before."""
    return [range(len(design.members))] if method in CHAINS else clusters_of(design)


def alone(case: Case) -> Case:
    """Return the case of one member."""
    return _of_members(case, 1)


def _of_members(case: Case, members: int) -> Case:
    """Return the case of an ensemble of fewer such members, as alike as all of them."""
    m = case.members
    pairs = 0.0 if members == 1 else (1 - 1 / members) / (1 - 1 / m)
    return replace(
        case,
        members=members,
        pairs_same=case.pairs_same * pairs,
        pairs_mixed=case.pairs_mixed * pairs,
        pairs_alike=case.pairs_alike * pairs,
    )


def ensemble_seed_std(seeds: float, case: Case) -> float:
    """Return the spread of the log error of an ensemble between seeds, given that of one network.

    Members that begin alike share the luck of their beginning.
    """
    shared = 1 / case.members + case.pairs_same + case.pairs_mixed + case.pairs_alike
    return float(seeds * np.sqrt(shared))


def training_std(seeds: float, case: Case) -> float:
    """Return the spread of the log error of one training around what is foretold, counting left out."""
    return float(np.hypot(DISCREPANCY_STD, ensemble_seed_std(seeds, case)))


def ratio_std(seeds: float, case: Case, counted: float) -> float:
    """Return the spread of the log of an ensemble's error, so many, over the mean of its members."""
    return float(np.sqrt(RATIO_STD**2 + seeds**2 / case.members + 1 / counted))


def _counted(error: float, images: int) -> float:
    """Errors among so many images; half an error stands for none, whose logarithm there is not."""
    return max(error * images, 0.5)


def _powers_of_two(below: int) -> Iterator[int]:
    size = 2
    while size < below:
        yield size
        size *= 2


@lru_cache(maxsize=1024)
def relative_rates(family: str, epochs: int) -> tuple[float, ...]:
    """Return the learning rate of each epoch of a schedule from scratch over the first one's."""
    schedule = RECIPES[family].schedule(epochs)
    return tuple(schedule.rate_at(e, 0.5) / schedule.rate for e in range(epochs))


@lru_cache(maxsize=1024)
def progress(family: str, epochs: int) -> tuple[float, ...]:
    """Return how much of a schedule lies behind after each epoch, as the share of all its learning rates.

    What a schedule reaches it reaches at its high rates; what follows takes the noise away.
    """
    passed = np.cumsum(relative_rates(family, epochs))
    return tuple((passed / passed[-1]).tolist())


def turning_points(family: str, epochs: int, done: int, *, finished: bool) -> list[int]:
    """Return after which epochs a curve is looked at: before every fall of the rate, and the last so far.

    Of a training that has ended its errors tell of the last one.
    """
    rates = relative_rates(family, epochs)
    falls = {e for e in range(1, min(done, epochs - 1) + 1) if rates[e] < rates[e - 1]}
    return sorted(falls if finished or not done else {*falls, min(done, epochs)})
