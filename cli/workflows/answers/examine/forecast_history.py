"""The history of forecasts: what was predicted of every finished run, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.conformal import Quantity
from advisor.estimate import Estimate
from cli.workflows.answers.answer import Answer
from cli.workflows.answers.examine.parts import QuantityCoverage


@dataclass(frozen=True, slots=True, kw_only=True)
class PastForecast:
    """A forecast of a finished run.

    Attributes:
        run: number of the run.
        design: short name of the design.
        dataset: name of the data set.
        quantity: time, memory or error.
        predicted: forecast from before the run, in seconds, bytes, or as a share.
        actual: what it came to, in the same unit.
        inside: whether that lies in the 90 % interval.
    """

    run: int
    design: str
    dataset: str
    quantity: Quantity
    predicted: Estimate
    actual: float
    inside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastHistory(Answer):
    """Predicted beside actual, over all finished runs of a home.

    Attributes:
        forecasts: forecasts of finished runs, newest run first.
        coverage: how many forecasts of each quantity held; quantities without any are left out.
        runs: number of runs that these forecasts are of.
        machines: number of machines that they were trained on.
        devices: devices of these machines: ``cpu``, ``cuda``.
    """

    forecasts: tuple[PastForecast, ...]
    coverage: tuple[QuantityCoverage, ...]
    runs: int
    machines: int
    devices: tuple[str, ...]
