"""A run beside the forecast that was stored when it began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from advisor.cost.money.machine_price import usd_of_seconds, usd_of_training
from advisor.estimate import Estimate
from advisor.plans.outcomes import peak_at_once
from advisor.plans.records import Forecast, Run, RunStatus, StepRecord
from cli.workflows.answers.examine.explanation import (
    ActualTotals,
    DeviationOfTotals,
    ExplainedRun,
    Explanation,
    PredictedTotals,
)
from cli.workflows.answers.examine.parts import Deviation, QuantityCoverage
from cli.workflows.examine.plan_clusters import explained_clusters
from cli.workflows.examine.plan_networks import networks_of_run
from cli.workflows.examine.plan_steps import about_plan, explained_plan, explained_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """What the database knows of the steps of a run.

    Attributes:
        records: executed steps by step.
        epochs: finished epochs by step.
        seconds: seconds of these epochs by step.
    """

    records: Mapping[str, StepRecord]
    epochs: Mapping[str, int]
    seconds: Mapping[str, float]


def explain_run(
    run: Run,
    progress: RunProgress,
    price: float | None,
    coverage: tuple[QuantityCoverage, ...] = (),
) -> Explanation:
    """Return the plan of a run with the cost that was predicted and the actual cost.

    Args:
        run: run as the database knows it.
        progress: executed steps and finished epochs.
        price: price of the machine in USD per hour, None for no cost.
        coverage: how many of the newest forecasts on the machine held.
    """
    seconds = {s.step: Estimate(s.mean, s.low, s.high) for s in run.forecast.steps} if run.forecast else {}
    records = progress.records
    predicted, actual = _predicted(run.forecast, price), _actual(run, list(records.values()), price)
    return Explanation(
        plan=explained_plan(run.plan, price),
        run=ExplainedRun(id=run.id, created_at=run.created_at, status=run.status, message=run.message),
        steps=explained_steps(run.plan, seconds, records, progress.epochs, progress.seconds),
        predicted=predicted,
        actual=actual,
        deviation=_deviation(predicted, actual, complete=run.status is RunStatus.DONE),
        layers=None,
        evidence=None,
        notes=(*_about_run(run), *about_plan(run.plan)),
        coverage=coverage,
        corrections=run.forecast.corrections if run.forecast else (),
        clusters=explained_clusters(run.plan),
        networks=networks_of_run(run, records, progress.epochs),
    )


def _predicted(forecast: Forecast | None, price: float | None) -> PredictedTotals:
    if forecast is None:
        return PredictedTotals()
    seconds = _estimate(forecast.train_seconds)
    return PredictedTotals(
        train_seconds=seconds,
        train_peak_bytes=_estimate(forecast.train_peak_bytes),
        inference_ms_per_image=_estimate(forecast.inference_ms_per_image),
        test_error=_estimate(forecast.test_error),
        cost_usd=usd_of_training(seconds, price),
        overhead_seconds=_estimate(forecast.overhead_seconds),
    )


def _estimate(triple: tuple[float, float, float] | None) -> Estimate | None:
    return None if triple is None else Estimate(*triple)


def _actual(run: Run, records: Sequence[StepRecord], price: float | None) -> ActualTotals:
    """Return what a run took; its peak is the largest sum of as many steps as run at once, as in pricing."""
    cost = 0.0 if price is None else usd_of_seconds(run.train_seconds, price)
    return ActualTotals(
        train_seconds=run.train_seconds or None,
        train_peak_bytes=peak_at_once((r.peak_bytes for r in records), run.plan.execution.processes),
        test_error=None if run.test is None else run.test.error,
        cost_usd=cost or None,
        overhead_seconds=run.overhead_seconds,
    )


def _deviation(predicted: PredictedTotals, actual: ActualTotals, *, complete: bool) -> DeviationOfTotals:
    """Return deviations of totals; a run that did not come to its end has none."""

    def of(expected: Estimate | None, value: float | None) -> Deviation | None:
        return Deviation.of(expected, value) if complete else None

    return DeviationOfTotals(
        train_seconds=of(predicted.train_seconds, actual.train_seconds),
        train_peak_bytes=of(predicted.train_peak_bytes, actual.train_peak_bytes),
        test_error=of(predicted.test_error, actual.test_error),
        cost_usd=of(predicted.cost_usd, actual.cost_usd),
        overhead_seconds=of(predicted.overhead_seconds, actual.overhead_seconds),
    )


def _about_run(run: Run) -> list[str]:
    notes = []
    if run.forecast is None:
        notes.append("No forecast was stored when this run began: only the actual figures are shown.")
    elif run.forecast.train_seconds is None:
        notes.append("No cost was forecast when this run began: too little had been measured here.")
    if run.status is not RunStatus.DONE:
        notes.append(
            f"The status of the run is {run.status.value}: only its finished steps are compared, no totals."
        )
    return notes
