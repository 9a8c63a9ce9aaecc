"""What became of forecasts: each forecast figure of a finished run beside its actual one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from advisor.conformal import Key, Quantity, score_of
from advisor.estimate import Estimate
from advisor.plans.records import Forecast

# Error that counts as the least of a run, in images: half a wrong answer more than none.
LEAST_WRONG = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run that came to its end, with no more than its forecast and what became of it.

    Attributes:
        id: number of the run.
        design: short name of the design.
        dataset: name of the data set.
        device: ``cpu`` or ``cuda``.
        fingerprint: digest of the machine's fingerprint.
        forecast: forecast from before it started; its steps are left out.
        train_seconds: wall-clock time of training, seconds.
        train_peak_bytes: peak memory of the networks that trained at the same time; None if it is unknown.
        test_error: error on the test images, a share; None if it is unknown.
        test_images: number of test images.
        overhead_seconds: seconds that were waited for beside the training; None if they are not known.
    """

    id: int
    design: str
    dataset: str
    device: str
    fingerprint: str
    forecast: Forecast
    train_seconds: float
    train_peak_bytes: int | None
    test_error: float | None
    test_images: int
    overhead_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedForecast:
    """A forecast whose outcome is known.

    Attributes:
        quantity: quantity that was forecast.
        predicted: forecast with the interval that was stored, in seconds, bytes, or as a share.
        actual: outcome in the same unit.
        basis: evidence that the forecast rested on; None if it was not stored.
        score: score against the interval as it was before its correction, at least 0 (`advisor.conformal`).
        inside: whether the outcome lies in the interval that was stored.
    """

    quantity: Quantity
    predicted: Estimate
    actual: float
    basis: str | None
    score: float
    inside: bool


def peak_at_once(peaks: Iterable[int | None], processes: int) -> int | None:
    """Return the largest sum of the peaks of as many steps as run at once; None without any.

    Args:
        peaks: peak bytes of the steps of a run, None where one is unknown.
        processes: number of networks that train at the same time.
    """
    known = sorted((peak for peak in peaks if peak), reverse=True)
    return sum(known[:processes]) or None


def finished_forecasts(run: FinishedRun) -> Iterator[FinishedForecast]:
    """Yield the forecasts of a run whose outcomes are known.

    The latency of a run is never measured, so it has no outcome.

    Args:
        run: the run.
    """
    forecast = run.forecast
    corrections = {correction.quantity: correction for correction in forecast.corrections}
    figures = (
        (Quantity.TIME, forecast.train_seconds, run.train_seconds or None, 0.0),
        (Quantity.MEMORY, forecast.train_peak_bytes, run.train_peak_bytes, 0.0),
        (Quantity.ERROR, forecast.test_error, run.test_error, LEAST_WRONG / run.test_images),
    )
    for quantity, interval, actual, least in figures:
        # A mean of 0 is the forecast of a run that had nothing left to do.
        if interval is None or actual is None or interval[0] <= 0:
            continue
        correction = corrections.get(quantity)
        yield FinishedForecast(
            quantity=quantity,
            predicted=Estimate(*interval),
            actual=actual,
            basis=None if correction is None else correction.basis,
            score=score_of(actual, interval, least) * (1.0 if correction is None else correction.factor),
            inside=interval[1] <= actual <= interval[2],
        )


def scores_by_basis(forecasts: Iterable[FinishedForecast]) -> dict[Key, list[float]]:
    """Return the scores by quantity and basis, in their order.

    Forecasts without a basis were made by older programs, or of networks that existed. Both err in other ways
    than those to come. They are left out.
    """
    found: dict[Key, list[float]] = defaultdict(list)
    for forecast in forecasts:
        if forecast.basis is not None:
            found[forecast.quantity, forecast.basis].append(forecast.score)
    return dict(found)
