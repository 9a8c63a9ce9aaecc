"""The Ensemble Switchover Threshold: the size from which k members beat one network of their total size.

The threshold is a curve in the plane of two resources, total parameters and training epochs. At every budget
three designs are compared: a single network, its depth-equivalent ensemble (deq) and its width-equivalent
ensemble (weq).

Notation:

    k         members of an ensemble
    budget    total parameters
    e         draws of an error, one for each posterior draw,      shape (draws, budgets, epochs)
    lead      log(e of the single network / e of the better ensemble), positive where the ensemble wins

The threshold along one axis is the point from which the lead of a draw stays positive. Every draw has its own
threshold, which gives the threshold an interval; a draw whose lead is negative at the end has none.

The epoch axis has two readings; each is an `ErrorSource` of its own (`advisor.decision.epoch_axis`).

Source: Wasay and Idreos, "More or Less" (ICLR 2021), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from advisor.decision.epoch_axis import ErrorSource
from advisor.designs.design import DesignClass
from advisor.designs.equivalents import Equivalents, equivalents_within
from advisor.estimate import LEVEL, Estimate, Floats
from advisor.networks.architecture import NetworkSpec
from advisor.networks.families import FAMILIES

PARAMETER_GRID: Floats = np.round(np.geomspace(1e4, 1e9, 31))
EPOCH_GRID: tuple[int, ...] = tuple(sorted({round(e) for e in np.geomspace(1, 2000, 34)}))
# Relative difference of error below which single networks of a budget count as equally good. No training
# could tell them apart, but their widths are rounded differently, and so are those of their equivalents.
EQUALLY_GOOD = 0.01
# Replaces a lead of −∞ in interpolations; far larger than the lead of any two networks.
FAR_BEHIND = 1e9
ENSEMBLES = (DesignClass.DEPTH_EQUIVALENT, DesignClass.WIDTH_EQUIVALENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestants:
    """The designs that are compared at one budget.

    Attributes:
        budget: total parameters.
        single: the single network.
        ensembles: a member of the ensemble of each class; a class that has no design is left out.
    """

    budget: float
    single: NetworkSpec
    ensembles: dict[DesignClass, NetworkSpec]


def contestants(
    source: ErrorSource, family: str, members: int, budgets: Sequence[float], epochs: int
) -> list[Contestants]:
    """Return the designs to compare at every budget that is large enough for a network.

    The single network is the one of least predicted error among the widest of every depth. The ensemble of a
    class is the best of the ensembles that are equivalent to a single network that is `EQUALLY_GOOD`.

    Args:
        source: source of the errors.
        family: family of all designs.
        members: k ≥ 2.
        budgets: total parameters.
        epochs: epochs after which errors are compared.
    """
    choices = {b: found for b in budgets if (found := equivalents_within(b, family, members, source.task))}
    singles = _means(source, [e.single for choice in choices.values() for e in choice], 1, epochs)
    least = {b: min(singles[e.single] for e in choice) for b, choice in choices.items()}
    equivalents = {
        b: _by_class([e for e in choice if singles[e.single] <= (1 + EQUALLY_GOOD) * least[b]])
        for b, choice in choices.items()
    }
    ensembles = _means(
        source,
        [n for kinds in equivalents.values() for found in kinds.values() for n in found],
        members,
        epochs,
    )
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
    source: ErrorSource, networks: Sequence[NetworkSpec], members: int, epochs: int
) -> dict[NetworkSpec, float]:
    """Return the mean predicted error of an independently trained ensemble of each network."""
    order = list(dict.fromkeys(networks))
    if not order:
        return {}
    means = source.errors(order, members, members, [epochs]).mean(axis=(0, 2))
    return dict(zip(order, means.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Predicted errors of the compared designs at every budget and number of epochs.

    Attributes:
        single: draws of the single network's error, shape (draws, budgets, epochs).
        ensembles: draws of the errors of each ensemble class, of the same shape; infinite where the class has
            no design.
    """

    single: Floats
    ensembles: dict[DesignClass, Floats]

    def best(self) -> NDArray[np.int64]:
        """Return the index in `ENSEMBLES` of the class of least mean error, shape (budgets, epochs)."""
        means = np.stack([self.ensembles[kind].mean(axis=0) for kind in ENSEMBLES])
        return np.asarray(means.argmin(axis=0), dtype=np.int64)

    def ensemble(self) -> Floats:
        """Return draws of the errors of the better class, shape (draws, budgets, epochs)."""
        deq, weq = (self.ensembles[kind] for kind in ENSEMBLES)
        return np.where(self.best() == 0, deq, weq)

    def lead(self) -> Floats:
        """Return the lead, shape (draws, budgets, epochs); −∞ where there is no ensemble."""
        return np.asarray(np.log(self.single) - np.log(self.ensemble()), dtype=float)


def contest(
    source: ErrorSource,
    rows: Sequence[Contestants],
    members: int,
    clusters: int,
    epochs: Sequence[int],
    ensemble_epochs: Sequence[int] | None = None,
) -> Contest:
    """Return the errors of the compared designs at every budget and number of epochs.

    Args:
        source: source of the errors.
        rows: designs of each budget, at least one budget.
        members: k.
        clusters: number of clusters of the ensembles.
        epochs: epochs of the single networks.
        ensemble_epochs: epochs of the ensembles; by default those of the single networks.
    """
    single = source.errors([row.single for row in rows], 1, 1, epochs)
    ensembles = {}
    for kind in ENSEMBLES:
        places = [i for i, row in enumerate(rows) if kind in row.ensembles]
        ensembles[kind] = np.full_like(single, np.inf)
        if places:
            networks = [rows[i].ensembles[kind] for i in places]
            ensembles[kind][:, places] = source.errors(networks, members, clusters, ensemble_epochs or epochs)
    return Contest(single=single, ensembles=ensembles)


