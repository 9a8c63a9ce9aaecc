"""The forecast of what is waited for beside a training, and what the history of a machine makes of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from advisor.cost.overhead import OverheadForecast, forecast_overhead, loading_seconds, pooled, ratio_of
from advisor.cost.pricing import PricedPlan, PricedStep
from advisor.designs.design import parse_design
from advisor.estimate import Estimate
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.plans.outcomes import FinishedRun
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Forecast

ONE = Estimate.exact(1.0)


def plan_of(processes: int, dataset: str = "digits") -> TrainingPlan:
    settings = Execution(
        device="cpu", processes=processes, threads=1, dtype="float32", memory_format="contiguous"
    )
    return make_plan(
        parse_design("2xmlp-1-8"), DATASETS[dataset], epochs=2, batch=32, seed=0, execution=settings
    )


def priced(evaluation: Estimate) -> PricedPlan:
    """A price of which nothing counts but the seconds of the evaluation."""
    return PricedPlan(
        steps=(
            PricedStep(step="train member-1", network="mlp-1-8", seconds=Estimate.exact(1e3)),
            PricedStep(step="evaluate", network="", seconds=evaluation),
        ),
        train_seconds=Estimate.exact(1e3),
        epoch_seconds=ONE,
        inference_ms_per_image=ONE,
        train_peak_bytes=ONE,
        inference_peak_bytes=ONE,
    )


def forecast(processes: int, evaluation: float, *ratios: float, dataset: str = "digits") -> OverheadForecast:
    return forecast_overhead(plan_of(processes, dataset), priced(Estimate.exact(evaluation)), ratios)


def test_a_program_that_trains_by_itself_starts_loads_the_images_once_and_evaluates() -> None:
    # 60,000 images of CIFAR-10, 3 x 32 x 32 bytes each, at 100 MB a second.
    found = forecast(1, 20.0, dataset="cifar10")
    assert found.seconds.mean == pytest.approx(3.0 + 1.8432 + 20.0)
    assert found.factor == 1.0
    # Nothing is known of the machine: 90 % lie within a factor of e^(1.645 √(0.35² + 0.1²)) = 1.82.
    assert found.seconds.high / found.seconds.mean == pytest.approx(1.82, rel=1e-3)
    assert found.seconds.mean / found.seconds.low == pytest.approx(1.82, rel=1e-3)


def test_processes_start_and_load_the_images_after_the_program() -> None:
    assert forecast(2, 20.0, dataset="cifar10").seconds.mean == pytest.approx(
        3.0 + 2 * 1.8432 + 2 * 0.08 + 20.0
    )


def test_the_forecast_is_what_was_measured_of_two_short_trainings() -> None:
    # benchmarks/results/speed.json: 3.17 s and 3.32 s, of which the end of the process takes 0.2 s.
    assert forecast(1, 0.01).seconds.mean == pytest.approx(3.17 - 0.2, abs=0.1)
    assert forecast(2, 0.02).seconds.mean == pytest.approx(3.32 - 0.2, abs=0.1)


def test_files_of_a_folder_are_opened_one_by_one() -> None:
    facts = DATASETS["digits"]
    folder = replace(facts, name="folder:digits")
    assert loading_seconds(folder) - loading_seconds(facts) == pytest.approx(1797 / 3300)


def test_an_uncertain_evaluation_widens_the_interval() -> None:
    narrow, wide = (
        forecast_overhead(plan_of(1), priced(Estimate(100.0, low, high))).seconds
        for low, high in ((100.0, 100.0), (10.0, 1000.0))
    )
    assert wide.mean == narrow.mean
    assert wide.low < narrow.low
    assert wide.high > narrow.high


def test_a_machine_that_takes_twice_as_long_is_learned_run_by_run() -> None:
    found = [pooled([2.0] * count) for count in (0, 1, 2, 10, 30)]
    assert [each.mean for each in found] == [
        pytest.approx(2**share) for share in (0.0, 1 / 3, 1 / 2, 10 / 12, 30 / 32)
    ]
    widths = [each.high / each.low for each in found]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 1.4 < widths[0]
    assert forecast(1, 7.0, *[2.0] * 10).factor == pytest.approx(2 ** (10 / 12))


def test_a_run_that_was_started_again_and_again_hardly_moves_the_forecast_of_a_steady_machine() -> None:
    steady, disturbed = pooled([1.0] * 9), pooled([1.0] * 8 + [50.0])
    assert disturbed == steady


def test_runs_that_differ_keep_the_interval_wide() -> None:
    scattered = pooled([0.5, 1.0, 2.0] * 10)
    # The median distance from the centre is ln 2.
    assert scattered.mean == pytest.approx(1.0)
    assert math.log(scattered.high) > 1.6 * 1.48 * math.log(2) * math.sqrt(30 / 32)


def test_only_the_newest_runs_of_a_machine_count() -> None:
    assert forecast(1, 0.0, *[2.0] * 30, *[1.0] * 500).factor == pytest.approx(2 ** (30 / 32))


def test_a_ratio_is_to_the_formula_and_not_to_the_corrected_forecast() -> None:
    run = FinishedRun(
        id=1,
        design="mlp-1-8",
        dataset="digits",
        device="cpu",
        fingerprint="here",
        forecast=Forecast(
            train_seconds=None,
            train_peak_bytes=None,
            inference_ms_per_image=None,
            test_error=None,
            steps=(),
            # The formula gave 4 s.
            overhead_seconds=(6.0, 5.0, 7.0),
            overhead_factor=1.5,
        ),
        train_seconds=1.0,
        train_peak_bytes=None,
        test_error=None,
        test_images=1,
        overhead_seconds=12.0,
    )
    assert ratio_of(run) == pytest.approx(3.0)
    assert ratio_of(replace(run, overhead_seconds=None)) is None
    assert ratio_of(replace(run, forecast=replace(run.forecast, overhead_seconds=None))) is None


@pytest.mark.parametrize("factor", [0.0, -1.0, math.inf, math.nan])
def test_a_stored_factor_that_is_none_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="overhead_factor must be positive and finite"):
        Forecast(
            train_seconds=None,
            train_peak_bytes=None,
            inference_ms_per_image=None,
            test_error=None,
            steps=(),
            overhead_factor=factor,
        )
