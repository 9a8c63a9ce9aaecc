"""How good is the choice of probes? Trainings of the grid as probes: chosen, by a fixed rule, and at random.

    python benchmarks/trainings/advice_probes.py     # some minutes on one core, trains nothing

For every data set and budget, the designs of the long schedule are to be ranked. Probes are trainings with
seed 0 of the same data set at all other budgets. Their members have one shape, and their schedule is at least
half of the long one. A probe costs its core seconds. Together the probes may cost `SHARES` of the time of the
data set's part of the grid. Other data sets and curves are not evidence here, so that only the choice of
probes differs:

- chosen: by `advisor.decision.probes.probe_value`, the largest expected move of the comparison per second,
  until no probe is worth its time. The predictor is fitted again after each probe.
- rule: in the order of the evidence of `advice.py` (short schedules, then small budgets).
- random: in `ORDERS` random orders.
- nothing: published figures alone.

The figure is the regret of `advice_regret.py`, for the design of least predicted error.
Writes results/advice_probes-cpu.json.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
from advice_intervals import bootstrapped
from advice_regret import raw_regret, regret
from advice_replay import Cell, Training, cells, read

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.probes.probe_value import at_stake, expected_move, outcome
from advisor.decision.probes.probing import BESIDE_SECONDS, WORTHWHILE
from advisor.designs.design import parse_design
from advisor.plans.dataset import DatasetFacts
from cli.workflows.forecast.evidence import evidence_of_reported

RESULTS = Path(__file__).parent / "results"
SHARES = (0.003, 0.01, 0.03)
ORDERS, SEED = 10, 0
# The predictor is fitted again after every probe, so the choice ends after this many.
MOST_PROBES = 40


def probes_for(cell: Cell, trainings: Sequence[Training]) -> list[Training]:
    """Return the trainings that may serve as probes for a cell."""
    return [
        t
        for t in trainings
        if t.reported.dataset == cell.dataset
        and t.reported.seed == 0
        and t.budget != cell.budget
        and 2 * t.reported.epochs >= cell.epochs
        and parse_design(t.reported.design).homogeneous
    ]


def facts_of(cell: Cell) -> DatasetFacts:
    """Return the facts of a cell's data; the errors of probes are those on the test images."""
    return replace(cell.reported.facts, validation_images=cell.reported.test_images)


def evidence_of_probe(training: Training) -> TrainedEvidence:
    """Return the evidence of a probe: its errors at the end, without its curve."""
    (found,) = evidence_of_reported([training.reported])
    return replace(found, errors_by_members=None, curve=None)


def predictor(seen: Iterable[Training], cell: Cell) -> AccuracyPredictor:
    return AccuracyPredictor([facts_of(cell).learned_as], [evidence_of_probe(t) for t in seen], SEED)


def errors_of(accuracy: AccuracyPredictor, cell: Cell) -> np.ndarray:
    """Return posterior draws of the errors of a cell's designs, shape (draws, designs)."""
    facts = facts_of(cell)
    return accuracy.sample_errors(
        [parse_design(d) for d in cell.runs], facts.learned_as, facts.task, cell.epochs
    )


def chosen(cell: Cell, pool: Sequence[Training], allowed: float) -> list[Training]:
    """Return probes in the order of their choice.

    Args:
        cell: cell whose designs are compared.
        pool: trainings to choose from.
        allowed: core seconds of all probes together.
    """
    facts, taken, left = facts_of(cell), [], allowed
    while len(taken) < MOST_PROBES:
        accuracy = predictor([pool[i] for i in taken], cell)
        errors = errors_of(accuracy, cell)
        if 100 * at_stake(errors) < WORTHWHILE:
            break
        moves = {}
        for i, t in enumerate(pool):
            if i not in taken and t.seconds <= left:
                expected = outcome(accuracy, parse_design(t.reported.design), facts, t.reported.epochs)
                moves[i] = 100 * expected_move(errors, expected.log_figures, expected.stds, len(taken))
        worthy = [i for i, move in moves.items() if move >= WORTHWHILE]
        if not worthy:
            break
        best = max(worthy, key=lambda i: moves[i] / (pool[i].seconds + BESIDE_SECONDS))
        taken.append(best)
        left -= pool[best].seconds
    return [pool[i] for i in taken]


def in_order(pool: Iterable[Training], allowed: float) -> list[Training]:
    """Return the probes of an order that fit into the allowed core seconds, one after the other."""
    found = []
    for t in pool:
        if t.seconds <= allowed:
            allowed -= t.seconds
            found.append(t)
    return found


