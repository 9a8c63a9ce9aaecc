"""The history of forecasts: the corrections that follow from it, and how many forecasts held.

Time and memory count where the machine is the same, the error on every machine. A machine is given by the
digests of its fingerprint under several settings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from advisor.conformal import MOST_OWN, Corrections, Quantity
from advisor.cost.overhead import ratio_of
from advisor.plans.outcomes import FinishedForecast, finished_forecasts, scores_by_basis
from advisor.shipped_scores import shipped_scores
from cli.workflows.answers.examine.parts import QuantityCoverage
from db.queries import Store

# Newest finished runs that are read: as many as forecasts on one basis count at most, and as many again.
MOST_RUNS = 2 * MOST_OWN
# Newest forecasts of a quantity whose coverage is stated.
STATED = 30


def corrections_of(store: Store, machine: Collection[str] = ()) -> Corrections:
    """Return the corrections of forecasts.

    Args:
        store: database with runs.
        machine: digests of the machine of time and memory; without any, only the error has a history.
    """
    return Corrections(scores_by_basis(_history(store, machine)), shipped_scores())


def coverage_of(store: Store, machine: Collection[str]) -> tuple[QuantityCoverage, ...]:
    """Return how many of the newest forecasts of each quantity held; quantities without any are left out.

    Args:
        store: database with runs.
        machine: digests of the machine of time and memory.
    """
    return coverage_among(_history(store, machine), STATED)


def coverage_among(
    forecasts: Iterable[FinishedForecast], most: int | None = None
) -> tuple[QuantityCoverage, ...]:
    """Return how many forecasts of each quantity held; quantities without any are left out.

    Args:
        forecasts: finished forecasts, newest first.
        most: number of forecasts of a quantity that are counted at most, the newest; None for all.
    """
    by_quantity: dict[Quantity, list[bool]] = {quantity: [] for quantity in Quantity}
    for forecast in forecasts:
        by_quantity[forecast.quantity].append(forecast.inside)
    newest = {quantity: inside[:most] for quantity, inside in by_quantity.items() if inside}
    return tuple(
        QuantityCoverage(quantity=quantity, forecasts=len(inside), inside=sum(inside))
        for quantity, inside in newest.items()
    )


def overhead_ratios(store: Store, machine: Collection[str]) -> tuple[float, ...]:
    """Return what runs on a machine took beside their training over what the formula gives, newest first.

    Runs that a busy machine trained belong to no machine.

    Args:
        store: database with runs.
        machine: digests of the machine.
    """
    own = (run for run in store.finished_runs(MOST_RUNS) if run.fingerprint in machine)
    return tuple(ratio for run in own if (ratio := ratio_of(run)) is not None)


def _history(store: Store, machine: Collection[str]) -> Iterator[FinishedForecast]:
    """Yield the finished forecasts that count for a machine, newest first."""
    for run in store.finished_runs(MOST_RUNS):
        for forecast in finished_forecasts(run):
            if forecast.quantity is Quantity.ERROR or run.fingerprint in machine:
                yield forecast
