"""Real trainings that evaluate the advice: the grid of `advice_grid.py`, with whole learning curves.

    python benchmarks/trainings/advice_train.py   # all missing trainings: 927 in 7 hours
    python benchmarks/trainings/advice_train.py --minutes 60  # starts no training after an hour
    python benchmarks/trainings/advice_train.py --quick   # digits, two budgets, one seed: under 5 minutes

Every row of results/advice-cpu.csv is one training (`grid_runner.py`). `advisor db import` can read the file.
"""

from __future__ import annotations

import argparse
from functools import lru_cache
from pathlib import Path

import torch
from advice_grid import SETTINGS, TEST_IMAGES, VALIDATION_IMAGES, jobs, quick_jobs
from grid_runner import COLUMNS, Grid, Job, train_all
from torchvision.transforms.functional import resize

from advisor.networks.layers import Task
from advisor.plans.dataset import DATASETS
from trainer.data.loading import Data, Split, find_facts, load_data

RESULTS = Path(__file__).parent / "results" / "advice-cpu.csv"
WORK = Path(".advice")


def data_of(job: Job) -> Data:
    """Return the images of a job."""
    return data_named(job.dataset)


@lru_cache(maxsize=len(SETTINGS))
def data_named(name: str) -> Data:
    """Return a data set of the grid in memory."""
    facts = next(s.facts for s in SETTINGS if s.facts.name == name)
    if name in DATASETS:
        return load_data(facts, WORK)
    whole = load_data(find_facts("fashion-mnist"), WORK)
    train = _first(whole.train, facts.train_images // facts.task.classes, facts.task)
    # Both subsets have the same validation set and the same test set.
    validation = _first(whole.validation, VALIDATION_IMAGES // facts.task.classes, facts.task)
    pixels = train.images.float() / 255
    return Data(
        facts,
        train,
        validation,
        _first(whole.test, TEST_IMAGES // facts.task.classes, facts.task),
        pixels.mean(dim=(0, 2, 3)),
        pixels.std(dim=(0, 2, 3), unbiased=False),
        whole.classes,
    )


def _first(split: Split, count: int, task: Task) -> Split:
    """Return the first `count` images of every class, scaled to the shape of the task."""
    chosen = torch.cat([torch.nonzero(split.labels == c)[:count, 0] for c in range(task.classes)])
    images = resize(split.images[chosen], [task.height, task.width], antialias=True)
    return Split(images.contiguous(), split.labels[chosen])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="train a few small designs into another file")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="minutes after which no training starts"
    )
    parser.add_argument("--file", type=Path, default=None, help="CSV file of the results")
    given = parser.parse_args()
    file = given.file or (WORK / "quick.csv" if given.quick else RESULTS)
    todo = quick_jobs() if given.quick else jobs()
    train_all(Grid(file=file, columns=COLUMNS, jobs=lambda rows: todo, data=data_of), given.minutes)


if __name__ == "__main__":
    main()
