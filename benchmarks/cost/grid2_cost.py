"""Forecasts of time, memory and latency for designs of the second grid, beside what the program measures.

    python benchmarks/trainings/grid2_sets.py    # the icons
    python benchmarks/cost/grid2_cost.py         # a quarter of an hour on a quiet machine

For each data set a fresh home measures the machine as `recommend` does by default. Then every design that the
grid trained with seed 0, the long schedule, the recipe's weight decay and at most `MOST` parameters is
trained by `advisor train` for a few epochs, and the forecast that the run has is set beside its outcome.
Single networks are then measured (`advisor profile`) for their latency. This comes last, because later
forecasts would learn from it.

Intervals are of 90 %. Errors are |forecast − actual| / actual. Writes results/grid2_cost-cpu.json.
"""

from __future__ import annotations

import csv
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from advisor.designs.design import parse_design

HERE = Path(__file__).parent
RESULT = HERE / "results" / "grid2_cost-cpu.json"
GRID = HERE.parent / "trainings" / "results" / "grid2-cpu.csv"
# Data set of the grid: its name for the program, the budget that is asked about, and epochs of a training.
ASKED = {"digits": ("digits", "60k", 3), "icons": ("folder:.advice/icons", "60k", 2)}
BATCH = 32
MOST = 250_000
QUANTITIES = ("time", "memory", "latency")
Row = dict[str, Any]


def designs_of(dataset: str) -> list[str]:
    """Return the designs of a data set's long schedule, in the order of the grid."""
    with GRID.open() as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == dataset and row["seed"] == "0"]
    longest = max(int(row["epochs"]) for row in rows)
    rows = [row for row in rows if int(row["epochs"]) == longest and int(row["budget"]) <= MOST]
    kept = [row for row in rows if float(row["weight_decay"]) == 1]
    return list(dict.fromkeys(row["design"] for row in kept))


def answer(home: str, *command: str) -> Row:
    """Return the JSON that a command of the program prints."""
    whole = (sys.executable, "-m", "cli", "--home", home, *command, "--json")
    return json.loads(subprocess.run(whole, check=True, capture_output=True, text=True).stdout)


def outcomes(dataset: str, home: str) -> list[Row]:
    """Return a row for every design of a data set: forecast and outcome of each quantity."""
    name, budget, epochs = ASKED[dataset]
    at = ("--dataset", name, "--batch", str(BATCH))
    answer(home, "recommend", "--dataset", name, "--budget", budget, "--epochs", str(epochs), "--probe", "0")
    found = []
    for design in designs_of(dataset):
        run = answer(home, "train", design, *at, "--epochs", str(epochs))["run"]
        predicted = run["predicted"]
        found.append(
            {
                "dataset": dataset,
                "design": design,
                "time": [predicted["train_seconds"], run["train_seconds"]],
                "memory": [predicted["train_peak_bytes"], _peak(run)],
                "latency": [predicted["inference_ms_per_image"], None],
                "disturbed": run["busy_machine"],
            }
        )
        print(
            f"{design:24} {predicted['train_seconds']['mean']:7.2f} s, {run['train_seconds']:.2f}", flush=True
        )
    for row in found:
        if len(parse_design(row["design"]).members) == 1:
            step = answer(home, "profile", row["design"], *at)["step"]
            row["latency"][1] = step["inference_ms_per_image"]
    return found


def _peak(run: Row) -> float:
    """Return the memory of a run: networks that train side by side add up."""
    peaks = sorted((s["peak_bytes"] for s in run["steps"] if s.get("peak_bytes")), reverse=True)
    return float(sum(peaks[: run["execution"]["processes"]]))


def figures(rows: Sequence[Row], quantity: str) -> Row:
    """Return share inside, median error and median factor of the ends of a quantity."""
    pairs = [row[quantity] for row in rows if row[quantity][1]]
    return {
        "designs": len(pairs),
        "inside": statistics.fmean(p["low"] <= actual <= p["high"] for p, actual in pairs),
        "median_error": statistics.median(abs(p["mean"] - actual) / actual for p, actual in pairs),
        "median_actual_over_forecast": statistics.median(actual / p["mean"] for p, actual in pairs),
        "median_factor": statistics.median(p["high"] / p["low"] for p, _ in pairs),
    }


def main() -> None:
    rows: list[Row] = []
    for dataset in ASKED:
        with tempfile.TemporaryDirectory() as home:
            rows += outcomes(dataset, home)
    summary = {
        name: {q: figures([r for r in rows if name in ("all", r["dataset"])], q) for q in QUANTITIES}
        for name in ("all", *ASKED)
    }
    for name, found in summary.items():
        for quantity, figure in found.items():
            print(f"{name:8} {quantity:8} {figure}")
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "machine": f"{platform.machine()} CPU, 2 cores",
    }
    RESULT.write_text(json.dumps(about | {"summary": summary, "designs": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
