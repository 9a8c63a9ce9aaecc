"""Forecasts of runs beside what became of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advisor.conformal import Correction, Quantity
from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.plans.outcomes import finished_forecasts, peak_at_once, scores_by_basis
from advisor.plans.records import EnsembleMetrics, Forecast, Run, RunStatus

PLAN = make_plan(
    parse_design("2xresnet-8-4"),
    DATASETS["digits"],
    epochs=3,
    batch=32,
    seed=0,
    execution=Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous"),
)
FORECAST = Forecast(
    train_seconds=(40.0, 20.0, 80.0),
    train_peak_bytes=(4e6, 2e6, 8e6),
    inference_ms_per_image=(0.5, 0.4, 0.6),
    test_error=(0.04, 0.02, 0.08),
    steps=(),
)
METRICS = EnsembleMetrics(error=0.16, member_errors=(0.2, 0.2), oracle_error=0.1, disagreement=0.03, nll=0.2)
RUN = Run(
    id=1,
    created_at="2026-11-28T00:00:00+00:00",
    status=RunStatus.DONE,
    plan=PLAN,
    parameters=1,
    fingerprint="here",
    folder="runs/0001",
    forecast=FORECAST,
    train_seconds=80.0,
    test=METRICS,
    message="",
)


def test_time_memory_and_error_of_a_finished_run_have_outcomes_and_latency_has_none() -> None:
    found = {f.quantity: f for f in finished_forecasts(RUN, [1_000_000, None, 3_000_000, 500_000])}
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
    time = next(iter(finished_forecasts(corrected, [])))
    assert (time.basis, time.score, time.inside) == ("measurements", pytest.approx(2.0), True)


def test_forecasts_without_a_basis_say_nothing_of_corrections() -> None:
    assert scores_by_basis(finished_forecasts(RUN, [1])) == {}


@pytest.mark.parametrize(
    "run",
    [
        replace(RUN, forecast=None),
        replace(RUN, status=RunStatus.PARTIAL),
        replace(RUN, status=RunStatus.RUNNING),
    ],
)
def test_what_did_not_come_to_its_end_or_was_not_forecast_has_no_outcome(run: Run) -> None:
    assert list(finished_forecasts(run, [1])) == []


def test_a_run_without_a_wrong_answer_has_a_finite_score() -> None:
    perfect = replace(RUN, test=replace(METRICS, error=0.0))
    *_, error = finished_forecasts(perfect, [])
    # Half a wrong answer of 360, a factor of 28.8 below the mean, where the interval has a factor of 2.
    assert error.score == pytest.approx(4.85, abs=0.01)
    assert not error.inside
