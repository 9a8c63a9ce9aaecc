"""Intervals of means over cells, coverage of predicted intervals, and verdicts on both, all at 90 %."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binomtest
from scipy.stats import t as student

REPEATS, LEVEL = 4000, 0.90


def bootstrapped(values: Mapping[tuple[str, int], float]) -> dict[str, float | None]:
    """Return the mean over cells with its 90 % interval, which one cell does not have.

    Data sets and budgets are resampled independently of each other, so that cells with a common data set or
    budget stay together (the pigeonhole bootstrap, Owen 2007).
    """
    if not values:
        return {"mean": None, "low": None, "high": None}
    if len(values) == 1:
        return {"mean": float(*values.values()), "low": None, "high": None}
    chance = np.random.default_rng(0)
    weights = np.ones((REPEATS, len(values)))
    for axis in (0, 1):
        names = sorted({key[axis] for key in values})
        counts = chance.multinomial(len(names), np.full(len(names), 1 / len(names)), REPEATS)
        weights *= counts[:, [names.index(key[axis]) for key in values]]
    weights = weights[weights.sum(axis=1) > 0]
    figures = np.array(list(values.values()))
    low, high = np.quantile(weights @ figures / weights.sum(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"mean": float(figures.mean()), "low": float(low), "high": float(high)}


def over_seeds(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half the width of its interval, which is infinite with one seed."""
    if len(values) < 2:
        return values[0], float("inf")
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(student.ppf(0.95, len(values) - 1) * error)


def coverage(covered: Mapping[object, Sequence[bool]], widths: Sequence[float]) -> dict[str, float | None]:
    """Return the share of trainings that intervals contain, and the p-value of a coverage of 90 %.

    Trainings of one design share its error, so their number is divided by the design effect (Kish 1965)
    before the binomial test.

    Args:
        covered: whether the interval contains each training, by design.
        widths: upper minus lower end of each interval, points.
    """
    sizes = np.array([len(c) for c in covered.values()])
    if not len(sizes):
        return {"share": None, "p": None, "trainings": 0, "designs": 0, "width": None}
    hits, total = np.array([sum(c) for c in covered.values()]), int(sizes.sum())
    share, effective = float(hits.sum() / total), float(len(sizes))
    if 0 < share < 1 and len(sizes) > 1:
        variance = ((hits - share * sizes) ** 2).sum() / total**2 * len(sizes) / (len(sizes) - 1)
        effective = min(share * (1 - share) / max(variance, 1e-12), total)
    count = max(round(effective), 1)
    return {
        "share": share,
        "p": float(binomtest(round(share * count), count, LEVEL).pvalue),
        "trainings": total,
        "designs": len(sizes),
        "width": float(np.mean(widths)),
    }


def verdict(value: float | None, limit: float, ends: Sequence[float | None] = (), least: bool = False) -> str:
    """Return whether a figure is at most (at least) a limit, and whether its interval contains the limit."""
    if value is None:
        return "not evaluated"
    sign = -1 if least else 1
    low, high = (sign * x for x in (ends if ends and None not in ends else (value, value)))
    crossed = min(low, high) <= sign * limit < max(low, high)
    return ("met" if sign * value <= sign * limit else "missed") + (", open" if crossed else "")
