"""MotherNets compared with other methods, all trained to convergence by this project on real data.

    python benchmarks/trainings/methods.py --minutes 60  # a part; a kill at any time costs an epoch at most
    python benchmarks/trainings/methods.py --seeds 1 2 --workers 16  # on another machine; add its rows here
    python benchmarks/trainings/methods.py --device cuda --seeds 1 2 --workers 8  # rows without seconds
    python benchmarks/trainings/methods.py --count       # hours that are left, by ensemble; trains nothing
    python benchmarks/trainings/methods.py --judge       # evaluates what there is; trains nothing
    python benchmarks/trainings/methods.py --quick       # a small ensemble on digits, one seed: some minutes

Every ensemble is trained by every method with both recipes (`methods_grid.py`). All trainings but cycles of
snapshots end by the rule of 15 epochs without a gain in training accuracy, after 60 epochs at most by `ours`
and 120 by `published`. Two trainings, or `--workers`, run side by side in one thread each, with low priority.
Seconds are compared as on the machine of the first seed (`methods_seconds.py`). Ctrl-C or a kill of this
process ends them. Each is a row of results/methods_converged-cpu.csv when it ends. Until then it lies in
.methods/ of the working directory (`methods_train.py`), and the next call from there continues it. Seconds
are processor time, so other work beside it hardly counts.

Expected hours of two cores that also do other work (a load of 5 to 8), before any training. `--count` takes
seconds and epochs from the rows as soon as there are any. Data are 2,000 training images of Fashion-MNIST at
14×14, with 1,000 for validation and 5,000 for test, and the 1,077 digits.

| ensemble | members | data | seeds | MotherNets g | snapshots | trainings | `ours` | `published` |
|---|---:|---|---:|---|---:|---:|---:|---:|
| V5 | 5 | Fashion-MNIST | 3 | 1, 2, 3, 5 | 10 | 48 | 0.37 h | 0.45 h |
| V5 digits | 5 | digits | 3 | 1, 2, 3, 5 | 10 | 48 | 0.25 h | 0.15 h |
| R5 | 5 | Fashion-MNIST | 3 | 1, 2, 3, 5 | 10 | 48 | 0.62 h | 0.84 h |
| R5 digits | 5 | digits | 3 | 1, 2, 3, 5 | 10 | 48 | 0.26 h | 0.20 h |
| D3 | 3 | Fashion-MNIST | 3 | 1, 2, 3 | 10 | 42 | 0.40 h | 0.67 h |
| D3 digits | 3 | digits | 3 | 1, 2, 3 | 10 | 42 | 0.18 h | 0.14 h |
| V25 | 25 | Fashion-MNIST | 2 | 1, 2, 4, 8, 25 | 25 | 36 | 1.60 h | 1.71 h |
| all | | | | | | 312 | 3.68 h | 4.16 h |

MotherNets of as many clusters as members are full data, and trained once.

`--judge` writes results/methods_converged-cpu.json, methods_converged-cpu.svg,
methods_converged-digits-cpu.svg and methods_converged-members-cpu.svg. `--quick` writes nothing there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from grid_runner import ON_GPU, WORKERS, Grid, Row, mended_rows, read_rows
from grid_runner import run as run_grid
from methods_charts import draw
from methods_claims import Block, Claim, Figure, blocks_of, claims_of, figure
from methods_ensembles import CHAIN, G1, QUICK, SCENARIOS, Scenario
from methods_epochs import epoch_claims
from methods_forecasts import with_forecasts
from methods_grid import KEYS, numbers, ready, rows_of
from methods_left import hours_left, show_left
from methods_seconds import with_seconds
from methods_train import COLUMNS, data_of, train
from processor_time import EXECUTION

from advisor.plans.execution import DEVICES, Execution
from cli.workflows.locks import locked

RESULTS = Path(__file__).parent / "results"
ROWS = RESULTS / "methods_converged-cpu.csv"
NICE = 15


def grid_of(
    file: Path,
    scenarios: Sequence[Scenario],
    work: Path,
    until: float,
    seeds: Sequence[int] | None = None,
    execution: Execution = EXECUTION,
) -> Grid:
    """Return the grid of the benchmark.

    Args:
        file: CSV file of the rows.
        scenarios: ensembles and data.
        work: folder of the trainings under way.
        until: time by `time.monotonic` at which trainings stop.
        seeds: seeds of the trainings, None for all.
        execution: how to train.
    """
    return Grid(
        file=file,
        columns=COLUMNS,
        jobs=lambda rows: ready(scenarios, with_seconds(rows, scenarios), seeds=seeds),
        data=data_of,
        keys=KEYS,
        train=partial(train, execution=execution, work=work, known_from=file, until=until),
    )


def run(
    file: Path,
    scenarios: Sequence[Scenario],
    work: Path,
    minutes: float,
    *,
    workers: int = WORKERS,
    seeds: Sequence[int] | None = None,
    execution: Execution = EXECUTION,
) -> None:
    """Train what the file lacks for some minutes, and print a line for each row.

    Args:
        file: CSV file of the rows.
        scenarios: ensembles and data.
        work: folder of the trainings under way.
        minutes: minutes after which the trainings under way are stopped.
        workers: number of trainings that run side by side.
        seeds: seeds of the trainings, None for all.
        execution: how to train.
    """
    os.nice(NICE)
    until = time.monotonic() + 60 * minutes
    with locked(work, "the benchmark of methods"):
        grid = grid_of(file, scenarios, work, until, seeds, execution)
        for row in mended_rows(grid):
            _forget(row, work)
        for row in run_grid(grid, until, workers):
            _forget(row, work)
            print(
                f"{row['scenario']:10} {row['recipe']:9} {row['method']:36} seed {row['seed']} "
                f"{float(row['seconds']):7.1f} s {float(row['error']):.2%}",
                flush=True,
            )


def _forget(row: Row, work: Path) -> None:
    """Remove the folder of a training whose row is in the file."""
    name = "-".join(row[key] for key in KEYS).replace(" ", "_")
    shutil.rmtree(work / name, ignore_errors=True)


def judged(rows: Sequence[Row], scenarios: Sequence[Scenario] = SCENARIOS) -> dict[str, Any]:
    """Return claims, figures and what the pictures show, from whatever rows there are.

    Args:
        rows: finished trainings.
        scenarios: ensembles and data.
    """
    found = blocks_of(with_seconds(rows, scenarios))
    on_epochs, epochs = epoch_claims(with_forecasts(rows, scenarios))
    claims = [claim for block in found for claim in claims_of(block)] + on_epochs
    return {
        "devices": sorted({r["device"] for r in rows}),
        "versions": {name: sorted({r[name] for r in rows}) for name in ("python", "torch", "numpy")},
        "dates": [min(r["date"] for r in rows), max(r["date"] for r in rows)],
        "trainings": len(rows),
        "claims": [asdict(claim) for claim in claims],
        "epochs": epochs,
        "blocks": [summary(block) for block in found],
    }


def summary(block: Block) -> dict[str, Any]:
    """Return the figures of every method of a scenario and recipe."""
    methods = dict.fromkeys(r["method"] for r in block.rows)
    return {
        "scenario": block.scenario,
        "recipe": block.recipe,
        "members": block.members,
        "methods": {method: _of_method(block, method) for method in methods},
        "chain_at_equal_cost": chain_at_equal_cost(block),
    }


def _of_method(block: Block, method: str) -> dict[str, Any]:
    own = [r for r in block.rows if r["method"] == method]
    times = {name: list(block.seconds(method, name).values()) for name in ("seconds", "core_seconds")}
    shares = ("error", "validation_error", "oracle_error", "disagreement")
    return {
        "design": own[0]["design"],
        "clusters": int(own[0]["clusters"]),
        **{name: asdict(figure(found)) if found else None for name, found in times.items()},
        **{name: asdict(figure([float(r[name]) for r in own])) for name in shares},
        "mean_member_error": asdict(figure([np.mean(numbers(r["member_errors"])) for r in own])),
        "epochs": [numbers(r["epochs"]) for r in own],
        "kinds": own[0]["kinds"].split(";"),
        "errors_by_members": np.mean([numbers(r["errors_by_members"]) for r in own], axis=0).tolist(),
    }


def chain_at_equal_cost(block: Block) -> dict[str, Any]:
    """Return the long chain, stopped at the seconds or the work of MotherNets of one cluster.

    A chain uses one core, so its seconds are its work. By column: the number of snapshots that fit, by seed,
    and the error of their average beyond that of MotherNets, points.
    """
    errors = block.of(G1, "error")
    chains, spent = block.cells(CHAIN, "errors_by_members"), block.cells(CHAIN, "network_seconds")
    found: dict[str, Any] = {}
    for column in ("seconds", "core_seconds"):
        given = block.seconds(G1, column)
        seeds = sorted(given.keys() & block.seconds(CHAIN).keys())
        counts = [max(int((np.cumsum(spent[s]) <= given[s]).sum()), 1) for s in seeds]
        points = [100 * (chains[s][n - 1] - errors[s]) for s, n in zip(seeds, counts, strict=True)]
        if seeds:
            found[column] = {"snapshots": counts, "points_more_error": asdict(figure(points))}
    return found


def show_claims(claims: Sequence[dict[str, Any]]) -> None:
    """Print the table of claims, ensemble by ensemble."""
    last = ""
    for each in claims:
        claim = Claim(**each)
        if (name := f"{claim.scenario}, recipe {claim.recipe}") != last:
            print(f"\n{name}")
            last = name
        text = ""
        if each["figure"] is not None:
            found = Figure(**each["figure"])
            between = "" if found.low is None else f" ({found.low:.2f} to {found.high:.2f})"
            text = f"{found.mean:.2f}{between}: "
        print(f"  {claim.claim:62}{claim.goal:7}{text}{claim.verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one small ensemble on digits with one seed")
    parser.add_argument("--judge", action="store_true", help="evaluate earlier trainings only")
    parser.add_argument("--count", action="store_true", help="only print the hours that are left")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="minutes after which trainings stop"
    )
    parser.add_argument("--file", type=Path, default=None, help="CSV file of the rows")
    parser.add_argument("--work", type=Path, default=None, help="folder of the trainings under way")
    parser.add_argument("--workers", type=int, default=WORKERS, help="trainings that run side by side")
    parser.add_argument("--seeds", type=int, nargs="+", help="only these seeds")
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="ENSEMBLE", help="only these ensembles")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="what the networks train on")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device here")
    scenarios = QUICK if given.quick else SCENARIOS
    scenarios = [s for s in scenarios if given.only is None or s.name in given.only]
    work = given.work or Path(".methods-quick" if given.quick else ".methods")
    file = given.file or (work / "rows.csv" if given.quick else ROWS)
    if given.count:
        return show_left(hours_left(with_seconds(read_rows(file), scenarios), scenarios))
    if not given.judge:
        execution = ON_GPU if given.device == "cuda" else EXECUTION
        shared = {"workers": given.workers, "seeds": given.seeds, "execution": execution}
        run(file, scenarios, work, given.minutes, **shared)
    rows = rows_of(read_rows(file), scenarios)
    if not rows:
        raise SystemExit(f"{file} has no training yet: start without --judge")
    result = judged(rows, scenarios)
    show_claims(result["claims"])
    if not given.quick and given.judge:
        (RESULTS / "methods_converged-cpu.json").write_text(json.dumps(result) + "\n")
        draw(result)
    return None


if __name__ == "__main__":
    main()
