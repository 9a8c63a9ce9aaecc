"""The Ensemble Switchover Threshold: the size from which k members beat one network of their total size.

The threshold is a curve in the plane of two resources, total parameters and training epochs. At every budget
and number of epochs three designs are compared (`advisor.decision.threshold.contest`): the single network
that is best there, its depth-equivalent ensemble (deq) and its width-equivalent ensemble (weq).

Notation:

    k         members of an ensemble
    budget    total parameters
    lead      log(error of the single network / error of the better ensemble); positive: the ensemble wins

The threshold along one axis is the point from which the lead of a draw stays positive. Every draw has its own
threshold, which gives the threshold an interval; a draw whose lead is negative at the end has none.

A number of epochs has two readings; each is an `ErrorSource` of its own
(`advisor.decision.threshold.epoch_axis`).

Source: Wasay and Idreos, "More or Less" (ICLR 2021), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from advisor.decision.threshold.contest import contest, contestants
from advisor.decision.threshold.error_source import ErrorSource, Point
from advisor.estimate import LEVEL, Estimate, Floats
from advisor.networks.families import FAMILIES

PARAMETER_GRID: Floats = np.round(np.geomspace(1e4, 1e9, 31))
EPOCH_GRID: tuple[int, ...] = tuple(sorted({round(e) for e in np.geomspace(1, 2000, 34)}))
# Replaces a lead of −∞ in interpolations; far larger than the lead of any two networks.
FAR_BEHIND = 1e9


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
    here, lengths = [Point(epochs)], [Point(length) for length in (*EPOCH_GRID, epochs)]
    sizes = contestants(source, family, members, PARAMETER_GRID.tolist(), here)
    by_size = contest(source, sizes, members, members, here).lead()[:, :, 0]
    budgets = [designs.budget for (designs,) in sizes]
    falling = zip(budgets[::-1], by_size.T[::-1], strict=True)
    exist = takewhile(lambda size: np.isfinite(size[1]).any(), falling)
    row = contestants(source, family, members, [budget], lengths)
    # A budget that is too small for a network has no ensemble, whatever the epochs.
    by_length = np.full((len(by_size), len(lengths)), -np.inf)
    if row:
        by_length = contest(source, row, members, members, lengths).lead()[:, 0]
    return Switchover(
        family=family,
        members=members,
        parameters=_within(crossing(by_size, budgets), PARAMETER_GRID[-1]),
        epochs=_within(crossing(by_length[:, :-1], EPOCH_GRID), EPOCH_GRID[-1]),
        probability_past=float((by_length[:, -1] > 0).mean()),
        smallest=min((size for size, _ in exist), default=0.0),
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
