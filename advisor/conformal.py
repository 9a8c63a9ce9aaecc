"""Conformal correction: forecast intervals become wider or narrower by what became of earlier forecasts.

Notation, for a forecast with mean m and interval [l, h] whose outcome is a:

    s = ln(a / m) / ln(h / m)   if a > m
        ln(m / a) / ln(m / l)   if a < m
        0                       if a = m

The score s is 1 at an end of the interval and greater outside. Of a skewed interval it takes the side of the
outcome. With scores s_i, their weights w_i and the sum W of the weights, the correction has the factor

    q = the least s for which the weights of all s_i ≤ s sum to at least 0.9 (W + 1)
    l' = m (l / m)^q,   h' = m (h / m)^q

With weights of 1 that is the ⌈0.9 (n + 1)⌉-th smallest of n scores: split conformal prediction (Vovk,
Gammerman and Shafer 2005; Lei et al. 2018, section 2.2). If the scores are exchangeable, the next outcome
lies in its interval with a probability of at least 90 %. The `MOST_OWN` newest forecasts of the machine have
a weight of 1. Scores that ship with the program (`advisor.shipped_scores`) together have a weight of
`SHIPPED_WEIGHT`, so that forecasts of the machine outweigh them as they accumulate (fixed weights: Barber et
al. 2023, section 3). They are of one machine and of few origins of data, which is too little to make other
intervals narrower: where they alone would give a q below 1, they are divided by it.

Forecasts are compared with those of the same quantity on the same basis, because an interval that rests on
little evidence errs in other ways than one that rests on much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from advisor.estimate import LEVEL, Estimate

# Newest forecasts of the machine that count, of one quantity on one basis.
MOST_OWN = 100
# Forecasts of the machine that all shipped scores of one quantity on one basis count as. Chosen: the first
# dozen finished runs move a factor, and a hundred leave the shipped scores less than a quarter.
SHIPPED_WEIGHT = 30
# Limits of a factor. Beyond them something else is wrong, such as a machine that was busy.
LEAST_FACTOR, MOST_FACTOR = 0.5, 3.0


class Quantity(StrEnum):
    """A quantity that is forecast and corrected."""

    TIME = "time"
    MEMORY = "memory"
    LATENCY = "latency"
    ERROR = "error"


class CostBasis(StrEnum):
    """Evidence behind a forecast of cost; `CostPredictor.basis` has the same values."""

    NOMINAL = "nominal"
    FEW_MEASUREMENTS = "few measurements"
    MEASUREMENTS = "measurements"


class ErrorBasis(StrEnum):
    """Evidence behind a forecast of the error."""

    PRIOR = "prior"
    DATA = "data"
    RUNS = "runs"


# Quantity, and basis of its forecast.
Key = tuple[Quantity, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The factor on the logarithmic width of intervals of one quantity, and what it rests on.

    Attributes:
        quantity: quantity that is forecast.
        basis: evidence that the forecast rests on, a value of `CostBasis` or `ErrorBasis`.
        factor: factor on the logarithmic width; 1 where there is no evidence.
        own: finished forecasts of the machine behind it.
        shipped: forecasts behind the scores that ship with the program.
    """

    quantity: Quantity
    basis: str
    factor: float = 1.0
    own: int = 0
    shipped: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.factor < math.inf:
            raise ValueError(f"a factor of intervals must be positive and finite, got {self.factor}")
        if self.own < 0 or self.shipped < 0:
            raise ValueError(f"numbers of forecasts must be at least 0, got {self.own} and {self.shipped}")

    def applied(self, estimate: Estimate, most: float = math.inf) -> Estimate:
        """Return an estimate with its corrected interval; its mean stays.

        Args:
            estimate: estimate of the quantity, at least 0.
            most: greatest value that the quantity can have.
        """
        mean, low, high = estimate.mean, estimate.low, estimate.high
        if self.factor == 1 or mean <= 0:
            return estimate
        low = mean * (max(low, 0.0) / mean) ** self.factor
        high = mean * (high / mean) ** self.factor
        return Estimate(mean, min(low, mean), max(min(high, most), mean))


@dataclass(frozen=True, slots=True)
class ShippedScores:
    """Scores of forecasts on other machines or other data, of one quantity on one basis.

    Attributes:
        groups: scores of each machine or origin of data, at least one each. All groups count equally.
        forecasts: number of forecasts that were scored.
    """

    groups: Sequence[Sequence[float]]
    forecasts: int

    def weighted(self) -> list[tuple[float, float]]:
        """Return the scores with their weights; alone they make no interval narrower."""
        pairs = [
            (score, SHIPPED_WEIGHT / len(self.groups) / len(group))
            for group in self.groups
            for score in group
        ]
        alone = conformal_quantile(pairs)
        widest = min(alone, 1.0) if alone else 1.0
        return [(score / widest, weight) for score, weight in pairs]


@dataclass(frozen=True, slots=True)
class Corrections:
    """Corrections of all quantities; without scores, every factor is 1.

    Attributes:
        own: scores of the machine's own forecasts by quantity and basis, newest first.
        shipped: scores that ship with the program.
    """

    own: Mapping[Key, Sequence[float]] = field(default_factory=dict)
    shipped: Mapping[Key, ShippedScores] = field(default_factory=dict)

    def of(self, quantity: Quantity, basis: str) -> Correction:
        """Return the correction of forecasts of a quantity that rest on a basis."""
        own, shipped = self.own.get((quantity, basis), ())[:MOST_OWN], self.shipped.get((quantity, basis))
        weighted = [(score, 1.0) for score in own] + ([] if shipped is None else shipped.weighted())
        found = conformal_quantile(weighted)
        # Too few scores for any quantile, which only happens without shipped ones: nothing is known.
        factor = 1.0 if found is None else min(max(found, LEAST_FACTOR), MOST_FACTOR)
        return Correction(
            quantity=quantity,
            basis=basis,
            factor=factor,
            own=len(own),
            shipped=0 if shipped is None else shipped.forecasts,
        )


def conformal_quantile(weighted: Sequence[tuple[float, float]]) -> float | None:
    """Return q of weighted scores; None if their weight is too small for any.

    Args:
        weighted: pairs of a score and its weight.
    """
    needed = LEVEL * (1 + sum(weight for _, weight in weighted))
    reached = 0.0
    for score, weight in sorted(weighted):
        reached += weight
        # Weights are sums of shares, which are rounded.
        if reached >= needed * (1 - 1e-12):
            return score
    return None


def score_of(actual: float, forecast: tuple[float, float, float], least: float = 0.0) -> float:
    """Return the score of a finished forecast, at least 0; infinite beyond an end that is the mean itself.

    Args:
        actual: outcome.
        forecast: mean, lower and upper end of the interval.
        least: smallest value that counts; smaller ones, the ends of the interval too, count as this one.
    """
    outcome, mean, low, high = (max(value, least) for value in (actual, *forecast))
    if outcome == mean:
        return 0.0
    end = high if outcome > mean else low
    if end == mean or mean == 0 or outcome == 0:
        return math.inf
    return 0.0 if end == 0 else math.log(outcome / mean) / math.log(end / mean)
