"""The designs that are compared at every budget and point, and their predicted errors.

A budget and a point (`advisor.decision.error_source.Point`) have one best single network and one best
ensemble of each class. They are chosen for that point alone. So they are the same however a map is asked for.

Notation: k members; the lead is log(error of the single network / error of the better ensemble), positive
where the ensemble wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.decision.error_source import ErrorSource, Point
from advisor.designs.design import DesignClass
from advisor.designs.equivalents import Equivalents, equivalents_within
from advisor.estimate import Floats
from advisor.networks.architecture import NetworkSpec

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
    columns = [_column(source, choices, members, point) for point in points]
    return list(zip(*columns, strict=True))


def _column(
    source: ErrorSource, choices: Mapping[float, Sequence[Equivalents]], members: int, point: Point
) -> list[Contestants]:
    """Return the designs of every budget at one point."""
    singles = _means(source, [e.single for choice in choices.values() for e in choice], 1, point)
    least = {b: min(singles[e.single] for e in choice) for b, choice in choices.items()}
    equivalents = {
        b: _by_class([e for e in choice if singles[e.single] <= (1 + EQUALLY_GOOD) * least[b]])
        for b, choice in choices.items()
    }
    every = [n for kinds in equivalents.values() for found in kinds.values() for n in found]
    ensembles = _means(source, every, members, point)
    return [
        Contestants(
            budget=b,
            single=min((e.single for e in choice), key=singles.__getitem__),
            ensembles={kind: min(found, key=ensembles.__getitem__) for kind, found in equivalents[b].items()},
        )
        for b, choice in choices.items()
    ]


def _by_class(bases: Sequence[Equivalents]) -> dict[DesignClass, list[NetworkSpec]]:
    """Return the members of the equivalents of single networks by class; an empty class is left out."""
    found = {
        DesignClass.DEPTH_EQUIVALENT: [e.depth_equivalent for e in bases if e.depth_equivalent],
        DesignClass.WIDTH_EQUIVALENT: [e.width_equivalent for e in bases if e.width_equivalent],
    }
    return {kind: networks for kind, networks in found.items() if networks}


def _means(
    source: ErrorSource, networks: Sequence[NetworkSpec], members: int, point: Point
) -> dict[NetworkSpec, float]:
    """Return the mean predicted error of an independently trained ensemble of each network."""
    order = list(dict.fromkeys(networks))
    if not order:
        return {}
    means = source.errors(order, members, members, [point]).mean(axis=(0, 2))
    return dict(zip(order, means.tolist(), strict=True))


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
    columns = [
        _errors(source, [row[j] for row in rows], members, clusters, pair)
        for j, pair in enumerate(zip(points, ensemble_points or points, strict=True))
    ]
    return Contest(
        single=np.stack([single for single, _ in columns], axis=2),
        ensembles={kind: np.stack([found[kind] for _, found in columns], axis=2) for kind in ENSEMBLES},
    )


def _errors(
    source: ErrorSource,
    column: Sequence[Contestants],
    members: int,
    clusters: int,
    points: tuple[Point, Point],
) -> tuple[Floats, dict[DesignClass, Floats]]:
    """Return draws of the errors at one point, each of shape (draws, budgets)."""
    single = source.errors([designs.single for designs in column], 1, 1, points[:1])[:, :, 0]
    ensembles = {}
    for kind in ENSEMBLES:
        places = [i for i, designs in enumerate(column) if kind in designs.ensembles]
        ensembles[kind] = np.full_like(single, np.inf)
        if places:
            networks = [column[i].ensembles[kind] for i in places]
            ensembles[kind][:, places] = source.errors(networks, members, clusters, points[1:])[:, :, 0]
    return single, ensembles