def crossing(lead: Floats, grid: Sequence[float]) -> Floats:
    """Return the point of an axis from which the lead of each draw stays positive.

    The point is interpolated in the logarithm of the axis.

    Args:
        lead: lead at every point, shape (draws, points); −∞ where there is no ensemble.
        grid: points of the axis, rising, shape (points,).

    Returns:
        Shape (draws,): the first point of the axis if the lead is positive everywhere, ∞ if it is not
        positive at the last point.
    """
    losing, last = lead <= 0, len(grid)
    # Position of the first point after the last loss.
    after = np.where(losing.any(axis=1), last - np.argmax(losing[:, ::-1], axis=1), 0)
    points, found = np.log(np.asarray(grid, dtype=float)), np.full(len(lead), np.inf)
    found[after == 0] = grid[0]
    draws = np.flatnonzero((after > 0) & (after < last))
    i = after[draws]
    # Where the point before has no ensemble, the threshold is the first point that has one.
    lost, won = np.maximum(lead[draws, i - 1], -FAR_BEHIND), lead[draws, i]
    found[draws] = np.exp(points[i - 1] + (points[i] - points[i - 1]) * lost / (lost - won))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Median and 90 % interval of a threshold; None where it lies beyond the end of the grid.

    Attributes:
        median: median over the draws.
        low: lower end of the interval.
        high: upper end of the interval.
        reached: share of the draws whose threshold lies within the grid.
    """

    median: float | None
    low: float | None
    high: float | None
    reached: float

    @classmethod
    def of_draws(cls, draws: Floats) -> Threshold:
        """Return the summary of draws of a threshold.

        Args:
            draws: thresholds, ∞ where there is none within the grid, shape (n,).
        """
        # No interpolation between a number and ∞.
        found = np.quantile(draws, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], method="inverted_cdf")
        low, median, high = (float(x) if np.isfinite(x) else None for x in found)
        return cls(median=median, low=low, high=high, reached=float(np.isfinite(draws).mean()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Switchover:
    """The threshold of one family and number of members at a request.

    Attributes:
        family: family of all designs.
        members: k.
        parameters: total parameters from which the ensemble wins at the requested epochs; a draw without a
            threshold counts as the end of the grid.
        epochs: epochs from which it wins at the requested budget, likewise.
        probability_past: probability that the request lies beyond the threshold.
        smallest: least budget of the grid from which every budget has an ensemble; a threshold there means
            that the ensemble wins wherever it exists.
        largest: last budget of the grid; a threshold there may lie beyond.
        longest: last number of epochs of the grid; a threshold there may lie beyond. The first is one epoch.
    """

    family: str
    members: int
    parameters: Estimate
    epochs: Estimate
    probability_past: float
    smallest: float = 0.0
    largest: float = float(PARAMETER_GRID[-1])
    longest: int = EPOCH_GRID[-1]


def switchover(source: ErrorSource, family: str, members: int, *, budget: float, epochs: int) -> Switchover:
    """Return the threshold of one family and number of members.

    Args:
        source: source of the errors.
        family: family of all designs.
        members: k ≥ 2.
        budget: total parameters of the request.
        epochs: epochs of the request.
    """
    sizes = contestants(source, family, members, PARAMETER_GRID.tolist(), epochs)
    by_size = contest(source, sizes, members, members, [epochs]).lead()[:, :, 0]
    exist = takewhile(lambda size: np.isfinite(size[1]).any(), zip(sizes[::-1], by_size.T[::-1], strict=True))
    here = contestants(source, family, members, [budget], epochs)
    # A budget that is too small for a network has no ensemble, whatever the epochs.
    by_length = np.full((len(by_size), 1 + len(EPOCH_GRID)), -np.inf)
    if here:
        by_length = contest(source, here, members, members, [*EPOCH_GRID, epochs]).lead()[:, 0]
    return Switchover(
        family=family,
        members=members,
        parameters=_within(crossing(by_size, [row.budget for row in sizes]), PARAMETER_GRID[-1]),
        epochs=_within(crossing(by_length[:, :-1], EPOCH_GRID), EPOCH_GRID[-1]),
        probability_past=float((by_length[:, -1] > 0).mean()),
        smallest=min((row.budget for row, _ in exist), default=0.0),
    )


def thresholds(
    source: ErrorSource, families: Sequence[str], members: Sequence[int], *, budget: float, epochs: int
) -> list[Switchover]:
    """Return the thresholds of every family and number of members above 1.

    Args:
        source: source of the errors.
        families: names of families; unknown ones are left out.
        members: numbers of members.
        budget: total parameters of the request.
        epochs: epochs of the request.
    """
    return [
        switchover(source, family, k, budget=budget, epochs=epochs)
        for family in families
        if family in FAMILIES
        for k in members
        if k > 1
    ]


def _within(draws: Floats, end: float) -> Estimate:
    """Return median and interval of draws, those beyond the end of the grid placed at its end.

    The median is robust to these draws; the mean is not.
    """
    low, middle, high = np.quantile(np.minimum(draws, end), [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    return Estimate(float(middle), float(low), float(high))
