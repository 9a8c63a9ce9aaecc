"""Scores, their quantile, and the intervals that follow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.conformal import (
    LEAST_FACTOR,
    MOST_FACTOR,
    MOST_OWN,
    Correction,
    Corrections,
    ErrorBasis,
    Quantity,
    ShippedScores,
    conformal_quantile,
    score_of,
)
from advisor.estimate import Estimate
from advisor.shipped_scores import shipped_scores

KEY = (Quantity.TIME, "measurements")
# Half a 90 % interval of a standard normal distribution, from a table.
Z = 1.6449


def factor_of(own: list[float], shipped: ShippedScores | None = None) -> float:
    return Corrections({KEY: own}, {} if shipped is None else {KEY: shipped}).of(*KEY).factor


def test_a_score_is_0_at_the_mean_and_1_at_both_ends_of_a_skewed_interval() -> None:
    assert [score_of(actual, (4.0, 2.0, 16.0)) for actual in (2.0, 4.0, 16.0)] == [1.0, 0.0, 1.0]
    # A factor of 2 above the mean is half of the upper side, and all of the lower one.
    assert score_of(8.0, (4.0, 2.0, 16.0)) == pytest.approx(0.5)
    assert score_of(1.0, (4.0, 2.0, 16.0)) == pytest.approx(2.0)


def test_no_error_at_all_counts_as_the_least_that_can_be_told() -> None:
    # Half of a wrong answer in 1,000: two powers of ten below the mean, where the interval has one.
    assert score_of(0.0, (0.05, 0.005, 0.5), 0.0005) == pytest.approx(2.0)
    assert score_of(0.0, (0.05, 0.0, 0.5), 0.0005) == pytest.approx(1.0)


def test_an_outcome_beyond_an_end_that_is_the_mean_has_no_finite_score() -> None:
    assert score_of(2.0, (1.0, 0.5, 1.0)) == math.inf
    assert factor_of([math.inf] * 50) == MOST_FACTOR


@given(st.lists(st.floats(0, 10), min_size=9, max_size=60))
def test_the_quantile_of_equal_weights_is_that_of_split_conformal_prediction(scores: list[float]) -> None:
    rank = -(-9 * (len(scores) + 1) // 10)
    assert conformal_quantile([(score, 1.0) for score in scores]) == sorted(scores)[rank - 1]


@given(st.lists(st.floats(0, 10), max_size=8))
def test_fewer_than_nine_own_scores_alone_correct_nothing(scores: list[float]) -> None:
    assert factor_of(scores) == 1.0


@pytest.mark.parametrize("number", [9, 20, 37, 100])
def test_nine_in_ten_new_outcomes_are_inside_when_scores_are_exchangeable(number: int) -> None:
    drawn = np.abs(np.random.default_rng(number).standard_t(3, (4000, number + 1)))
    inside = []
    for row in drawn.tolist():
        threshold = conformal_quantile([(score, 1.0) for score in row[:-1]])
        assert threshold is not None
        inside.append(row[-1] <= threshold)
    # At least 90 %, and at most one rank more; the simulation is exact to half a point.
    assert 0.9 - 0.015 < np.mean(inside) < 0.9 + 1 / (number + 1) + 0.015


@pytest.mark.parametrize("true", [0.7, 1.0, 2.0])
def test_intervals_that_are_too_narrow_by_a_factor_get_it_back(true: float) -> None:
    generator, found = np.random.default_rng(0), []
    for _ in range(40):
        stds = generator.uniform(0.05, 0.5, MOST_OWN)
        outcomes = np.exp(stds * generator.standard_normal(MOST_OWN))
        ends = np.exp(Z * stds / true)
        own = [score_of(a, (1.0, 1 / e, e)) for a, e in zip(outcomes.tolist(), ends.tolist(), strict=True)]
        found.append(factor_of(own))
    assert np.mean(found) == pytest.approx(true, rel=0.05)


def test_own_forecasts_outweigh_the_shipped_ones_as_they_accumulate() -> None:
    # Shipped scores are even between 0 and 1.5, so 1.395 is their quantile: 27.9 of a weight of 30.
    shipped = ShippedScores([np.linspace(0, 1.5, 601).tolist()], 601)
    wide, narrow = (
        [factor_of([score] * number, shipped) for number in (0, 3, 10, 30, 100)] for score in (2.0, 0.6)
    )
    assert wide[0] == narrow[0] == pytest.approx(1.395, abs=0.01)
    assert wide == sorted(wide)
    assert wide[-1] == 2.0
    assert narrow == sorted(narrow, reverse=True)
    # 117.9 of 131 must be below: 100 own ones, and with them 17.9 of 30 shipped ones.
    assert narrow[-1] == pytest.approx(1.5 * 17.9 / 30, abs=0.01)


def test_shipped_scores_alone_make_no_interval_narrower_and_own_ones_do() -> None:
    shipped = ShippedScores([np.linspace(0, 0.8, 601).tolist()], 601)
    assert factor_of([], shipped) == 1.0
    assert factor_of([0.6] * 100, shipped) == pytest.approx(17.9 / 27.9, abs=0.01)


def test_only_the_newest_own_forecasts_count() -> None:
    correction = Corrections({KEY: [1.5] * MOST_OWN + [3.0] * 1000}).of(*KEY)
    assert (correction.factor, correction.own) == (1.5, MOST_OWN)


def test_every_origin_of_shipped_scores_counts_equally_however_many_it_has() -> None:
    # Of 31 forecasts, 27.9 must be below: 15 of the large group and 12.9 of the small one.
    large, small = [1.2] * 1000, [2.0, 2.5]
    assert factor_of([], ShippedScores([large, small], 1002)) == 2.5
    assert factor_of([], ShippedScores([large + small], 1002)) == 1.2


@given(st.floats(0.001, 100))
def test_a_factor_stays_within_its_limits(score: float) -> None:
    assert LEAST_FACTOR <= factor_of([score] * 20) <= MOST_FACTOR


@given(st.floats(1e-3, 1e3), st.floats(0, 1), st.floats(1, 1e3), st.floats(0.5, 3))
def test_a_corrected_interval_has_its_mean_and_log_widths_times_the_factor(
    mean: float, down: float, up: float, factor: float
) -> None:
    estimate = Estimate(mean, mean * down, mean * up)
    found = Correction(quantity=Quantity.TIME, basis="runs", factor=factor).applied(estimate)
    assert found.mean == mean
    assert found.low <= mean <= found.high
    assert found.high / mean == pytest.approx(up**factor)
    assert found.low / mean == pytest.approx(down**factor)


def test_a_corrected_error_is_at_most_all_images() -> None:
    wide = Correction(quantity=Quantity.ERROR, basis="runs", factor=3.0)
    found = wide.applied(Estimate(0.4, 0.2, 0.8), most=1.0)
    assert (found.low, found.mean, found.high) == (pytest.approx(0.05), 0.4, 1.0)


def test_an_exactly_known_quantity_stays_exact_and_nothing_stays_nothing() -> None:
    wide = Correction(quantity=Quantity.TIME, basis="measurements", factor=3.0)
    for value in (0.0, 5.0):
        assert wide.applied(Estimate.exact(value)) == Estimate.exact(value)


@pytest.mark.parametrize("factor", [0.0, -1.0, math.inf, math.nan])
def test_a_factor_that_no_correction_can_have_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        Correction(quantity=Quantity.TIME, basis="runs", factor=factor)


def test_the_shipped_scores_cover_every_quantity_and_every_basis_that_has_forecasts() -> None:
    found = shipped_scores()
    cost = {(q, b) for q in ("time", "memory", "latency") for b in ("few measurements", "measurements")}
    assert set(found) == cost | {("error", basis.value) for basis in ErrorBasis}
    for scores in found.values():
        assert scores.groups
        assert all(group and min(group) >= 0 for group in scores.groups)
        assert scores.forecasts >= sum(map(len, scores.groups))
