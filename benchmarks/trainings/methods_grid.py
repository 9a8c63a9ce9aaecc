"""What the benchmark of methods trains: ensembles, data, recipes and methods, and the order of the trainings.

A training is known by its scenario, recipe, method and seed. All methods of a scenario, recipe and seed come
one after the other, so that a grid that is cut short is a fair comparison as far as it goes:

1. seed 0 of all small ensembles,
2. seeds 1 and 2 of them,
3. the ensemble of 25 members, seed by seed.

Chains of snapshots need the rows of other methods of their block (`ready`), and begin as soon as these exist;
those of equal time once these have seconds, which trainings on a GPU lack.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grid_runner import Row
from methods_ensembles import CHAIN, EQUAL, FULL, G1, SNAPSHOTS, Scenario

from advisor.plans.methods import SNAPSHOT_SHARE
from advisor.plans.recipes.choice import RecipeName
from advisor.plans.schedule import PATIENCE

# Columns that tell a training from all others.
KEYS = ("scenario", "recipe", "method", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training.

    Attributes:
        scenario: ensemble and data.
        recipe: recipe of all networks.
        method: name of the method.
        seed: random seed.
        epochs: most epochs of a network; of a chain, those of which a cycle takes 60/128.
    """

    scenario: Scenario
    recipe: RecipeName
    method: str
    seed: int
    epochs: int

    @property
    def key(self) -> Row:
        """Cells that tell the training from all others."""
        return key_of(self.scenario.name, self.recipe, self.method, self.seed)

    @property
    def name(self) -> str:
        """Name of the folder of the training while it is under way."""
        return "-".join(self.key.values()).replace(" ", "_")

    @property
    def patience(self) -> int | None:
        """Epochs without a gain that end a training; None for cycles, whose length is fixed."""
        return None if self.method in SNAPSHOTS else PATIENCE


def key_of(scenario: str, recipe: str, method: str, seed: int) -> Row:
    """Return the cells that tell a training from all others."""
    return dict(zip(KEYS, (scenario, str(recipe), method, str(seed)), strict=True))


def job_of(row: Row, scenarios: Sequence[Scenario]) -> Job:
    """Return the training that a row is of."""
    return Job(
        scenario=next(scenario for scenario in scenarios if scenario.name == row["scenario"]),
        recipe=RecipeName(row["recipe"]),
        method=row["method"],
        seed=int(row["seed"]),
        epochs=int(row["plan_epochs"]),
    )


def rows_of(rows: Sequence[Row], scenarios: Sequence[Scenario]) -> list[Row]:
    """Return the rows of some scenarios."""
    names = {scenario.name for scenario in scenarios}
    return [row for row in rows if row["scenario"] in names]


# Order.


def blocks(scenarios: Sequence[Scenario]) -> Iterator[tuple[Scenario, RecipeName, int]]:
    """Yield scenario, recipe and seed of every block of methods, in the order of their training."""

    def stage(block: tuple[Scenario, RecipeName, int]) -> tuple[bool, int]:
        scenario, _, seed = block
        return len(scenario.members) > 5, seed

    found = [(s, recipe, seed) for s in scenarios for recipe in RecipeName for seed in range(s.seeds)]
    yield from sorted(found, key=stage)


def ready(
    scenarios: Sequence[Scenario], rows: Sequence[Row], *, seeds: Sequence[int] | None = None
) -> list[Job]:
    """Return the trainings in their order, without chains of snapshots whose length is not known yet.

    Args:
        scenarios: ensembles and data.
        rows: finished trainings.
        seeds: seeds of the trainings, None for all.
    """
    by_key = {tuple(row[name] for name in KEYS): row for row in rows}
    jobs = []
    for scenario, recipe, seed in blocks(scenarios):
        if seeds is not None and seed not in seeds:
            continue
        own = {
            method: by_key.get(tuple(key_of(scenario.name, recipe, method, seed).values()))
            for method in scenario.methods
        }
        for method in scenario.methods:
            epochs = epochs_of(scenario, recipe, method, own)
            if epochs is not None:
                jobs.append(Job(scenario=scenario, recipe=recipe, method=method, seed=seed, epochs=epochs))
    return jobs


def epochs_of(scenario: Scenario, recipe: RecipeName, method: str, own: dict[str, Row | None]) -> int | None:
    """Return the epochs of a plan, None as long as they depend on trainings that have not ended.

    A cycle of the long chain takes 60/128 of the epochs that independent members took. The short chain has as
    many snapshots as the ensemble has members; its cycles are as long as the seconds of MotherNets of one
    cluster allow, rounded up, which favours it.

    Args:
        scenario: ensemble and data.
        recipe: recipe of all networks.
        method: name of the method.
        own: rows of the block by method, None for those that have not ended.
    """
    if method == CHAIN:
        full = own[FULL]
        return None if full is None else max(math.ceil(mean_of(full["epochs"])), 2)
    if method == EQUAL:
        hatched, chain = own[G1], own[CHAIN]
        if hatched is None or chain is None or not float(chain["core_seconds"]):
            return None
        an_epoch = float(chain["core_seconds"]) / sum(numbers(chain["epochs"]))
        cycle = float(hatched["seconds"]) / an_epoch / len(scenario.members)
        return max(math.ceil(math.ceil(cycle) / SNAPSHOT_SHARE), 2)
    return scenario.most_epochs[recipe]


def numbers(cell: str) -> list[float]:
    """Return the numbers of a cell."""
    return [float(part) for part in cell.split(";")]


def mean_of(cell: str) -> float:
    """Return the mean of the numbers of a cell."""
    found = numbers(cell)
    return sum(found) / len(found)
