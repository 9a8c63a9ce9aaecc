"""The Ensemble Switchover Threshold: from where on k members beat one network of their total size.

Source: "More or Less" (Wasay and Idreos, ICLR 2021), section 3. The threshold lies in a plane of two
resources, total parameters and training epochs. At every budget three real designs meet: a single network,
its depth-equivalent (deq) and its width-equivalent (weq) ensemble. For every posterior draw

    lead = log(error of the single network / error of the better ensemble),

and the threshold along one axis is where the lead turns positive for good. So every threshold has an
interval, and a draw without such a place has none.

The epoch axis can be read in two ways; each is an `ErrorSource` of its own (`advisor.decision.epoch_axis`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from advisor.decision.epoch_axis import ErrorSource
from advisor.designs.design import DesignClass
from advisor.designs.space import Equivalents, equivalents_within
from advisor.estimate import LEVEL, Estimate, Floats
from advisor.networks.architecture import NetworkSpec
from advisor.networks.families import FAMILIES

PARAMETER_GRID: Floats = np.round(np.geomspace(1e4, 1e9, 31))
EPOCH_GRID: tuple[int, ...] = tuple(sorted({round(e) for e in np.geomspace(1, 2000, 34)}))
# Single networks of a budget whose errors differ by less count as equally good, and each may name the
# equivalents: no training could tell them apart, and their widths are rounded differently.
ALIKE = 0.01
# A lead in log error that no two networks have; for arithmetic with −∞.
FAR_BEHIND = 1e9
ENSEMBLES = (DesignClass.DEPTH_EQUIVALENT, DesignClass.WIDTH_EQUIVALENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestants:
    """The designs that meet at one budget: a single network, and a member of each ensemble that exists."""

    budget: float
    single: NetworkSpec
    ensembles: dict[DesignClass, NetworkSpec]


def contestants(
    source: ErrorSource, family: str, members: int, budgets: Sequence[float], epochs: int
) -> list[Contestants]:
    """Return the designs of every budget that holds a network.

    The single network has the least predicted error among the widest of every depth; each ensemble class
    has the best of those that are equivalent to it, or to a network `ALIKE` it.

    Args:
        source: of errors.
        family: of all designs.
        members: k ≥ 2.
        budgets: total parameters.
        epochs: after which errors are compared.
    """
    fields = {b: found for b in budgets if (found := equivalents_within(b, family, members, source.task))}
    singles = _means(source, [e.single for field in fields.values() for e in field], 1, epochs)
    least = {b: min(singles[e.single] for e in field) for b, field in fields.items()}
    rivals = {
        b: _by_class([e for e in field if singles[e.single] <= (1 + ALIKE) * least[b]])
        for b, field in fields.items()
    }
    together = _means(
        source, [n for kinds in rivals.values() for found in kinds.values() for n in found], members, epochs
    )
    return [
        Contestants(
            budget=b,
            single=min((e.single for e in field), key=singles.__getitem__),
            ensembles={kind: min(found, key=together.__getitem__) for kind, found in rivals[b].items()},
        )
        for b, field in fields.items()
    ]


def _by_class(bases: Sequence[Equivalents]) -> dict[DesignClass, list[NetworkSpec]]:
    """Members of the ensembles of some single networks, by class; a class without any is left out."""
    found = {
        DesignClass.DEPTH_EQUIVALENT: [e.depth_equivalent for e in bases if e.depth_equivalent],
        DesignClass.WIDTH_EQUIVALENT: [e.width_equivalent for e in bases if e.width_equivalent],
    }
    return {kind: networks for kind, networks in found.items() if networks}


def _means(
    source: ErrorSource, networks: Sequence[NetworkSpec], members: int, epochs: int
) -> dict[NetworkSpec, float]:
    """Mean predicted error of each network, trained independently."""
    order = list(dict.fromkeys(networks))
    if not order:
        return {}
    means = source.errors(order, members, members, [epochs]).mean(axis=(0, 2))
    return dict(zip(order, means.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Predicted errors in every cell of budgets and epochs.

    Attributes:
        single: shape (draws, budgets, epochs).
        ensembles: of each class, the same shape; infinite where the class has no design.
    """

    single: Floats
    ensembles: dict[DesignClass, Floats]

    def best(self) -> NDArray[np.int64]:
        """Index into `ENSEMBLES` of the class with the least mean error, shape (budgets, epochs)."""
        means = np.stack([self.ensembles[kind].mean(axis=0) for kind in ENSEMBLES])
        return np.asarray(means.argmin(axis=0), dtype=np.int64)

    def ensemble(self) -> Floats:
        """Errors of the better class of each cell, shape (draws, budgets, epochs)."""
        deq, weq = (self.ensembles[kind] for kind in ENSEMBLES)
        return np.where(self.best() == 0, deq, weq)

    def lead(self) -> Floats:
        """log(single / ensemble), shape (draws, budgets, epochs); −∞ where no ensemble fits."""
        return np.asarray(np.log(self.single) - np.log(self.ensemble()), dtype=float)


