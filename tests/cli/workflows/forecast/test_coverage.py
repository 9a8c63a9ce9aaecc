"""What the finished runs of a database say of the next forecast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.conformal import Correction, Quantity
from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.plans.records import EnsembleMetrics, Forecast, RunStatus, StepRecord, StepStatus
from cli.workflows.answers.examine.parts import QuantityCoverage
from cli.workflows.forecast.coverage import corrections_of, coverage_of
from cli.workflows.forecast.forecasting import forecast_plan
from db.queries import Store
from db.session import open_store

PLAN = make_plan(
    parse_design("resnet-8-4"),
    DATASETS["digits"],
    epochs=3,
    batch=32,
    seed=0,
    execution=Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous"),
)
TIME = Correction(quantity=Quantity.TIME, basis="measurements")
FORECAST = Forecast(
    train_seconds=(20.0, 10.0, 40.0),
    train_peak_bytes=(2e6, 1e6, 4e6),
    inference_ms_per_image=None,
    test_error=(0.02, 0.01, 0.04),
    steps=(),
    corrections=(TIME, Correction(quantity=Quantity.ERROR, basis="runs", factor=1.0)),
)
Train = Callable[..., None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "advisor.sqlite") as opened:
        yield opened


@pytest.fixture
def train(store: Store) -> Train:
    """Store a run that took some seconds, without training it."""

    def make(
        seconds: float, machine: str = "here", forecast: Forecast = FORECAST, error: float = 0.02
    ) -> None:
        run = store.create_run(
            created_at="2026-11-28T00:00:00+00:00",
            plan=PLAN,
            parameters=1,
            fingerprint=machine,
            forecast=forecast,
        )
        step = StepRecord(
            step="train member-1",
            network="member-1",
            status=StepStatus.DONE,
            seconds=1.0,
            peak_bytes=5_000_000,
        )
        store.record_step(run.id, step)
        test = EnsembleMetrics(
            error=error, member_errors=(error,), oracle_error=error, disagreement=0.0, nll=0.2
        )
        store.update_run(run.id, status=RunStatus.DONE, train_seconds=seconds, test=test)

    return make


def test_the_last_thirty_forecasts_of_a_machine_are_counted(store: Store, train: Train) -> None:
    for seconds in [100.0] * 8 + [20.0] * 28 + [100.0] * 2:
        train(seconds)
    train(100.0, machine="elsewhere", error=0.3)
    assert coverage_of(store, {"here"}) == (
        QuantityCoverage(quantity=Quantity.TIME, forecasts=30, inside=28),
        # 5 MB lie outside everywhere, and the error counts wherever it was trained.
        QuantityCoverage(quantity=Quantity.MEMORY, forecasts=30, inside=0),
        QuantityCoverage(quantity=Quantity.ERROR, forecasts=30, inside=29),
    )


def test_a_database_without_runs_has_the_shipped_corrections_and_no_coverage(store: Store) -> None:
    assert coverage_of(store, {"here"}) == ()
    found = corrections_of(store, {"here"}).of(Quantity.LATENCY, "measurements")
    # Forecasts of latency on networks that were not measured held in 66 % of all cases.
    assert (found.own, found.factor > 1.5) == (0, True)


def test_forecasts_of_the_machine_move_their_own_factor_and_no_other(store: Store, train: Train) -> None:
    # Trainings took four times as long as foretold: two half widths of the interval.
    for _ in range(15):
        train(80.0)
    before, after = corrections_of(store), corrections_of(store, {"here"})
    assert after.of(Quantity.TIME, "measurements").factor == pytest.approx(2.0)
    assert after.of(Quantity.TIME, "measurements").own == 15
    assert after.of(Quantity.TIME, "few measurements") == before.of(Quantity.TIME, "few measurements")
    # Memory was forecast without a basis, as older programs did, and the time of others does not count.
    assert after.of(Quantity.MEMORY, "measurements") == before.of(Quantity.MEMORY, "measurements")
    assert before.of(Quantity.TIME, "measurements").own == 0
    assert before.of(Quantity.ERROR, "runs").own == 15


def test_a_corrected_history_says_the_same_as_the_history_without_corrections(
    store: Store, train: Train
) -> None:
    # The same outcomes, of which half were forecast with intervals that had been made twice as wide.
    doubled = replace(
        FORECAST,
        train_seconds=(20.0, 5.0, 80.0),
        corrections=(replace(TIME, factor=2.0),),
    )
    for _ in range(8):
        train(80.0)
        train(80.0, forecast=doubled)
    assert corrections_of(store, {"here"}).of(Quantity.TIME, "measurements").factor == pytest.approx(2.0)


def test_what_is_stored_with_a_run_has_the_intervals_of_the_answer_and_their_corrections(
    store: Store, train: Train
) -> None:
    for _ in range(12):
        train(20.0, error=0.16)
    made = forecast_plan(PLAN, store)
    (error,) = made.forecast.corrections
    # Errors were three half widths off, on the basis of runs; now there are runs, too.
    assert (error.basis, error.factor, error.own) == ("runs", 3.0, 12)
    assert made.forecast.test_error == (made.test_error.mean, made.test_error.low, made.test_error.high)
