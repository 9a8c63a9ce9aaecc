"""Estimates: a mean and a 90 % interval."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.estimate import LEVEL, Estimate, Z, total

finite = st.floats(-1e12, 1e12)


@st.composite
def estimates(draw):
    low, mean, high = sorted(draw(st.tuples(finite, finite, finite)))
    return Estimate(mean, low, high)


@given(estimates(), st.floats(0, 1e6))
def test_scaling_by_a_positive_factor_scales_mean_and_bounds(estimate, factor):
    scaled = estimate.scaled(factor)
    assert scaled == Estimate(estimate.mean * factor, estimate.low * factor, estimate.high * factor)
    assert scaled.low <= scaled.mean <= scaled.high


@given(finite)
def test_an_exact_estimate_has_no_width(value):
    estimate = Estimate.exact(value)
    assert (estimate.mean, estimate.low, estimate.high) == (value, value, value)


@given(st.lists(finite, min_size=1, max_size=200))
def test_an_estimate_of_samples_contains_its_mean_within_their_range(values):
    samples = np.array(values)
    estimate = Estimate.of_samples(samples)
    assert estimate.low <= estimate.mean <= estimate.high
    slack = 1e-9 * (1 + np.abs(samples).max())
    assert samples.min() - slack <= estimate.low
    assert estimate.high <= samples.max() + slack


def test_the_interval_of_evenly_spread_samples_leaves_five_percent_on_each_side():
    estimate = Estimate.of_samples(np.arange(101, dtype=float))
    assert (estimate.mean, estimate.low, estimate.high) == pytest.approx((50, 5, 95))


def test_the_mean_of_skewed_samples_stays_within_the_interval():
    estimate = Estimate.of_samples(np.array([0.0] * 99 + [1e6]))
    assert estimate.low == 0.0
    assert estimate.high >= estimate.mean == 1e4


@given(st.lists(estimates(), max_size=20))
def test_a_total_adds_means_and_bounds(parts):
    added = total(parts)
    assert added.mean == sum(part.mean for part in parts)
    assert added.low == sum(part.low for part in parts)
    assert added.high == sum(part.high for part in parts)


def test_relative_errors_of_independent_factors_add_up_in_quadrature():
    seconds, epochs = Estimate(2.0, 1.0, 4.0), Estimate(30.0, 15.0, 90.0)
    product = seconds.times(epochs)
    assert product.mean == 60.0
    # Both lows are half of their means, the highs twice and three times.
    assert product.low == pytest.approx(60 * 2 ** -(2**0.5))
    assert product.high == pytest.approx(60 * np.exp((np.log(2) ** 2 + np.log(3) ** 2) ** 0.5))


@given(estimates(), st.floats(0, 1e6))
def test_an_exact_factor_scales(estimate, factor):
    assert estimate.times(Estimate.exact(factor)) == estimate.scaled(factor)


@pytest.mark.parametrize(
    ("mean", "low", "high"), [(1, 2, 3), (4, 2, 3), (2, 3, 1), (float("nan"), 0, 1), (0.5, float("nan"), 1)]
)
def test_an_interval_without_its_mean_is_refused(mean, low, high):
    with pytest.raises(ValueError, match="does not contain the mean"):
        Estimate(mean, low, high)


def test_a_negative_factor_turns_the_interval_round_and_is_refused():
    with pytest.raises(ValueError, match="does not contain the mean"):
        Estimate(2.0, 1.0, 3.0).scaled(-1)


def test_the_quantile_of_the_normal_distribution_fits_the_level():
    assert pytest.approx(NormalDist().inv_cdf((1 + LEVEL) / 2)) == Z
