"""Real trainings that evaluate the advice: the grid of `grid2.py`, with whole learning curves.

    python benchmarks/trainings/grid2_train.py   # all missing trainings: some 1,700 in 12 hours
    python benchmarks/trainings/grid2_train.py --minutes 60  # starts no training after an hour
    python benchmarks/trainings/grid2_train.py --device cuda --workers 8 --only icons  # rows without seconds

Every row of results/grid2-cpu.csv is one training (`grid_runner.py`). `weight_decay` is a multiple of the
recipe's; `nll`, `calibration_error` and `member_nlls` are figures on the test images. Data sets and what they
need: `grid2_sets.py`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import torch
from grid2 import SETTINGS, jobs
from grid2_sets import data_named
from grid_runner import COLUMNS, ON_GPU, WORKERS, Grid, Job, Row, mended_rows, train, train_all
from processor_time import EXECUTION

from advisor.plans.execution import DEVICES, Execution
from trainer.data.loading import Data

RESULTS = Path(__file__).parent / "results" / "grid2-cpu.csv"
ADDED = ("weight_decay", "nll", "calibration_error", "member_nlls")


@lru_cache(maxsize=len(SETTINGS))
def _data(name: str) -> Data:
    return data_named(name)


def data_of(job: Job) -> Data:
    """Return the images of a job."""
    return _data(job.dataset)


def grid(
    file: Path = RESULTS, execution: Execution = EXECUTION, datasets: Sequence[str] | None = None
) -> Grid:
    """Return the grid with its file.

    Args:
        file: CSV file of the results.
        execution: how to train.
        datasets: names of the data sets to train on, in their order; None for all.
    """
    return Grid(
        file=file,
        columns=(*COLUMNS, *(c for c in ADDED if c not in COLUMNS)),
        jobs=partial(_jobs, datasets),
        data=data_of,
        train=partial(train, execution=execution),
    )


def _jobs(datasets: Sequence[str] | None, rows: Sequence[Row]) -> list[Job]:
    found = jobs(rows)
    return found if datasets is None else [job for name in datasets for job in found if job.dataset == name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="minutes after which no training starts"
    )
    parser.add_argument("--file", type=Path, default=RESULTS, help="CSV file of the results")
    parser.add_argument(
        "--count", action="store_true", help="only count what is missing, by data set and seed"
    )
    parser.add_argument("--workers", type=int, default=WORKERS, help="trainings that run side by side")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="what the networks train on")
    names = [setting.dataset for setting in SETTINGS]
    parser.add_argument(
        "--only", nargs="+", choices=names, metavar="DATASET", help="only these data sets, in this order"
    )
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device here")
    chosen = grid(given.file, ON_GPU if given.device == "cuda" else EXECUTION, given.only)
    if given.count:
        counts = Counter((job.dataset, job.seed) for job in chosen.missing(mended_rows(chosen)))
        for (dataset, seed), number in sorted(counts.items()):
            print(f"{dataset:26} seed {seed}: {number} missing")
        return
    train_all(chosen, given.minutes, given.workers)


if __name__ == "__main__":
    main()
