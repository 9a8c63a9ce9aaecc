"""Real trainings that evaluate the advice: the grid of `grid2.py`, with whole learning curves.

    python benchmarks/trainings/grid2_train.py   # all missing trainings: some 1,700 in 12 hours
    python benchmarks/trainings/grid2_train.py --minutes 60  # starts no training after an hour

Every row of results/grid2-cpu.csv is one training (`grid_runner.py`). `weight_decay` is a multiple of the
recipe's; `nll`, `calibration_error` and `member_nlls` are figures on the test images. Data sets and what they
need: `grid2_sets.py`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from functools import lru_cache
from pathlib import Path

from grid2 import SETTINGS, jobs
from grid2_sets import data_named
from grid_runner import COLUMNS, Grid, Job, mended_rows, train_all

from trainer.data.loading import Data

RESULTS = Path(__file__).parent / "results" / "grid2-cpu.csv"
ADDED = ("weight_decay", "nll", "calibration_error", "member_nlls")


@lru_cache(maxsize=len(SETTINGS))
def _data(name: str) -> Data:
    return data_named(name)


def data_of(job: Job) -> Data:
    """Return the images of a job."""
    return _data(job.dataset)


def grid(file: Path = RESULTS) -> Grid:
    """Return the grid with its file."""
    return Grid(
        file=file, columns=(*COLUMNS, *(c for c in ADDED if c not in COLUMNS)), jobs=jobs, data=data_of
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="minutes after which no training starts"
    )
    parser.add_argument("--file", type=Path, default=RESULTS, help="CSV file of the results")
    parser.add_argument(
        "--count", action="store_true", help="only count what is missing, by data set and seed"
    )
    given = parser.parse_args()
    chosen = grid(given.file)
    if given.count:
        counts = Counter((job.dataset, job.seed) for job in chosen.missing(mended_rows(chosen)))
        for (dataset, seed), number in sorted(counts.items()):
            print(f"{dataset:26} seed {seed}: {number} missing")
        return
    train_all(chosen, given.minutes)


if __name__ == "__main__":
    main()
