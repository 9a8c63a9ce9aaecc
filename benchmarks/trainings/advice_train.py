"""Real trainings that evaluate the advice: the grid of `advice_grid.py`, with whole learning curves.

    python benchmarks/trainings/advice_train.py   # all missing trainings: 927 in 7 hours
    python benchmarks/trainings/advice_train.py --minutes 60  # starts no training after an hour
    python benchmarks/trainings/advice_train.py --quick   # digits, two budgets, one seed: under 5 minutes

Every row of results/advice-cpu.csv is one training, written when it ends. Each call adds missing rows. A line
that was cut short by a kill is removed, and its training is repeated. `advisor db import` can read the file.

- `class`: single, deq, weq or mixed.
- `budget`: parameters of the single network, which no ensemble exceeds.
- `error`, `member_errors`, `oracle_error`, `disagreement`: figures on the test images, shares.
- `errors_by_members`: test errors of the averages of the first one, two, … members.
- `ensemble_curve`, `member_curve`: validation errors of the average and of the mean member after every epoch.
  Hatched members begin as their mother, so their curves begin with the epochs of the mother.
- `network_seconds`: processor time of each network in the order of the plan, mothers first.
- `core_seconds`: processor time of the whole training.
- `makespan_seconds`: time of the plan on two otherwise idle cores.

Two trainings run side by side, each in one thread. A plan of one process gives the same weights as a plan of
two. It starts no processes of its own, and leaves no core idle while a single network trains.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from advice_grid import SETTINGS, TEST_IMAGES, VALIDATION_IMAGES, Job, jobs, quick_jobs
from methods_train import EXECUTION, Clock, processor_watch
from torchvision.transforms.functional import resize

from advisor.accuracy.reported import OPTIONAL, REQUIRED
from advisor.designs.design import parse_design
from advisor.networks.layers import Task
from advisor.plans.dataset import DATASETS
from advisor.plans.methods import make_plan
from advisor.plans.plan import Role, TrainingPlan
from advisor.plans.records import EpochRecord
from trainer.data.loading import Data, Split, find_facts, load_data
from trainer.ensembles.evaluate import member_probabilities
from trainer.ensembles.metrics import Predictions, ensemble_metrics
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.loop import load_network
from trainer.training.stored_probabilities import Probabilities, unpack_probabilities

RESULTS = Path(__file__).parent / "results" / "advice-cpu.csv"
WORK = Path(".advice")
COLUMNS = (*REQUIRED, *OPTIONAL)
# Number of trainings that run side by side.
WORKERS = 2


class Curves(Clock):
    """A clock that also keeps the epochs of every network."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, list[EpochRecord]] = {}

    def epoch(self, record: EpochRecord) -> None:
        self.records.setdefault(record.network, []).append(record)

    def predicted(self, plan: TrainingPlan) -> Probabilities:
        """Return the validation probabilities of the members, shape (epochs, members, images, classes)."""
        mothers = [n.name for n in plan.networks if n.role is Role.MOTHER]
        paths = [[*mothers, member.name] for member in plan.members]
        classes = plan.dataset.task.classes
        return np.stack(
            [
                [
                    unpack_probabilities(record.validation_probabilities, classes)
                    for name in path
                    for record in self.records[name]
                ]
                for path in paths
            ],
            axis=1,
        )


def train(job: Job) -> dict[str, str]:
    """Execute a job in this process and return its row."""
    data = _data(job.facts.name)
    # The plan has two processes. This process executes it alone, with the same weights.
    plan = make_plan(
        parse_design(job.design),
        job.facts,
        epochs=job.epochs,
        batch=job.facts.batch,
        seed=job.seed,
        execution=EXECUTION,
    )
    here = replace(plan, execution=replace(EXECUTION, processes=1))
    curves = Curves()
    with tempfile.TemporaryDirectory(prefix="advice-") as folder:
        files = RunFiles(folder=Path(folder), data_root=WORK, watch=processor_watch)
        execute(here, files, data, curves, lambda: False)
        names = [m.name for m in plan.members]
        networks = {name: load_network(here, name, files.of_network(name))[0] for name in names}
        tested = member_probabilities(here, networks, data, data.test, names)
    test = Predictions(tested, data.test.labels.numpy())
    validation = Predictions(curves.predicted(plan), data.validation.labels.numpy())
    return _row(job, plan, curves, test, validation)


