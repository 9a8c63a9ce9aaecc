"""Probes side by side or one after the other: the regret of the advice at the same wall-clock time.

    python benchmarks/trainings/advice2_side_by_side.py     # some minutes on one core; trains nothing

The default procedure of `advisor recommend` (`advice2_procedure.py`) is replayed on the cells of both grids
with a simulated clock. A probe takes the seconds that its training took when the grid was made. Choosing
takes none. The data set that is set aside is not read. Where a cell has several seeds, each of them is once
the one that probes of its own designs have.

Ways to use the cores of a machine:

- side by side: as many probes at once as cores, each on a core of its own, every one chosen as if those that
  train had ended as expected (`advisor.decision.probes.fantasies`). Each takes `CONTENTION` times as long.
- members at once: one probe at a time, whose networks train side by side. A mother trains alone, and so does
  a single network.

Times of a session:

- shares of the time that the program allows by default, by the clock as in the program;
- in sum: as many seconds of trainings in all, whatever the clock says.

Figures are medians and middle halves over cells and seeds, and the mean change of the regret by a way over
one probe after the other, with an interval over cells. Regret is the raw one of `advice_regret.py`, in points
of test error. Writes results/advice2_side_by_side-cpu.json.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from heapq import heapreplace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from advice2 import usable
from advice2_choice import compared, pool_for
from advice2_level import known, looks_at
from advice2_procedure import CONTENTION, Replayer, Way, one_core
from advice2_rules import PROBE_SEED
from advice_intervals import bootstrapped
from advice_regret import raw_regret
from advice_replay import Cell, Training, read
from grid2 import SET_ASIDE

from advisor.designs.design import parse_design

RESULTS = Path(__file__).parent / "results"
RESULT = RESULTS / "advice2_side_by_side-cpu.json"
CORES = (2, 4)
SHARES = (0.25, 0.5, 1.0)
GRIDS = ("grid2-cpu.csv", "advice-cpu.csv")
# Results with the errors of simple classifiers on the data sets of the grids.
LOOKS = ("advice2_first_grid-cpu.json", "advice2-cpu.json")
IN_SUM, ONE = "in sum", "one after the other"
Row = dict[str, Any]
# Grid, data set, budget, epochs, and the seed of the probes.
Place = tuple[str, str, int, int, int]


def members_at_once(training: Training, cores: int) -> float:
    """Return the time of a training whose networks take the cores in their order, mothers first."""
    mothers, members = training.networks[: -training.members], training.networks[-training.members :]
    return _makespan(mothers, cores) + _makespan(members, cores)


def _makespan(networks: Sequence[float], cores: int) -> float:
    """Return the time of networks that are given to whichever core is free first."""
    if len(networks) < 2:
        return sum(networks)
    free = [0.0] * min(cores, len(networks))
    for seconds in networks:
        heapreplace(free, free[0] + CONTENTION * seconds)
    return max(free)


WAYS = [
    Way(ONE, 1, one_core),
    *(Way.side_by_side(n) for n in CORES),
    *(Way(f"members on {n} cores", 1, partial(members_at_once, cores=n)) for n in CORES),
]


def rows_of(replayer: Replayer) -> list[Row]:
    """Return a row for every way and every time."""
    allowed, found = replayer.allowed_seconds(), []
    for way in WAYS:
        for time in (*SHARES, IN_SUM):
            share = 1.0 if isinstance(time, str) else time
            probes, clock = replayer.session(way, share * allowed, by_the_clock=time != IN_SUM)
            found.append({"way": way.name, "time": time} | _figures_of(replayer, probes, clock))
    return found


def _figures_of(replayer: Replayer, probes: Sequence[Training], clock: float) -> Row:
    means = {
        e.design.name: float(e.errors.mean())
        for e in compared(replayer.cell, replayer.known, replayer.predictor(probes), probes)
    }
    advised = min(means, key=means.__getitem__)
    names = {parse_design(d).name: d for d in replayer.cell.runs}

    def rule(cell: Cell, naming: Sequence[int]) -> dict[str, float]:
        return {names[advised]: 1.0}

    return {
        "advised": advised,
        "probes": len(probes),
        "clock_seconds": round(clock, 2),
        "core_seconds": round(sum(t.seconds for t in probes), 2),
        "regret": round(raw_regret(replayer.cell, rule) or 0.0, 6),
    }


def replay(
    grid: str, trainings: Sequence[Training], before: Sequence[Row], say: Callable[[str], None]
) -> list[Row]:
    """Return the rows of all cells of a grid.

    Args:
        grid: name of the grid.
        trainings: its trainings.
        before: errors of the simple classifiers that were counted earlier.
        say: receiver of progress.
    """
    asked = usable([t for t in trainings if t.reported.weight_decay == 1])
    rows: list[Row] = []
    for look in looks_at(asked, before):
        own = [cell for cell in asked if cell.dataset == look["dataset"]]
        at_hand = known(own[0].reported.facts, look)
        first = at_hand.predictor()
        for each, seed in ((cell, seed) for cell in own for seed in cell.seeds):
            cell = with_probes_of(seed, each)
            found = rows_of(Replayer(cell, at_hand, first, pool_for(cell, trainings)))
            place = {"grid": grid, "dataset": cell.dataset, "budget": cell.budget, "epochs": cell.epochs}
            rows += [place | {"seed": seed} | row for row in found]
            regrets = ", ".join(f"{r['regret']:.2f}" for r in found if r["time"] == 0.5)
            say(f"{cell.dataset} {cell.budget:,} {cell.epochs} epochs {seed}, half the time: {regrets}")
    return rows


def with_probes_of(seed: int, cell: Cell) -> Cell:
    """Return a cell in which the trainings of a seed are those of probes, at the cost of the first ones.

    Trainings on a GPU have no seconds of their own.
    """
    names = {seed: PROBE_SEED, PROBE_SEED: seed}
    runs = {
        design: {names.get(s, s): _at_cost_of(own[PROBE_SEED], t) for s, t in own.items() if s in cell.seeds}
        for design, own in cell.runs.items()
    }
    return replace(cell, runs=runs)


def _at_cost_of(first: Training, training: Training) -> Training:
    return replace(training, seconds=first.seconds, networks=first.networks)


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return the figures of every way and time over cells, and the differences from one after the other."""
    return [
        {"time": time, "way": way.name}
        | _figures(_by_place(rows, way.name, time), _by_place(rows, ONE, time))
        for time in (*SHARES, IN_SUM)
        for way in WAYS
    ]


