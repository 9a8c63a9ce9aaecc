"""Forecasts of runs beside what became of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advisor.conformal import Correction, Quantity
from advisor.plans.outcomes import FinishedRun, finished_forecasts, peak_at_once, scores_by_basis
from advisor.plans.records import Forecast

FORECAST = Forecast(
    train_seconds=(40.0, 20.0, 80.0),
    train_peak_bytes=(4e6, 2e6, 8e6),
    inference_ms_per_image=(0.5, 0.4, 0.6),
    test_error=(0.04, 0.02, 0.08),
    steps=(),
)
RUN = FinishedRun(
    id=1,
    design="resnet-8-4",
    dataset="digits",
    device="cpu",
    fingerprint="here",
    forecast=FORECAST,
    train_seconds=80.0,
    train_peak_bytes=4_000_000,
    test_error=0.16,
    test_images=360,
)


def test_time_memory_and_error_of_a_finished_run_have_outcomes_and_latency_has_none() -> None:
    found = {f.quantity: f for f in finished_forecasts(RUN)}
    assert list(found) == [Quantity.TIME, Quantity.MEMORY, Quantity.ERROR]
    assert [f.score for f in found.values()] == pytest.approx([1.0, 0.0, 2.0])
    assert [f.inside for f in found.values()] == [True, True, False]


def test_the_peak_is_that_of_the_largest_steps_that_run_at_once() -> None:
    assert peak_at_once([1, 5, None, 3], 2) == 8
    assert peak_at_once([None], 2) is None


def test_a_score_is_that_of_the_interval_before_its_correction() -> None:
    # The stored interval was made twice as wide, so the outcome at its end lies two half widths off.
    doubled = Correction(quantity=Quantity.TIME, basis="measurements", factor=2.0)
    corrected = replace(RUN, forecast=replace(FORECAST, corrections=(doubled,)))
    time = next(iter(finished_forecasts(corrected)))
    assert (time.basis, time.score, time.inside) == ("measurements", pytest.approx(2.0), True)


def test_forecasts_without_a_basis_say_nothing_of_corrections() -> None:
    assert scores_by_basis(finished_forecasts(RUN)) == {}


def test_what_was_not_forecast_or_is_unknown_has_no_outcome() -> None:
    unknown = replace(RUN, test_error=None, train_peak_bytes=None)
    assert [f.quantity for f in finished_forecasts(unknown)] == [Quantity.TIME]
    assert list(finished_forecasts(replace(unknown, forecast=replace(FORECAST, train_seconds=None)))) == []
    # All steps were done before, as in a run that was extended by nothing.
    nothing_left = replace(FORECAST, train_seconds=(0.0, 0.0, 0.0))
    assert list(finished_forecasts(replace(unknown, forecast=nothing_left))) == []


def test_a_run_without_a_wrong_answer_has_a_finite_score() -> None:
    perfect = replace(RUN, test_error=0.0)
    *_, error = finished_forecasts(perfect)
    # Half a wrong answer of 360, a factor of 28.8 below the mean, where the interval has a factor of 2.
    assert error.score == pytest.approx(4.85, abs=0.01)
    assert not error.inside
