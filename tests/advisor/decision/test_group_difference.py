"""Differences of groups of trainings, beside SciPy's test and beside sums by hand."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from advisor.decision.group_difference import (
    CountedError,
    difference_by_counting,
    difference_over_seeds,
)
from advisor.estimate import Estimate


@pytest.mark.parametrize(
    ("values", "reference"),
    [((0.10, 0.12, 0.11), (0.14, 0.13)), ((0.3, 0.2), (0.25, 0.26, 0.24, 0.29)), ((1.0, 2.0), (1.0, 4.0))],
)
def test_the_interval_over_seeds_is_that_of_welchs_test(values, reference):
    expected = stats.ttest_ind(values, reference, equal_var=False).confidence_interval(0.9)
    found = difference_over_seeds(values, reference)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx(sum(values) / len(values) - sum(reference) / len(reference))


def test_an_interval_over_seeds_needs_two_trainings_on_both_sides():
    with pytest.raises(ValueError, match="two trainings or more in both groups"):
        difference_over_seeds((0.1,), (0.2, 0.3))


def test_equal_errors_are_only_known_to_an_image():
    assert difference_over_seeds((0.1, 0.1), (0.2, 0.2)) == Estimate.exact(0.1 - 0.2)
    found = difference_over_seeds((0.1, 0.1), (0.2, 0.2), resolution=0.01)
    # Variances 0.01²/12 of two groups of two; 2 degrees of freedom, whose quantile is 2.92.
    assert found.high - found.mean == pytest.approx(2.91999 * 0.01 / math.sqrt(12), rel=1e-4)


def test_the_interval_of_single_trainings_adds_counting_and_seeds():
    one = CountedError(error=0.1, trainings=1, seed_std=0.2, images=900)
    other = CountedError(error=0.2, trainings=4, seed_std=0.1, images=900)
    # Seeds: (0.1·0.2)² and (0.2·0.1)²/4; counting: 0.1·0.9/900 and 0.2·0.8/900.
    variance = 4e-4 + 1e-4 + 1e-4 + 0.16 / 900
    found = difference_by_counting(one, other)
    assert found.mean == pytest.approx(-0.1)
    assert found.high - found.mean == pytest.approx(1.644854 * math.sqrt(variance), rel=1e-6)


def test_no_error_at_all_is_not_known_exactly():
    none = CountedError(error=0.0, trainings=1, seed_std=0.1, images=100)
    found = difference_by_counting(none, none)
    assert found.low < 0 < found.high
