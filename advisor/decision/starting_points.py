"""The starting points of a search: the Pareto front of expected error and multiply-adds.

For independent members both are known for every design of the budget without building a network, and
multiply-adds stand for all costs. Errors and times of other training methods follow those of independent
training, so every design of the front starts with every method; the sampler improves on that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.search_space import Choice, Choices
from advisor.designs.design import DesignClass
from advisor.designs.mixtures import Mixture
from advisor.designs.space import Candidate
from advisor.estimate import Floats
from advisor.plans.dataset import DatasetFacts
from advisor.plans.method_traits import CLUSTERED

# Of so many draws of the posterior, one is used for a first look at thousands of designs.
EVERY = 10
# Designs of least error whose expectation all draws decide.
CLOSER = 48
# Most designs of the front, and largest share of starting points, methods included, among all trials.
FRONT = 16
LARGEST_SHARE = 1 / 2
Group = Sequence[Candidate | Mixture]


def starting_points(
    choices: Choices, accuracy: AccuracyPredictor, dataset: DatasetFacts, epochs: int, trials: int
) -> list[Choice]:
    """Return the best single network, then designs of the front by every method.

    Methods that train clusters start with one cluster.

    Args:
        choices: choices of the request.
        accuracy: predictor of the errors.
        dataset: facts of the data set.
        epochs: epochs of a network that is trained from scratch.
        trials: number of trials of the search.
    """
    candidates = [c for group in choices.groups.values() for c in group]
    errors = _expected_errors(choices, accuracy, dataset, epochs)
    macs = np.array([float(c.macs) for c in candidates])
    single = np.array([c.design_class is DesignClass.SINGLE for c in candidates])
    points = []
    if single.any():
        points = _by_every_method(candidates[int(np.where(single, errors, np.inf).argmin())], choices)
    for place in _bisected(_front(errors, macs)):
        points += _by_every_method(candidates[place], choices)
    return list(dict.fromkeys(points))[: max(int(LARGEST_SHARE * trials), 1)]


def _expected_errors(
    choices: Choices, accuracy: AccuracyPredictor, dataset: DatasetFacts, epochs: int
) -> Floats:
    """Return the expected errors of all candidates, trained independently; shape (candidates,).

    Those of single networks and the least ones of all are by all draws of the posterior, the others by some.
    """
    groups = list(choices.groups.values())

    def errors_of(group: Group, every: int) -> Floats:
        return _errors(group, accuracy, dataset, epochs, every)

    found = [errors_of(group, 1 if group[0].members == 1 else EVERY) for group in groups]
    exact = [np.full(len(group), group[0].members == 1) for group in groups]
    while True:
        last = np.sort(np.concatenate(found))[:CLOSER][-1]
        coarse = [
            np.flatnonzero((errors <= last) & ~known) for errors, known in zip(found, exact, strict=True)
        ]
        if not any(len(places) for places in coarse):
            return np.concatenate(found)
        for group, errors, known, places in zip(groups, found, exact, coarse, strict=True):
            if len(places):
                errors[places], known[places] = errors_of([group[i] for i in places], 1), True


def _errors(
    group: Group, accuracy: AccuracyPredictor, dataset: DatasetFacts, epochs: int, every: int
) -> Floats:
    """Return the expected errors of candidates of one family, trained independently; shape (candidates,)."""
    expected: Floats = accuracy.sample_regular(
        group[0].family,
        dataset.learned_as,
        dataset.task.classes,
        parameters=np.array([c.member_parameters for c in group]),
        depth=np.array([float(c.depth) for c in group]),
        members=np.array([float(c.members) for c in group]),
        epochs=epochs,
        every=every,
    ).mean(axis=0)
    return expected


def _front(errors: Floats, macs: Floats) -> list[int]:
    """Return the places of the points on the Pareto front, least error first.

    Sorting serves thousands of points, for which comparing all pairs would take too long.
    """
    order = np.lexsort((macs, errors))
    least = np.minimum.accumulate(macs[order])
    better = np.concatenate([[True], macs[order][1:] < least[:-1]])
    places: list[int] = order[better].tolist()
    return places


def _by_every_method(candidate: Candidate | Mixture, choices: Choices) -> list[Choice]:
    return [
        Choice(candidate, method, 1 if method in CLUSTERED else candidate.members)
        for method in choices.methods_of(candidate)
    ]


def _bisected(front: list[int]) -> list[int]:
    """Return at most `FRONT` points of a front: both ends, then the middle of every gap, and so on.

    So the first few of them span the front, however many are used.
    """
    count = min(FRONT, len(front))
    places = [round(i) for i in np.linspace(0, len(front) - 1, count)]
    order = [0, count - 1]
    step = count
    while step > 1:
        step = (step + 1) // 2
        order += range(0, count, step)
    return [front[places[i]] for i in dict.fromkeys(order)]