def _row(
    job: Job, plan: TrainingPlan, curves: Curves, test: Predictions, validation: Predictions
) -> dict[str, str]:
    """Return the row of a training.

    Args:
        job: job that was trained.
        plan: plan of the training.
        curves: recorded epochs and seconds of the training.
        test: probabilities of test images, shape (members, images, classes).
        validation: probabilities of validation images, shape (epochs, members, images, classes).
    """
    figures = ensemble_metrics(test, Predictions(validation.probabilities[-1], validation.labels))
    averages = np.cumsum(test.probabilities, axis=0)
    alone, together = (
        validation.probabilities.argmax(axis=3),
        validation.probabilities.mean(axis=1).argmax(axis=2),
    )
    facts, networks = job.facts, curves.networks
    values: dict[str, object] = {
        "dataset": facts.name,
        "shape": facts.task.text,
        "classes": facts.task.classes,
        "augmentation": facts.augmentation.value,
        "train_images": facts.train_images,
        "validation_images": facts.validation_images,
        "test_images": facts.test_images,
        "budget": job.budget,
        "class": job.kind,
        "design": job.design,
        "clusters": parse_design(job.design).clusters,
        "parameters": parse_design(job.design).parameters(facts.task),
        "epochs": job.epochs,
        "batch": plan.batch,
        "seed": job.seed,
        "error": _short(figures.error),
        "member_errors": _joined(figures.member_errors),
        "oracle_error": _short(figures.oracle_error),
        "disagreement": _short(figures.disagreement),
        "errors_by_members": _joined((averages.argmax(axis=2) != test.labels).mean(axis=1)),
        "ensemble_curve": _joined((together != validation.labels).mean(axis=1)),
        "member_curve": _joined((alone != validation.labels).mean(axis=(1, 2))),
        "network_seconds": ";".join(f"{networks[n.name]:.2f}" for n in plan.networks),
        "core_seconds": f"{sum(curves.steps.values()):.2f}",
        "makespan_seconds": f"{curves.makespan(plan):.2f}",
        "torch": version("torch"),
        "device": f"{platform.machine()} CPU, 2 cores",
        "date": datetime.now(UTC).date().isoformat(),
    }
    return {name: str(values[name]) for name in COLUMNS}


def _short(error: float) -> str:
    """Return an error with four digits after the point, which resolve one image in 10,000."""
    return f"{error:.4f}".rstrip("0").rstrip(".")


def _joined(errors: Sequence[float] | np.ndarray) -> str:
    return ";".join(_short(float(error)) for error in errors)


@lru_cache(maxsize=len(SETTINGS))
def _data(name: str) -> Data:
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


# All trainings.


def run(todo: Sequence[Job], file: Path, until: float) -> Iterator[dict[str, str]]:
    """Train what the file lacks, two trainings at a time, and add a row as each ends.

    Args:
        todo: jobs in their order.
        file: CSV file of the results.
        until: time by `time.monotonic` after which no training starts.
    """
    done = _mend(file)
    waiting = iter([job for job in todo if job.key not in done])
    running: dict[Future[dict[str, str]], Job] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, context, _follow_parent) as pool:
        while True:
            while len(running) < WORKERS and time.monotonic() < until and (job := next(waiting, None)):
                running[pool.submit(train, job)] = job
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                if future.exception() is not None:
                    print(
                        f"{job.key} failed and is tried again next time: {future.exception()!r}", flush=True
                    )
                    continue
                _add(file, future.result())
                yield future.result()


def _follow_parent() -> None:
    """End this process when its parent is killed, because only the parent writes rows."""

    def wait_for_it() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    torch.set_num_threads(1)
    threading.Thread(target=wait_for_it, daemon=True).start()


def _mend(file: Path) -> set[tuple[str, ...]]:
    """Create the file, or cut off an unfinished line, and return the keys of its rows."""
    file.parent.mkdir(parents=True, exist_ok=True)
    header = (",".join(COLUMNS) + "\n").encode()
    content = file.read_bytes() if file.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if whole and not whole.startswith(header):
        raise SystemExit(f"{file} has other columns than this script writes: move it away")
    if not whole:
        file.write_bytes(header)
    elif whole != content:
        # The file is shortened in place: a kill while it is written again would lose hours of training.
        os.truncate(file, len(whole))
    columns = ("dataset", "budget", "class", "design", "epochs", "seed")
    return {tuple(row[c] for c in columns) for row in csv.DictReader(whole.decode().splitlines())}


def _add(file: Path, row: dict[str, str]) -> None:
    with file.open("a", newline="") as opened:
        csv.DictWriter(opened, COLUMNS, lineterminator="\n").writerow(row)
        opened.flush()
        os.fsync(opened.fileno())


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
    until = time.monotonic() + 60 * given.minutes
    for row in run(todo, file, until):
        print(
            f"{row['dataset']:18} {row['budget']:>8} {row['class']:6} {row['design']:60} {row['epochs']:>3} "
            f"epochs, seed {row['seed']} {float(row['core_seconds']):7.1f} s {float(row['error']):.2%}",
            flush=True,
        )
    missing = {job.key for job in todo} - _mend(file)
    print(f"{len(todo) - len(missing)} of {len(todo)} trainings are in {file}")


if __name__ == "__main__":
    main()
