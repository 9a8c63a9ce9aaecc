"""The designs that are compared at every budget and point, and their predicted errors.

A budget and a point (`advisor.decision.threshold.error_source.Point`) have one best single network and one
best ensemble of each class. They are chosen for that point alone. So they are the same however a map is asked
for.

Notation: k members; the lead is log(error of the single network / error of the better ensemble), positive
where the ensemble wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.decision.threshold.error_source import ErrorSource, Point
from advisor.designs.design import DesignClass
from advisor.designs.equivalents import EquivalentShapes, equivalents_within
from advisor.estimate import Floats
from advisor.networks.architecture import NetworkSpec, RegularShape

# Relative difference of error below which single networks of a budget count as equally good. No training
# could tell them apart, but their widths are rounded differently, and so are those of their equivalents.
EQUALLY_GOOD = 0.01
ENSEMBLES = (DesignClass.DEPTH_EQUIVALENT, DesignClass.WIDTH_EQUIVALENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestants:
    """The designs that are compared at one budget and point.

    Attributes:
        budget: total parameters.
        single: the single network.
        ensembles: a member of the ensemble of each class; a class that has no design is left out.
    """

    budget: float
    single: NetworkSpec
    ensembles: dict[DesignClass, NetworkSpec]


# The designs of one budget at every point.
Row = tuple[Contestants, ...]
# Mean error of each network at every point.
Means = Mapping[RegularShape, Sequence[float]]


def contestants(
    source: ErrorSource, family: str, members: int, budgets: Sequence[float], points: Sequence[Point]
) -> list[Row]:
    """Return the designs to compare at every budget that is large enough for a network, and at every point.

    The single network is the one of least predicted error at the point among the widest of every depth. The
    ensemble of a class is the best of the ensembles that are equivalent to a single network that is
    `EQUALLY_GOOD`.

    Args:
        source: source of the errors.
        family: family of all designs.
        members: k ≥ 2.
        budgets: total parameters.
        points: trainings after which errors are compared.
    """
    choices = {b: found for b in budgets if (found := equivalents_within(b, family, members, source.task))}
    bases = [e for choice in choices.values() for e in choice]
    singles = _means(source, [e.single for e in bases], 1, points)
    good = [
        {b: _by_class(_equally_good(choice, singles, j)) for b, choice in choices.items()}
        for j in range(len(points))
    ]
    every = [n for column in good for kinds in column.values() for found in kinds.values() for n in found]
    ensembles = _means(source, every, members, points)
    return [
        tuple(
            Contestants(
                budget=b,
                single=_least([e.single for e in choice], singles, j).network(),
                ensembles={kind: _least(found, ensembles, j).network() for kind, found in column[b].items()},
            )
            for j, column in enumerate(good)
        )
        for b, choice in choices.items()
    ]


def _equally_good(choice: Sequence[EquivalentShapes], singles: Means, point: int) -> list[EquivalentShapes]:
    means = [singles[e.single][point] for e in choice]
    most = (1 + EQUALLY_GOOD) * min(means)
    return [e for e, mean in zip(choice, means, strict=True) if mean <= most]


def _least(networks: Sequence[RegularShape], means: Means, point: int) -> RegularShape:
    """Return the network of least mean error at a point, given by its position."""
    return min(networks, key=lambda network: means[network][point])


def _by_class(bases: Sequence[EquivalentShapes]) -> dict[DesignClass, list[RegularShape]]:
    """Return the members of the equivalents of single networks by class; an empty class is left out."""
    found = {
        DesignClass.DEPTH_EQUIVALENT: [e.depth_equivalent for e in bases if e.depth_equivalent],
        DesignClass.WIDTH_EQUIVALENT: [e.width_equivalent for e in bases if e.width_equivalent],
    }
    return {kind: networks for kind, networks in found.items() if networks}


def _means(
    source: ErrorSource, networks: Sequence[RegularShape], members: int, points: Sequence[Point]
) -> Means:
    """Return the mean predicted errors of an independently trained ensemble of each network."""
    distinct = list(dict.fromkeys(networks))
    if not distinct:
        return {}
    means = source.errors(distinct, members, members, points).mean(axis=0)
    return dict(zip(distinct, means.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Predicted errors of the compared designs at every budget and point.

    Attributes:
        single: draws of the single network's error, shape (draws, budgets, points).
        ensembles: draws of the errors of each ensemble class, of the same shape; infinite where the class has
            no design.
    """

    single: Floats
    ensembles: dict[DesignClass, Floats]

    def best(self) -> NDArray[np.int64]:
        """Return the index in `ENSEMBLES` of the class of least mean error, shape (budgets, points)."""
        means = np.stack([self.ensembles[kind].mean(axis=0) for kind in ENSEMBLES])
        return np.asarray(means.argmin(axis=0), dtype=np.int64)

    def ensemble(self) -> Floats:
        """Return draws of the errors of the better class, shape (draws, budgets, points)."""
        deq, weq = (self.ensembles[kind] for kind in ENSEMBLES)
        return np.where(self.best() == 0, deq, weq)

    def lead(self) -> Floats:
        """Return the lead, shape (draws, budgets, points); −∞ where there is no ensemble."""
        return np.asarray(np.log(self.single) - np.log(self.ensemble()), dtype=float)


def contest(
    source: ErrorSource,
    rows: Sequence[Row],
    members: int,
    clusters: int,
    points: Sequence[Point],
    ensemble_points: Sequence[Point] | None = None,
) -> Contest:
    """Return the errors of the compared designs at every budget and point.

    Args:
        source: source of the errors.
        rows: designs of each budget at every point, at least one budget.
        members: k.
        clusters: number of clusters of the ensembles.
        points: trainings of the single networks.
        ensemble_points: trainings of the ensembles; by default those of the single networks.
    """
    single = _errors(source, [[designs.single for designs in row] for row in rows], 1, 1, points)
    ensembles = {}
    for kind in ENSEMBLES:
        networks = [[designs.ensembles.get(kind) for designs in row] for row in rows]
        exists = any(network for row in networks for network in row)
        at = ensemble_points or points
        none = np.full_like(single, np.inf)
        ensembles[kind] = _errors(source, networks, members, clusters, at) if exists else none
    return Contest(single=single, ensembles=ensembles)


def _errors(
    source: ErrorSource,
    networks: Sequence[Sequence[NetworkSpec | None]],
    members: int,
    clusters: int,
    points: Sequence[Point],
) -> Floats:
    """Return draws of the errors of a network of every budget and point, shape (draws, budgets, points).

    All networks are asked for at all points: one question is sooner answered than one for each point. An
    error is infinite where there is no network.
    """
    distinct = list(dict.fromkeys(n.shape for row in networks for n in row if n is not None))
    drawn = source.errors(distinct, members, clusters, points)
    drawn = np.concatenate([drawn, np.full_like(drawn[:, :1], np.inf)], axis=1)
    places = {shape: i for i, shape in enumerate(distinct)}
    chosen = np.array([[len(places) if n is None else places[n.shape] for n in row] for row in networks])
    return np.asarray(drawn[:, chosen, np.arange(len(points))], dtype=float)
