"""A forecast figure: a mean and a 90 % interval around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.90
# Standard normal quantile of (1 + LEVEL) / 2.
Z = 1.6448536269514722

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean and 90 % interval; low ≤ mean ≤ high."""

    mean: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.mean <= self.high:
            raise ValueError(f"the interval [{self.low}, {self.high}] does not contain the mean {self.mean}")

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate of `factor` ≥ 0 times the quantity."""
        return Estimate(self.mean * factor, self.low * factor, self.high * factor)

    def plus(self, amount: float) -> Estimate:
        """Return the estimate of the quantity and an exact amount."""
        return Estimate(self.mean + amount, self.low + amount, self.high + amount)

    @classmethod
    def exact(cls, value: float) -> Estimate:
        """A figure without uncertainty."""
        return cls(value, value, value)

    @classmethod
    def of_samples(cls, samples: Floats) -> Estimate:
        """Mean and the central 90 % of samples, shape (n,)."""
        low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        mean = float(np.mean(samples))
        return cls(mean, min(float(low), mean), max(float(high), mean))


def total(parts: list[Estimate]) -> Estimate:
    """Sum of quantities whose errors move together (one predictor), the cautious choice."""
    return Estimate(sum(p.mean for p in parts), sum(p.low for p in parts), sum(p.high for p in parts))