def contest(
    source: ErrorSource,
    rows: Sequence[Contestants],
    members: int,
    clusters: int,
    epochs: Sequence[int],
    ensemble_epochs: Sequence[int] | None = None,
) -> Contest:
    """Return the errors of the designs of every budget at every number of epochs.

    Args:
        source: of errors.
        rows: designs of each budget, at least one.
        members: k.
        clusters: g of the ensembles.
        epochs: of the single networks.
        ensemble_epochs: of the ensembles, where they train for another number than the single network.
    """
    single = source.errors([row.single for row in rows], 1, 1, epochs)
    ensembles = {}
    for kind in ENSEMBLES:
        having = [i for i, row in enumerate(rows) if kind in row.ensembles]
        ensembles[kind] = np.full_like(single, np.inf)
        if having:
            networks = [rows[i].ensembles[kind] for i in having]
            ensembles[kind][:, having] = source.errors(networks, members, clusters, ensemble_epochs or epochs)
    return Contest(single=single, ensembles=ensembles)


def crossing(lead: Floats, grid: Sequence[float]) -> Floats:
    """Where each draw's lead turns positive for good, between two points in the logarithm of the grid.

    Args:
        lead: shape (draws, points); −∞ where nothing is known to be compared.
        grid: rising, shape (points,).

    Returns:
        Shape (draws,): the first point of a draw that always leads, ∞ of one that does not lead at the last.
    """
    losing, last = lead <= 0, len(grid)
    # Position after the last loss.
    after = np.where(losing.any(axis=1), last - np.argmax(losing[:, ::-1], axis=1), 0)
    points, found = np.log(np.asarray(grid, dtype=float)), np.full(len(lead), np.inf)
    found[after == 0] = grid[0]
    draws = np.flatnonzero((after > 0) & (after < last))
    i = after[draws]
    # Where nothing was comparable before, the threshold is the first point that is.
    lost, won = np.maximum(lead[draws, i - 1], -FAR_BEHIND), lead[draws, i]
    found[draws] = np.exp(points[i - 1] + (points[i] - points[i - 1]) * lost / (lost - won))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Median and 90 % interval of a threshold over posterior draws; None lies beyond the grid.

    Attributes:
        reached: share of the draws whose threshold lies within the grid.
    """

    median: float | None
    low: float | None
    high: float | None
    reached: float

    @classmethod
    def of_draws(cls, draws: Floats) -> Threshold:
        """Summarise draws of shape (n,), ∞ where the threshold is not reached."""
        # Without interpolation: between a figure and ∞ there is nothing.
        found = np.quantile(draws, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], method="inverted_cdf")
        low, median, high = (float(x) if np.isfinite(x) else None for x in found)
        return cls(median=median, low=low, high=high, reached=float(np.isfinite(draws).mean()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Switchover:
    """Threshold of one family and member count around a request.

    Attributes:
        parameters: total size from which the ensemble wins at the requested epochs; a draw that never does
            counts as the end of the grid.
        epochs: number from which it wins at the requested size, in the same way.
        probability_past: that the request lies past the threshold.
        smallest: total size, of those looked at, from which on there is such an ensemble at every one; a
            threshold there says that it wins wherever that is known.
        largest: total size up to which was looked; a threshold there lies there or beyond.
        longest: number of epochs up to which was looked, likewise; the least is one epoch.
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
    """Return the threshold of `members` networks of a family against one of their total size."""
    sizes = contestants(source, family, members, PARAMETER_GRID.tolist(), epochs)
    by_size = contest(source, sizes, members, members, [epochs]).lead()[:, :, 0]
    exist = takewhile(lambda size: np.isfinite(size[1]).any(), zip(sizes[::-1], by_size.T[::-1], strict=True))
    here = contestants(source, family, members, [budget], epochs)
    # Where no network fits, nothing wins at any number of epochs.
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
    """Return the thresholds of every family and member count above 1."""
    return [
        switchover(source, family, k, budget=budget, epochs=epochs)
        for family in families
        if family in FAMILIES
        for k in members
        if k > 1
    ]


def _within(draws: Floats, end: float) -> Estimate:
    """Median and interval (a mean would be ruled by draws at the end of the grid)."""
    low, middle, high = np.quantile(np.minimum(draws, end), [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    return Estimate(float(middle), float(low), float(high))
