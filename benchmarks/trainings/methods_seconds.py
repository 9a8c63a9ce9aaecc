"""Seconds of trainings on several machines, in the benchmark of methods: as on the machine of the first one.

Several trainings shared a GPU, so their own seconds say nothing, and processors differ. An epoch of a network
takes as long with one seed as with another. So a network that was trained on another machine gets its epochs
times the processor seconds of an epoch of the same network, in rows of the same ensemble, recipe and method
that were trained on the machine of the first of the ensemble's seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from grid2_sets import data_named
from grid_runner import Row
from methods_ensembles import SCENARIOS, Scenario
from methods_grid import Job, job_of, numbers, rows_of
from methods_train import COSTS, costs_of, plan_of
from numpy.typing import NDArray

from advisor.plans.convergence.kinds import train_steps
from advisor.plans.dataset import DatasetFacts


def with_seconds(rows: Sequence[Row], scenarios: Sequence[Scenario] = SCENARIOS) -> list[Row]:
    """Return the rows of some scenarios, with the seconds of one machine each as far as these are known.

    Args:
        rows: finished trainings.
        scenarios: ensembles and data.
    """
    rows = rows_of(rows, scenarios)
    measured = [row for row in rows if float(row["core_seconds"])]
    # The last one that is written stays: the first in the file of the first seed.
    backwards = sorted(reversed(measured), key=lambda row: -int(row["seed"]))
    homes = {_block(row): row["device"] for row in backwards}
    timed: dict[tuple[str, ...], list[Row]] = {}
    for row in measured:
        if row["device"] == homes[_block(row)]:
            timed.setdefault(_place(row), []).append(row)
    return [
        _with_seconds(row, timed[_place(row)], scenarios)
        if _place(row) in timed and row["device"] != homes[_block(row)]
        else row
        for row in rows
    ]


def _block(row: Row) -> tuple[str, ...]:
    return row["scenario"], row["recipe"]


def _place(row: Row) -> tuple[str, ...]:
    return *_block(row), row["method"]


def _with_seconds(row: Row, timed: Sequence[Row], scenarios: Sequence[Scenario]) -> Row:
    seconds, epochs = (_summed(timed, column) for column in ("network_seconds", "epochs"))
    each = tuple(np.array(numbers(row["epochs"])) * seconds / epochs)
    costs = _costs(job_of(row, scenarios), each)
    return row | dict(zip(COSTS, costs, strict=True)) | {"device": timed[0]["device"]}


def _summed(rows: Sequence[Row], column: str) -> NDArray[np.float64]:
    """Return the sums of a column over rows, network by network."""
    found: NDArray[np.float64] = np.sum([numbers(row[column]) for row in rows], axis=0)
    return found


@lru_cache(maxsize=4096)
def _costs(job: Job, each: tuple[float, ...]) -> tuple[str, ...]:
    plan = plan_of(job, facts_of(job.scenario.dataset))
    steps = {step.id: 0.0 for step in plan.steps}
    steps |= zip((step.id for step in train_steps(plan)), each, strict=True)
    found = costs_of(plan, steps)
    return tuple(found[name] for name in COSTS)


@lru_cache(maxsize=8)
def facts_of(dataset: str) -> DatasetFacts:
    """Return the facts of a data set."""
    return data_named(dataset).facts
