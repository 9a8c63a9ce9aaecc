"""Seconds of the trainings that ran on a GPU, in the benchmark of methods: those of their epochs on the CPU.

Several trainings shared the GPU, so their own seconds say nothing. An epoch of a network takes as long with
one seed as with another. So a network gets its epochs times the processor seconds of an epoch of the same
network, in rows of the same ensemble, recipe and method that were trained on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from grid2_sets import data_named
from grid_runner import Row
from methods_ensembles import SCENARIOS, Scenario
from methods_grid import Job, numbers
from methods_train import COSTS, costs_of, plan_of
from numpy.typing import NDArray

from advisor.plans.convergence.kinds import train_steps
from advisor.plans.dataset import DatasetFacts
from advisor.plans.recipes.choice import RecipeName


def with_seconds(rows: Sequence[Row], scenarios: Sequence[Scenario] = SCENARIOS) -> list[Row]:
    """Return rows in which those of a GPU have seconds and the machine of these, where any are known.

    Args:
        rows: finished trainings.
        scenarios: ensembles and data.
    """
    named = {scenario.name: scenario for scenario in scenarios}
    timed: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if float(row["core_seconds"]):
            timed.setdefault(_place(row), []).append(row)
    return [
        _with_seconds(row, timed[_place(row)], named[row["scenario"]])
        if not float(row["core_seconds"]) and _place(row) in timed
        else row
        for row in rows
    ]


def _place(row: Row) -> tuple[str, ...]:
    return row["scenario"], row["recipe"], row["method"]


def _with_seconds(row: Row, timed: Sequence[Row], scenario: Scenario) -> Row:
    seconds, epochs = (_summed(timed, column) for column in ("network_seconds", "epochs"))
    each = tuple(np.array(numbers(row["epochs"])) * seconds / epochs)
    job = Job(
        scenario=scenario,
        recipe=RecipeName(row["recipe"]),
        method=row["method"],
        seed=int(row["seed"]),
        epochs=int(row["plan_epochs"]),
    )
    return row | dict(zip(COSTS, _costs(job, each), strict=True)) | {"device": timed[0]["device"]}


def _summed(rows: Sequence[Row], column: str) -> NDArray[np.float64]:
    """Return the sums of a column over rows, network by network."""
    found: NDArray[np.float64] = np.sum([numbers(row[column]) for row in rows], axis=0)
    return found


@lru_cache(maxsize=4096)
def _costs(job: Job, each: tuple[float, ...]) -> tuple[str, ...]:
    plan = plan_of(job, _facts(job.scenario.dataset))
    steps = {step.id: 0.0 for step in plan.steps}
    steps |= zip((step.id for step in train_steps(plan)), each, strict=True)
    found = costs_of(plan, steps)
    return tuple(found[name] for name in COSTS)


@lru_cache(maxsize=8)
def _facts(dataset: str) -> DatasetFacts:
    return data_named(dataset).facts