def _figures(own: Mapping[Place, Row], one: Mapping[Place, Row]) -> Row:
    """Return the figures of a way, and how it differs from one probe after the other."""
    changes = {place: row["regret"] - one[place]["regret"] for place, row in own.items()}
    cells: dict[tuple[str, str], list[float]] = {}
    for (grid, dataset, *rest, _), change in changes.items():
        cells.setdefault((dataset, f"{grid} {rest}"), []).append(change)
    clocks = [r["clock_seconds"] / one[p]["clock_seconds"] for p, r in own.items() if one[p]["clock_seconds"]]
    return {
        "replays": len(own),
        "cells": len(cells),
        "probes": float(np.mean([r["probes"] for r in own.values()])),
        "regret": _quartiles([r["regret"] for r in own.values()]),
        "less_one_after_the_other": bootstrapped({c: float(np.mean(x)) for c, x in cells.items()}),
        "better": sum(change < -1e-9 for change in changes.values()),
        "worse": sum(change > 1e-9 for change in changes.values()),
        "clock_over_one_after_the_other": _quartiles(clocks),
    }


def _by_place(rows: Sequence[Row], way: str, time: float | str) -> dict[Place, Row]:
    return {
        (r["grid"], r["dataset"], r["budget"], r["epochs"], r["seed"]): r
        for r in rows
        if (r["way"], r["time"]) == (way, time)
    }


def _quartiles(values: Sequence[float]) -> Row:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(median), "low": float(low), "high": float(high), "mean": float(np.mean(values))}


def show(found: Sequence[Row]) -> None:
    print("\n| time | way | probes | regret, median (middle half) | mean | change | better, worse | clock |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for row in found:
        own, less = row["regret"], row["less_one_after_the_other"]
        clock = row["clock_over_one_after_the_other"]["median"]
        print(
            f"| {row['time']} | {row['way']} | {row['probes']:.1f} | "
            f"{own['median']:.2f} ({own['low']:.2f}–{own['high']:.2f}) | {own['mean']:.2f} | "
            f"{less['mean']:.2f} ({less['low']:.2f} to {less['high']:.2f}) | "
            f"{row['better']}, {row['worse']} | {clock:.2f} |"
        )


def in_columns(about: Row, rows: Sequence[Row]) -> str:
    """Return JSON in which every replay is one line, of the values of its columns."""
    columns = list(rows[0])
    text = json.dumps(about | {"columns": columns}, indent=1)
    lines = ",\n  ".join(json.dumps([row[name] for name in columns]) for row in rows)
    return f'{text[:-2]},\n "cells": [\n  {lines}\n ]\n}}'


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    grids = {name: read(RESULTS / name, lambda dataset: dataset != SET_ASIDE) for name in GRIDS}
    looks = [row for name in LOOKS for row in json.loads((RESULTS / name).read_text())["looks"]]
    rows: list[Row] = []
    for name, trainings in grids.items():
        rows += replay(name, trainings, looks, partial(print, flush=True))
    found = summary(rows)
    show(found)
    about = {
        "grids": {name: len(trainings) for name, trainings in grids.items()},
        "device": sorted({t.reported.device for trainings in grids.values() for t in trainings}),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "scipy")},
        "contention": CONTENTION,
        "datasets": sorted({r["dataset"] for r in rows}),
    }
    RESULT.write_text(in_columns(about | {"summary": found}, rows) + "\n")


if __name__ == "__main__":
    main()
