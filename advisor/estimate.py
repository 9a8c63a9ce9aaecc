"""A predicted quantity: its mean and a 90 % interval around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Probability that an interval contains the quantity.
LEVEL = 0.90
# Half the width of such an interval in standard deviations of a normal distribution: the quantile of
# (1 + LEVEL) / 2, written down because every worker would import scipy for it.
Z = 1.6448536269514722

Floats = NDArray[np.float64]
# Mean and standard deviation.
Normal = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean and 90 % interval of a quantity.

    Attributes:
        mean: expected value, in the unit of the quantity.
        low: lower end of the interval, at most the mean.
        high: upper end of the interval, at least the mean.

    Raises:
        ValueError: the interval does not contain the mean.
    """

    mean: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.mean <= self.high:
            raise ValueError(f"the interval [{self.low}, {self.high}] does not contain the mean {self.mean}")

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate of the quantity times a factor ≥ 0."""
        return Estimate(self.mean * factor, self.low * factor, self.high * factor)

    def times(self, factor: Estimate) -> Estimate:
        """Return the estimate of the product with an independent positive quantity.

        The logarithms of both bounds over the mean add up in quadrature.
        """
        if factor.low == factor.high:
            return self.scaled(factor.mean)
        mean = self.mean * factor.mean
        low, high = (
            np.hypot(np.log(own / self.mean), np.log(other / factor.mean))
            for own, other in ((self.low, factor.low), (self.high, factor.high))
        )
        return Estimate(mean, mean * float(np.exp(-low)), mean * float(np.exp(high)))

    def plus(self, amount: float) -> Estimate:
        """Return the estimate of the quantity plus an exactly known amount."""
        return Estimate(self.mean + amount, self.low + amount, self.high + amount)

    def widened(self, factor: float) -> Estimate:
        """Return the estimate with an interval that reaches further by a factor ≥ 1 on both sides."""
        return Estimate(self.mean, self.low / factor, self.high * factor)

    @classmethod
    def exact(cls, value: float) -> Estimate:
        """Return the estimate of an exactly known quantity: its interval has no width."""
        return cls(value, value, value)

    @classmethod
    def of_samples(cls, samples: Floats) -> Estimate:
        """Return the mean and the central 90 % of samples, shape (n,).

        The interval of skewed samples is widened where it would leave out their mean.
        """
        low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        mean = float(np.mean(samples))
        return cls(mean, min(float(low), mean), max(float(high), mean))


def total(parts: list[Estimate]) -> Estimate:
    """Return the estimate of a sum, bounds added to bounds.

    This is exact where the errors of all parts come from one cause, and too wide otherwise.
    """
    return Estimate(sum(p.mean for p in parts), sum(p.low for p in parts), sum(p.high for p in parts))
