"""Epochs to convergence in the benchmark of methods: what forecasts learn from rows, how good they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from grid_runner import Row
from methods_claims import Claim, Figure, figure
from methods_grid import numbers

from advisor.estimate import LEVEL
from advisor.plans.convergence.expectation import with_expected_epochs
from advisor.plans.convergence.kinds import Kind
from advisor.plans.convergence.predictor import EpochPredictor, TrainedStep
from advisor.plans.plan import TrainingPlan
from advisor.plans.recipes.choice import RecipeName

CLOSE_EPOCHS = 0.2
# Trainings of ensembles from which a share of forecasts says something.
LEAST_ROWS = 10


def evidence(rows: Iterable[Row]) -> tuple[TrainedStep, ...]:
    """Return the finished trainings of networks to convergence, as the program learns from them.

    A curve that ends where the recorded one ended stands in for it: the forecast reads nothing else.

    Args:
        rows: finished trainings.
    """
    return tuple(
        TrainedStep(
            dataset=row["dataset"],
            family=row["family"],
            kind=Kind(kind),
            epochs=int(most),
            falling=row["recipe"] == RecipeName.OURS,
            train_errors=ended_curve(int(epochs), int(most), int(row["patience"])),
        )
        for row in rows
        if row["patience"]
        for kind, epochs, most in zip(
            row["kinds"].split(";"), numbers(row["epochs"]), numbers(row["most_epochs"]), strict=True
        )
    )


def ended_curve(epochs: int, most: int, patience: int) -> tuple[float, ...]:
    """Return training errors that a patience ends after some epochs, or that gain in every epoch to the last.

    Args:
        epochs: epochs of the training.
        most: most epochs of its schedule.
        patience: epochs without a gain that ended it, if it has fewer epochs than the most.
    """
    gained = epochs if epochs >= most else epochs - patience
    return tuple(1.0 - min(epoch + 1, gained) / (most + 1) for epoch in range(epochs))


def with_forecast(plan: TrainingPlan, known: Sequence[TrainedStep]) -> TrainingPlan:
    """Return the plan with the epochs that the program expects from finished trainings."""
    return with_expected_epochs(plan, EpochPredictor(tuple(known)))


# Predicted epochs.


def epoch_figures(rows: Sequence[Row], column: str) -> dict[str, Any] | None:
    """Return the median miss and the coverage of forecasts of epochs, None without any.

    Networks of one training are alike. So the interval of the coverage is that over trainings of ensembles.

    Args:
        rows: finished trainings.
        column: `predicted`, `prior`, or a column of `methods_forecasts`.
    """
    misses, ended, inside, by_kind = [], [], [], {}
    for row in rows:
        if not row["patience"]:
            continue
        within = []
        for kind, forecast, epochs, most in zip(
            *(row[name].split(";") for name in ("kinds", column, "epochs", "most_epochs")), strict=True
        ):
            mean, low, high = map(float, forecast.split("/"))
            miss = abs(mean / float(epochs) - 1)
            misses.append(miss)
            by_kind.setdefault(kind, []).append(miss)
            ended.extend([miss] if float(epochs) < float(most) else [])
            within.append(low <= float(epochs) <= high)
        inside.append(float(np.mean(within)))
    if not misses:
        return None
    return {
        "trainings": len(inside),
        "networks": len(misses),
        "median_miss": float(np.median(misses)),
        "ended_by_the_rule": len(ended),
        "median_miss_of_those_ended": float(np.median(ended)) if ended else None,
        "inside_90": asdict(figure(inside)),
        "median_miss_by_kind": {kind: float(np.median(found)) for kind, found in by_kind.items()},
    }


def epoch_claims(rows: Sequence[Row]) -> tuple[list[Claim], dict[str, Any]]:
    """Return the claims on predicted epochs by recipe, and their figures."""
    claims, found = [], {}
    for recipe in RecipeName:
        for column, words in (
            ("other_seeds", "forecast from other seeds"),
            ("other_ensembles", "forecast from other ensembles"),
            ("predicted", "forecast of its time"),
            ("prior", "forecast of the prior"),
        ):
            own = epoch_figures([r for r in rows if r["recipe"] == recipe and column in r], column)
            if own is None:
                continue
            found[f"{recipe} {column}"] = own
            few = own["trainings"] < LEAST_ROWS
            claims += list(_epoch_claims(recipe, words, own, few))
    return claims, found


def _epoch_claims(recipe: str, words: str, own: dict[str, Any], few: bool) -> Iterator[Claim]:
    start = f"too few trainings ({own['trainings']} of {LEAST_ROWS}); so far " if few else ""
    miss, inside = own["median_miss"], Figure(**own["inside_90"])
    close = "met" if miss <= CLOSE_EPOCHS else "missed"
    of = Figure(miss, None, None, own["trainings"])
    yield Claim("all", recipe, f"epochs, {words}: median miss", f"≤ {CLOSE_EPOCHS:g}", of, start + close)
    if own["median_miss_of_those_ended"] is not None:
        of = Figure(own["median_miss_of_those_ended"], None, None, own["ended_by_the_rule"])
        yield Claim("all", recipe, f"epochs, {words}: miss where the rule ended it", "", of, "no goal")
    high = inside.mean if inside.high is None else inside.high
    honest = "met" if high >= LEVEL else "missed: too narrow"
    yield Claim("all", recipe, f"epochs, {words}: inside the interval", f"{LEVEL:g}", inside, start + honest)