def by_rule(pool: Sequence[Training]) -> list[Training]:
    return sorted(pool, key=lambda t: (t.reported.epochs, t.budget, t.seconds, t.reported.design))


def shuffled(pool: Sequence[Training], order: int) -> list[Training]:
    return [pool[i] for i in np.random.default_rng(order).permutation(len(pool))]


def evaluated(cell: Cell, seen: Sequence[Training]) -> dict:
    """Return the design that is advised after some probes, and its regret."""
    means = errors_of(predictor(seen, cell), cell).mean(axis=0)
    advised = list(cell.runs)[int(means.argmin())]

    def rule(asked: Cell, naming: Sequence[int]) -> dict[str, float]:
        return {advised: 1.0}

    return {
        "advised": advised,
        "probes": len(seen),
        "seconds": sum(t.seconds for t in seen),
        "regret": regret(cell, rule),
        "raw": raw_regret(cell, rule),
    }


def compare(trainings: Sequence[Training]) -> list[dict]:
    rows = []
    for cell in (c for c in cells(trainings) if c.whole):
        pool = probes_for(cell, trainings)
        total = sum(t.seconds for t in trainings if t.reported.dataset == cell.dataset)
        nothing = evaluated(cell, [])
        for share in SHARES:
            allowed = share * total
            ways: dict[str, list[dict]] = {
                "chosen": [evaluated(cell, chosen(cell, pool, allowed))],
                "rule": [evaluated(cell, in_order(by_rule(pool), allowed))],
                "random": [evaluated(cell, in_order(shuffled(pool, n), allowed)) for n in range(ORDERS)],
                "nothing": [nothing],
            }
            for way, found in ways.items():
                place = {"dataset": cell.dataset, "budget": cell.budget, "share": share, "way": way}
                rows += [place | each for each in found]
            print(
                f"{cell.dataset:20}{cell.budget:>10,} {share:.1%} "
                + " ".join(f"{way} {_mean(found, 'raw'):.2f}" for way, found in ways.items()),
                flush=True,
            )
    return rows


def _mean(rows: Sequence[dict], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def summary(rows: Sequence[dict]) -> list[dict]:
    """Return the mean regret of every way over cells, and the regret that choosing saves, with intervals."""

    @cache
    def by_cell(share: float, way: str, name: str) -> dict[tuple[str, int], float]:
        own = [row for row in rows if (row["share"], row["way"]) == (share, way) and row[name] is not None]
        places = dict.fromkeys((row["dataset"], row["budget"]) for row in own)
        return {p: _mean([r for r in own if (r["dataset"], r["budget"]) == p], name) for p in places}

    found = []
    for share in SHARES:
        for way in dict.fromkeys(row["way"] for row in rows):
            row = {"share": share, "way": way}
            for name in ("regret", "raw"):
                values, ours = by_cell(share, way, name), by_cell(share, "chosen", name)
                row[name] = bootstrapped(values)
                row[f"chosen_minus_this_{name}"] = bootstrapped({k: ours[k] - values[k] for k in values})
            for name in ("probes", "seconds"):
                row[name] = float(np.mean(list(by_cell(share, way, name).values())))
            found.append(row)
    return found


def show(found: Sequence[dict]) -> None:
    print("\n| time | probes | number | core seconds | regret | same seeds | chosen less this, same seeds |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for row in found:
        less = "" if row["way"] == "chosen" else _with_interval(row["chosen_minus_this_raw"])
        print(
            f"| {row['share']:.1%} | {row['way']} | {row['probes']:.1f} | {row['seconds']:.0f} | "
            f"{_with_interval(row['regret'])} | {_with_interval(row['raw'])} | {less} |"
        )


def _with_interval(figure: Mapping[str, float | None]) -> str:
    if figure["mean"] is None:
        return "–"
    ends = "" if figure["low"] is None else f" ({figure['low']:.2f} to {figure['high']:.2f})"
    return f"{figure['mean']:.2f}{ends}".replace("-", "−")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=RESULTS / "advice-cpu.csv", help="CSV file of trainings")
    file = parser.parse_args().file
    trainings = read(file)
    rows = compare(trainings)
    found = summary(rows)
    show(found)
    about = {
        "grid": file.name,
        "trainings": len(trainings),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "scipy")},
    }
    (RESULTS / "advice_probes-cpu.json").write_text(
        json.dumps(about | {"summary": found, "cells": rows}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
