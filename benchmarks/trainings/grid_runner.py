"""Trainings of a grid, two at a time, each a row of a CSV file that any call continues.

A row is written when its training ends. A line that was cut short by a kill is removed, and its training is
repeated. Columns are those that `advisor db import` reads, and those that a grid adds:

- `class`: single, deq, weq, mixed, or another word of the grid.
- `budget`: most parameters of a design.
- `error`, `member_errors`, `oracle_error`, `disagreement`: figures on the test images, shares.
- `errors_by_members`: test errors of the averages of the first one, two, … members.
- `ensemble_curve`, `member_curve`: validation errors of the average and of the mean member after every epoch.
  Hatched members begin as their mother, so their curves begin with the epochs of the mother.
- `network_seconds`: processor time of each network in the order of the plan, mothers first.
- `core_seconds`: processor time of the whole training.
- `makespan_seconds`: time of the plan on two otherwise idle cores.

Two trainings run side by side, each in one thread. A plan of one process gives the same weights as a plan of
two. It starts no processes of its own, and leaves no core idle while a single network trains.

On a GPU the members of an ensemble take turns on streams, by replayed graphs. These trainings have the first
weights, batches and augmentation of those on a CPU, and other roundings. Their seconds are 0: nothing is
compared in seconds with them. Processes take turns on a GPU unless CUDA's Multi-Process Service runs.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from processor_time import EXECUTION, Clock, processor_watch

from advisor.accuracy.sources.reported import OPTIONAL, REQUIRED
from advisor.designs.design import parse_design
from advisor.plans.dataset import DatasetFacts
from advisor.plans.draft import PlanOptions
from advisor.plans.execution import GRAPH, Execution
from advisor.plans.methods import make_plan
from advisor.plans.plan import Role, TrainingPlan
from advisor.plans.recipes.table import RECIPES
from advisor.plans.records import EpochRecord
from trainer.data.loading import Data
from trainer.ensembles.evaluate import member_probabilities
from trainer.ensembles.metrics import Predictions, ensemble_metrics
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.loop import load_network
from trainer.training.stored_probabilities import Probabilities, unpack_probabilities

COLUMNS = (*REQUIRED, *OPTIONAL)
# Number of trainings that run side by side.
WORKERS = 2
ON_GPU = replace(EXECUTION, device="cuda", step_mode=GRAPH)
# Most members that train at the same time on a GPU.
MOST_STREAMS = 8
# Columns that tell a training from all others, as far as a file has them.
KEY = ("dataset", "budget", "class", "design", "epochs", "seed", "weight_decay")
Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training.

    Attributes:
        dataset: name of the data set in the file.
        facts: facts of the data set.
        budget: most parameters of a design.
        kind: single, deq, weq, mixed, or another word of the grid.
        design: short name of the design.
        epochs: epochs of a network trained from scratch.
        seed: random seed of the training.
        weight_decay: multiple of the recipe's weight decay.
    """

    dataset: str
    facts: DatasetFacts
    budget: int
    kind: str
    design: str
    epochs: int
    seed: int
    weight_decay: int = 1

    @property
    def key(self) -> Row:
        """Cells that tell the training from all others; a design may be both deq and weq."""
        return {
            "dataset": self.dataset,
            "budget": str(self.budget),
            "class": self.kind,
            "design": self.design,
            "epochs": str(self.epochs),
            "seed": str(self.seed),
            "weight_decay": str(self.weight_decay),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A file of trainings.

    Attributes:
        file: CSV file of the results.
        columns: columns of the file.
        jobs: the trainings in their order, given the rows that the file has.
        data: images of a job's data set; a function of a module, which worker processes import.
        keys: columns that tell a training from all others, as far as the file has them.
        train: what trains a job and returns its row, None if it was stopped before its end; a function of a
            module.
    """

    file: Path
    columns: tuple[str, ...]
    jobs: Callable[[Sequence[Row]], list[Job]]
    data: Callable[[Job], Data]
    keys: tuple[str, ...] = KEY
    train: Callable[[Job, Callable[[Job], Data]], Row | None] = field(default_factory=lambda: train)

    def missing(self, rows: Sequence[Row]) -> list[Job]:
        """Return the jobs that no row has the training of."""
        names = [name for name in self.keys if name in self.columns]
        done = {tuple(row[name] for name in names) for row in rows}
        return [job for job in self.jobs(rows) if tuple(job.key[name] for name in names) not in done]


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


def train(job: Job, data_of: Callable[[Job], Data], execution: Execution = EXECUTION) -> Row:
    """Execute a job in this process and return its row, with every column that a grid may have.

    Args:
        job: training.
        data_of: images of a job.
        execution: `EXECUTION` or `ON_GPU`.
    """
    data, design = data_of(job).to(execution.device), parse_design(job.design)
    decay = RECIPES[design.families[0]].weight_decay * job.weight_decay
    # The plan has two processes. This process executes it alone, with the same weights.
    plan = make_plan(
        design,
        data.facts,
        epochs=job.epochs,
        batch=job.facts.batch,
        seed=job.seed,
        execution=EXECUTION,
        options=PlanOptions(weight_decay=decay) if job.weight_decay != 1 else None,
    )
    here = replace(plan, execution=alone(execution, len(design.members)))
    curves, watch = Curves(), processor_watch if execution.device == "cpu" else unwatched
    with tempfile.TemporaryDirectory(prefix="grid-") as folder:
        files = RunFiles(folder=Path(folder), data_root=Path(folder), watch=watch)
        execute(here, files, data, curves, lambda: False)
        names = [m.name for m in plan.members]
        networks = {name: load_network(here, name, files.of_network(name))[0] for name in names}
        tested = member_probabilities(here, networks, data, data.test, names)
    test = Predictions(tested, data.test.labels.cpu().numpy())
    validation = Predictions(curves.predicted(plan), data.validation.labels.cpu().numpy())
    return _row(job, here, curves, test, validation)


def alone(execution: Execution, members: int) -> Execution:
    """Return the execution of a plan in this process: on a GPU members take turns."""
    at_once = 1 if execution.device == "cpu" else min(members, MOST_STREAMS)
    return replace(execution, processes=at_once, streams=at_once)


def unwatched(device: str) -> Callable[[], int | None]:
    """Watch nothing."""
    return lambda: None


def _row(job: Job, plan: TrainingPlan, curves: Curves, test: Predictions, validation: Predictions) -> Row:
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
    facts, networks, design = job.facts, curves.networks, parse_design(job.design)
    alone_nll = -np.log(np.maximum(test.likelihoods, np.finfo(np.float32).tiny)).mean(axis=1)
    values: dict[str, object] = job.key | {
        "shape": facts.task.text,
        "classes": facts.task.classes,
        "augmentation": facts.augmentation.value,
        "train_images": facts.train_images,
        "validation_images": facts.validation_images,
        "test_images": facts.test_images,
        "clusters": design.clusters,
        "parameters": design.parameters(facts.task),
        "batch": plan.batch,
        "error": _short(figures.error),
        "member_errors": _joined(figures.member_errors),
        "oracle_error": _short(figures.oracle_error),
        "disagreement": _short(figures.disagreement),
        "errors_by_members": _joined((averages.argmax(axis=2) != test.labels).mean(axis=1)),
        "ensemble_curve": _joined((together != validation.labels).mean(axis=1)),
        "member_curve": _joined((alone != validation.labels).mean(axis=(1, 2))),
        "network_seconds": ";".join(f"{networks[n.name]:.2f}" for n in plan.networks),
        "core_seconds": f"{sum(curves.steps.values()):.2f}",
        "makespan_seconds": f"{curves.makespan(replace(plan, execution=EXECUTION)):.2f}",
        "torch": version("torch"),
        "device": torch.cuda.get_device_name()
        if plan.execution.device == "cuda"
        else f"{platform.machine()} CPU, 2 cores",
        "date": datetime.now(UTC).date().isoformat(),
        "nll": _short(figures.nll),
        "calibration_error": _short(figures.calibration_error),
        "member_nlls": _joined(alone_nll),
    }
    return {name: str(value) for name, value in values.items()}


def _short(error: float) -> str:
    """Return an error with four digits after the point, which resolve one image in 10,000."""
    return f"{error:.4f}".rstrip("0").rstrip(".")


def _joined(errors: Sequence[float] | np.ndarray) -> str:
    return ";".join(_short(float(error)) for error in errors)


# All trainings.


def run(grid: Grid, until: float, workers: int = WORKERS) -> Iterator[Row]:
    """Train what the file of a grid lacks, some trainings at a time, and add a row as each ends.

    Args:
        grid: the grid.
        until: time by `time.monotonic` after which no training starts.
        workers: number of trainings that run side by side.
    """
    rows, begun = mended_rows(grid), set[Job]()
    running: dict[Future[Row | None], Job] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _follow_parent) as pool:
        while True:
            # Rows decide on later jobs, so the order is asked for anew.
            waiting = iter([job for job in grid.missing(rows) if job not in begun])
            while len(running) < workers and time.monotonic() < until and (job := next(waiting, None)):
                begun.add(job)
                running[pool.submit(grid.train, job, grid.data)] = job
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                if future.exception() is not None:
                    print(
                        f"{job.key} failed and is tried again next time: {future.exception()!r}", flush=True
                    )
                    continue
                if (found := future.result()) is None:
                    continue
                row = {name: found[name] for name in grid.columns}
                _add(grid, row)
                rows.append(row)
                yield row


def _follow_parent() -> None:
    """End this process when its parent is killed, because only the parent writes rows."""

    def wait_for_it() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    torch.set_num_threads(1)
    threading.Thread(target=wait_for_it, daemon=True).start()


def mended_rows(grid: Grid) -> list[Row]:
    """Create the file of a grid, or cut off an unfinished line, and return its rows."""
    file = grid.file
    file.parent.mkdir(parents=True, exist_ok=True)
    header = (",".join(grid.columns) + "\n").encode()
    content = file.read_bytes() if file.exists() else b""
    whole = _whole_lines(content)
    if whole and not whole.startswith(header):
        raise SystemExit(f"{file} has other columns than this script writes: move it away")
    if not whole:
        file.write_bytes(header)
    elif whole != content:
        # The file is shortened in place: a kill while it is written again would lose hours of training.
        os.truncate(file, len(whole))
    return read_rows(file)


def read_rows(file: Path) -> list[Row]:
    """Return the rows of a file without an unfinished line; none if there is no file."""
    content = _whole_lines(file.read_bytes()) if file.exists() else b""
    return list(csv.DictReader(content.decode().splitlines()))


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _add(grid: Grid, row: Row) -> None:
    with grid.file.open("a", newline="") as opened:
        csv.DictWriter(opened, grid.columns, lineterminator="\n").writerow(row)
        opened.flush()
        os.fsync(opened.fileno())


def train_all(grid: Grid, minutes: float, workers: int = WORKERS) -> None:
    """Train what a grid lacks, and print a line for each training.

    Args:
        grid: the grid.
        minutes: minutes after which no training starts.
        workers: number of trainings that run side by side.
    """
    for row in run(grid, time.monotonic() + 60 * minutes, workers):
        print(
            f"{row['dataset']:24} {row['budget']:>8} {row['class']:6} {row['design']:60} {row['epochs']:>3} "
            f"epochs, weight decay × {row.get('weight_decay', 1)}, seed {row['seed']} "
            f"{float(row['core_seconds']):7.1f} s {float(row['error']):.2%}",
            flush=True,
        )
    rows = mended_rows(grid)
    print(f"{len(rows)} trainings are in {grid.file}, {len(grid.missing(rows))} are missing")
