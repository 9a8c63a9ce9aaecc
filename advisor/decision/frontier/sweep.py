"""Every way to train a given ensemble: each number of clusters, and each training method.

Notation: m members, g clusters. MotherNets with g = m clusters is training on full data, so its row stands
for both. The figures 1, 4 and 7 of MotherNets (MLSys 2020) are such sweeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from advisor.designs.design import Design
from advisor.errors import UsageError
from advisor.plans.method_traits import CLUSTERED, Method
from advisor.plans.plan import TrainingPlan

# Up to so many members every number of clusters is tried; of more members, these numbers and m.
MOST_TRIED_SINGLY = 12
CLUSTER_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192)

Planner = Callable[[Design, Method], TrainingPlan]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to train an ensemble.

    Attributes:
        method: training method.
        clusters: g of a method that has clusters, and m of full data; None for other methods.
        plan: plan of the training.
    """

    method: Method
    clusters: int | None
    plan: TrainingPlan


@dataclass(frozen=True, slots=True)
class Inapplicable:
    """A method that cannot train the ensemble.

    Attributes:
        method: training method.
        reason: why it cannot, in words.
    """

    method: Method
    reason: str


def cluster_counts(members: int, families: int = 1) -> tuple[int, ...]:
    """Return the numbers of clusters that are tried, rising; the last is m.

    Args:
        members: m.
        families: number of families of the members, which share no mother network: the least g.
    """
    if members <= MOST_TRIED_SINGLY:
        return tuple(range(families, members + 1))
    chosen = {families, members, *(g for g in CLUSTER_COUNTS if families < g < members)}
    return tuple(sorted(chosen))


def ways_to_train(design: Design, plan_of: Planner) -> tuple[list[Way], list[Inapplicable]]:
    """Return every way to train an ensemble, and the methods that cannot train it.

    MotherNets comes first by rising g and ends with full data; the other methods follow.

    Args:
        design: ensemble of independent members.
        plan_of: function that returns the plan of a design by a method, or raises `UsageError`.

    Raises:
        UsageError: the ensemble cannot be trained on full data either.
    """
    members = len(design.members)
    full = Way(Method.FULL_DATA, members, plan_of(design, Method.FULL_DATA))
    ways: list[Way] = []
    refused: dict[Method, Inapplicable] = {}
    for method in _in_order():
        if method is Method.FULL_DATA:
            ways.append(full)
            continue
        for tried in _designs(design, method):
            try:
                plan = plan_of(tried, method)
            except UsageError as error:
                refused.setdefault(method, Inapplicable(method, str(error)))
            else:
                ways.append(Way(method, tried.clusters if method in CLUSTERED else None, plan))
    trained = {way.method for way in ways}
    return ways, [each for each in refused.values() if each.method not in trained]


def _in_order() -> Sequence[Method]:
    first = (Method.MOTHERNETS, Method.FULL_DATA)
    return (*first, *(method for method in Method if method not in first))


def _designs(design: Design, method: Method) -> list[Design]:
    """Return the designs that a method is tried on; g = m is full data and stands there."""
    if method not in CLUSTERED:
        return [design]
    counts = cluster_counts(len(design.members), len(design.families))
    return [Design(members=design.members, clusters=g) for g in counts[:-1]]
