"""How much two networks err on the same images, and whether a GPU and a CPU train alike.

    python benchmarks/trainings/common_errors.py   # a second, trains nothing

1. The correlation of the wrong answers of two independent members over the test images, by data set, from the
   errors of both and the share of images on which both are wrong. `advisor.accuracy.noise` rests on it.
2. Trainings of grid 2 on a GPU less the same trainings with the same seed on a CPU
   (results/grid2_repeated-cpu.csv), in points of test error.

Writes results/common_errors.json. The data set that is set aside is not read.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from advice_intervals import over_seeds
from grid2 import SET_ASIDE
from grid_runner import KEY, Row

from advisor.designs.design import parse_design

RESULTS = Path(__file__).parent / "results"
GRIDS = ("advice-cpu.csv", "grid2-cpu.csv")
# Below this product of both standard deviations hardly an answer is wrong.
LEAST_SPREAD = 0.004


def rows_of(name: str) -> Iterator[Row]:
    """Yield the rows of a grid, without the data set that is set aside."""
    with (RESULTS / name).open() as file:
        yield from (row for row in csv.DictReader(file) if row["dataset"] != SET_ASIDE)


def correlations() -> dict[str, dict[str, float]]:
    """Return the median correlation of wrong answers, and the median error, by data set."""
    found = defaultdict(list)
    for row in (row for name in GRIDS for row in rows_of(name)):
        errors = [float(error) for error in row["member_errors"].split(";")]
        if len(errors) != 2 or not parse_design(row["design"]).independent:
            continue
        first, second = errors
        spread = np.sqrt(first * (1 - first) * second * (1 - second))
        if spread > LEAST_SPREAD:
            correlation = (float(row["oracle_error"]) - first * second) / spread
            found[row["dataset"]].append((correlation, (first + second) / 2))
    return {
        dataset: {
            "pairs": len(pairs),
            "correlation": round(float(np.median([c for c, _ in pairs])), 2),
            "error": round(float(np.median([e for _, e in pairs])), 4),
        }
        for dataset, pairs in found.items()
    }


def repeated() -> dict[str, float]:
    """Return the points of test error by which trainings on a GPU have more than those on a CPU."""
    grid = {tuple(row[name] for name in KEY): row for row in rows_of("grid2-cpu.csv")}
    more = [
        100 * (float(grid[tuple(row[name] for name in KEY)]["error"]) - float(row["error"]))
        for row in rows_of("grid2_repeated-cpu.csv")
    ]
    mean, half = over_seeds(more)
    return {"trainings": len(more), "points_more": round(mean, 2), "half_of_90": round(half, 2)}


def main() -> None:
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "correlations": correlations(),
        "gpu_less_cpu": repeated(),
    }
    (RESULTS / "common_errors.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
