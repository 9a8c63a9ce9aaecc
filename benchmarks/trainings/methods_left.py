"""The hours that the benchmark of methods has still to train, by ensemble and recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from grid2_sets import data_named
from grid_runner import Row
from methods_ensembles import Scenario
from methods_epochs import evidence, with_forecast
from methods_grid import KEYS, Job, blocks, key_of, numbers, ready
from methods_train import plan_of

from advisor.plans.convergence.kinds import Kind, kind_of, train_steps
from advisor.plans.convergence.predictor import TrainedStep
from advisor.plans.dataset import DatasetFacts

# Epochs of a chain whose length follows from trainings that have not ended, as a share of the most.
UNKNOWN_CHAIN = 0.6
# How many times longer an epoch of a student takes, as its teacher answers too: those of methods-cpu.json.
STUDENT_TIMES = 1.5


def hours_left(
    rows: Sequence[Row], scenarios: Sequence[Scenario]
) -> dict[tuple[str, str], tuple[int, float]]:
    """Return the number of missing trainings and their hours of two cores, by scenario and recipe.

    Args:
        rows: finished trainings; part of an unfinished one counts for nothing.
        scenarios: ensembles and data.
    """
    done = {tuple(row[name] for name in KEYS) for row in rows}
    jobs = {tuple(job.key.values()): job for job in ready(scenarios, rows)}
    known = evidence(rows)
    facts = {name: data_named(name).facts for name in dict.fromkeys(s.dataset for s in scenarios)}
    count, seconds = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for scenario, recipe, seed in blocks(scenarios):
        for method in scenario.methods:
            key = tuple(key_of(scenario.name, recipe, method, seed).values())
            if key in done:
                continue
            epochs = round(UNKNOWN_CHAIN * scenario.most_epochs[recipe])
            guess = Job(scenario=scenario, recipe=recipe, method=method, seed=seed, epochs=epochs)
            job = replace(jobs.get(key, guess), seed=0)
            count[scenario.name, recipe] += 1
            seconds[scenario.name, recipe] += expected_core_seconds(job, facts[scenario.dataset], rows, known)
    return {key: (count[key], seconds[key] / 2 / 3600) for key in count}


def show_left(left: dict[tuple[str, str], tuple[int, float]]) -> None:
    """Print the hours that are left."""
    print(f"{'ensemble':12}{'recipe':12}{'missing':>8}{'hours of two cores':>20}")
    for (scenario, recipe), (missing, hours) in left.items():
        print(f"{scenario:12}{recipe:12}{missing:8}{hours:20.2f}")
    total = [sum(column) for column in zip(*left.values(), strict=True)] or [0, 0.0]
    print(f"{'all':24}{total[0]:8}{total[1]:20.2f}")


def expected_core_seconds(
    job: Job, facts: DatasetFacts, rows: Sequence[Row], known: Sequence[TrainedStep]
) -> float:
    """Return the processor seconds that a training is expected to take.

    Seconds of an epoch come from the rows of the same scenario and recipe, else from the table of scenarios.
    Epochs come from the forecast.

    Args:
        job: training.
        facts: facts of its data set.
        rows: finished trainings.
        known: the same as evidence.
    """
    plan = with_forecast(plan_of(job, facts), known)
    kinds = [(kind_of(plan, step), step.schedule.expected_epochs) for step in train_steps(plan)]
    place = job.scenario.name, job.recipe
    own = [r for r in rows if (r["scenario"], r["recipe"]) == place and float(r["core_seconds"])]
    each = job.scenario.epoch_seconds[job.recipe]
    if own:
        each = sum(float(r["core_seconds"]) for r in own) / sum(_weighted(_trained(r)) for r in own)
    return _weighted(kinds) * each


def _trained(row: Row) -> list[tuple[Kind, float]]:
    kinds = map(Kind, row["kinds"].split(";"))
    return list(zip(kinds, numbers(row["epochs"]), strict=True))


def _weighted(kinds: Iterable[tuple[Kind, float]]) -> float:
    """Return the epochs of networks, each of a student for its longer time."""
    return sum(epochs * (STUDENT_TIMES if kind is Kind.DISTILLED else 1.0) for kind, epochs in kinds)
