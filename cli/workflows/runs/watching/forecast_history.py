"""Whether forecasts were right: those of all finished runs beside what became of them."""

from __future__ import annotations

from advisor.plans.outcomes import FinishedForecast, FinishedRun, finished_forecasts
from cli.workflows.answers.examine.forecast_history import ForecastHistory, PastForecast
from cli.workflows.forecast.coverage import coverage_among
from cli.workflows.home import Home
from cli.workflows.reading import known_store
from cli.workflows.runs.steps.accounting import machine_of


def forecast_history(home: Home) -> ForecastHistory:
    """Return the forecasts of all finished runs of a home, on whatever machine they were trained.

    Args:
        home: home of the runs; it may be empty.
    """
    with known_store(home) as store:
        runs = store.finished_runs()
    found = [(run, forecast) for run in runs for forecast in finished_forecasts(run)]
    counted = {run.id: run for run, _ in found}.values()
    return ForecastHistory(
        forecasts=tuple(_past(run, forecast) for run, forecast in found),
        coverage=coverage_among(forecast for _, forecast in found),
        runs=len(counted),
        machines=len({machine_of(run.fingerprint) for run in counted}),
        devices=tuple(sorted({run.device for run in counted})),
    )


def _past(run: FinishedRun, forecast: FinishedForecast) -> PastForecast:
    return PastForecast(
        run=run.id,
        design=run.design,
        dataset=run.dataset,
        quantity=forecast.quantity,
        predicted=forecast.predicted,
        actual=forecast.actual,
        inside=forecast.inside,
    )
