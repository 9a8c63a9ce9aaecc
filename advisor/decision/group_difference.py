"""By how much two groups of trainings differ, and the mean of one, with a 90 % interval.

The trainings of a group differ by nothing but their seed. Notation for the groups i = 1, 2:

    n_i    number of trainings
    x_i    mean of a figure over them; e_i where it is the test error, a share
    s_i    sample standard deviation of the figure
    σ_i    forecast standard deviation of the log error of one training between seeds
    N      number of test images

Over seeds, with two trainings or more in both groups (Welch's t interval, ν by Satterthwaite):

    x_1 − x_2 ± t_ν · √(s_1²/n_1 + s_2²/n_2)

It says how the difference would come out with other seeds on the same test images.

By counting, for test errors where a group has a single training:

    e_1 − e_2 ± z · √(Σ_i [(e_i·σ_i)²/n_i + e_i·(1 − e_i)/N])

It says how the difference would come out with other seeds and other test images. Both errors are counted on
the same images, and what is hard for one is hard for the other. The sum of two binomial variances is
therefore rather too large, and the interval rather too wide.

The mean of one group has the interval that either formula gives without the terms of the other group: over
seeds with n_1 − 1 degrees of freedom.

Source: Welch, The generalization of "Student's" problem (Biometrika 1947).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from scipy.special import stdtrit

from advisor.estimate import LEVEL, Estimate, Z


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedError:
    """The test error of a group.

    Attributes:
        error: mean test error, share.
        trainings: number n of trainings.
        seed_std: forecast standard deviation σ of the log error of one training between seeds.
        images: number N of test images.
    """

    error: float
    trainings: int
    seed_std: float
    images: int

    @property
    def variance(self) -> float:
        """Variance of the mean error over seeds and test images; of no error at all that of half an error."""
        share = min(max(self.error, 0.5 / self.images), 1.0)
        seeds = (share * self.seed_std) ** 2 / self.trainings
        return seeds + share * (1 - share) / self.images


def difference_over_seeds(
    values: Sequence[float], reference: Sequence[float], resolution: float = 0.0
) -> Estimate:
    """Return the difference of two means and its t interval over seeds.

    Args:
        values: figure of each training of a group, at least two.
        reference: figure of each training of the group that it is compared with, at least two.
        resolution: smallest difference of two figures, such as one image of the test images. Equal figures
            may differ by rounding to it, so their variance is not taken for 0.

    Raises:
        ValueError: a group has fewer than two figures.
    """
    if min(len(values), len(reference)) < 2:
        raise ValueError("an interval over seeds needs two trainings or more in both groups")
    groups = (values, reference)
    parts = [_variance_of_mean(group, resolution) for group in groups]
    difference, total = fmean(values) - fmean(reference), sum(parts)
    if not total:
        return Estimate.exact(difference)
    degrees = total**2 / sum(part**2 / (len(group) - 1) for part, group in zip(parts, groups, strict=True))
    return _around(difference, float(stdtrit(degrees, (1 + LEVEL) / 2)) * math.sqrt(total))


def mean_over_seeds(values: Sequence[float], resolution: float = 0.0) -> Estimate:
    """Return the mean of a group and its t interval over seeds; arguments as for `difference_over_seeds`.

    Raises:
        ValueError: there are fewer than two figures.
    """
    if len(values) < 2:
        raise ValueError("an interval over seeds needs two trainings or more")
    half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * math.sqrt(_variance_of_mean(values, resolution))
    return _around(fmean(values), half)


def mean_by_counting(group: CountedError) -> Estimate:
    """Return a test error with the uncertainty of counting and forecast seed noise, at least 0."""
    found = _around(group.error, Z * math.sqrt(group.variance))
    return Estimate(found.mean, max(found.low, 0.0), found.high)


def difference_by_counting(group: CountedError, reference: CountedError) -> Estimate:
    """Return the difference of two test errors, with the uncertainty of counting and forecast seed noise."""
    return _around(group.error - reference.error, Z * math.sqrt(group.variance + reference.variance))


def _variance_of_mean(values: Sequence[float], resolution: float) -> float:
    # A figure that is rounded to multiples of r has an error with variance r²/12.
    return max(variance(values), resolution**2 / 12) / len(values)


def _around(mean: float, half: float) -> Estimate:
    return Estimate(mean, mean - half, mean + half)
