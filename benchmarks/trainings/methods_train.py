"""One training of the benchmark of methods: a plan to convergence, executed so that any kill is survived.

A training under way has a folder with its plan, the program's own checkpoints, and the processor seconds so
far. Executing the plan again continues from the last checkpoint, so a kill costs at most an epoch of each
network that trains. The folder is removed once the row of the training is in the file (`methods.py`).

Columns, beside those that tell a training from all others:

- `networks`, `kinds`: names of the plan's networks, and what decides their epochs (mother, member, bagged,
  hatched, distilled; a teacher is a member).
- `epochs`, `most_epochs`: epochs that each network took, and the most that it could have taken.
- `predicted`: mean, low and high of the epochs of each network, forecast before the training from the rows
  that the file had then. `prior`: the same without any row. Cycles of snapshots have no forecast.
- `network_seconds`: processor seconds of each network, hatching included.
- Trainings on a GPU have 0 seconds (`methods_seconds.py`).
- `seconds`: processor time from the first step to the last on two idle cores, as the plan schedules the steps.
- `core_seconds`: sum of all steps. `wall_seconds`: the same by the clock on the wall, other programs included.
- `validation_error`, `error`: of the average of the members. `member_errors`, `oracle_error`, `disagreement`:
  on the test images. `errors_by_members`: test errors of the averages of the first one, two, … members.
"""  # noqa: E501

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from grid2_sets import data_named
from grid_runner import Row, alone, read_rows, unwatched
from methods_ensembles import CHAIN, SNAPSHOTS
from methods_epochs import evidence, with_forecast
from methods_grid import KEYS, Job
from processor_time import EXECUTION, EpochClock, makespan

from advisor.designs.design import Design, homogeneous, parse_design
from advisor.files import write_whole
from advisor.plans.convergence.expectation import converging_epochs
from advisor.plans.convergence.kinds import kind_of, train_steps
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan, mean_network
from advisor.plans.plan import TrainingPlan, TrainStep, plan_from_json, plan_to_json
from advisor.plans.recipes.choice import usual_batch
from profiler.device import processor_and_cores
from trainer.data.loading import Data
from trainer.ensembles.evaluate import member_probabilities
from trainer.ensembles.metrics import Predictions, ensemble_metrics
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.loop import load_network

COLUMNS = (
    *KEYS, "dataset", "shape", "train_images", "validation_images", "test_images", "augmentation", "family",
    "design", "clusters", "parameters", "batch", "plan_epochs", "patience", "networks", "kinds", "epochs",
    "most_epochs", "predicted", "prior", "network_seconds", "seconds", "core_seconds", "wall_seconds",
    "validation_error", "error", "member_errors", "errors_by_members", "oracle_error", "disagreement",
    "device", "python", "torch", "numpy", "date",
)  # fmt: skip


# Columns of times, 0 on a GPU.
COSTS = ("network_seconds", "seconds", "core_seconds")


# Plans.


def plan_of(job: Job, facts: DatasetFacts) -> TrainingPlan:
    """Return the plan of a job, by the options of the program; its epochs are expected without any row.

    Args:
        job: training.
        facts: facts of its data set.
    """
    members = job.scenario.members
    design, method = Design(members=members, clusters=len(members)), None
    if job.method.startswith("mothernets g"):
        design = replace(design, clusters=int(job.method.removeprefix("mothernets g")))
    elif job.method in SNAPSHOTS:
        method = Method.SNAPSHOT
        count = job.scenario.chain if job.method == CHAIN else len(members)
        design = homogeneous(mean_network(members, facts.task), count)
    else:
        method = Method(job.method)
    return make_plan(
        design,
        facts,
        epochs=job.epochs,
        batch=usual_batch((job.scenario.family,), facts, job.recipe),
        seed=job.seed,
        execution=EXECUTION,
        options=PlanOptions(method=method, recipe=job.recipe, patience=job.patience),
    )


# Training.


@lru_cache(maxsize=4)
def _data(name: str) -> Data:
    return data_named(name)


def data_of(job: Job) -> Data:
    """Return the images of a job."""
    return _data(job.scenario.dataset)


def train(
    job: Job,
    data_of: Callable[[Job], Data],
    execution: Execution = EXECUTION,
    *,
    work: Path,
    known_from: Path,
    until: float,
) -> Row | None:
    """Train a job from where it stopped, and return its row; None if it was stopped before its end.

    Args:
        job: training.
        data_of: images of a job.
        execution: `EXECUTION` or `ON_GPU`.
        work: folder of the trainings under way.
        known_from: file of the finished trainings, which the forecast learns from.
        until: time by `time.monotonic` at which the training is stopped, in the middle of an epoch.
    """
    data, folder = data_of(job).to(execution.device), work / job.name
    folder.mkdir(parents=True, exist_ok=True)
    kept, prior = folder / "plan.json", plan_of(job, data.facts)
    if not kept.exists():
        known = evidence(read_rows(known_from))
        write_whole(kept, plan_to_json(with_forecast(prior, known)).encode())
    plan = plan_from_json(kept.read_text())
    # The plan has two processes. This process executes it alone, with the same weights.
    here = replace(plan, execution=alone(execution, len(plan.members)))
    clock = EpochClock(folder / "seconds.jsonl")
    files = RunFiles(folder=folder, data_root=folder, watch=unwatched)
    ended = execute(here, files, data, clock, lambda: time.monotonic() >= until)
    if len(ended) < len(here.steps):
        return None
    return row_of(job, here, prior, clock, files, data)


def row_of(
    job: Job, plan: TrainingPlan, prior: TrainingPlan, clock: EpochClock, files: RunFiles, data: Data
) -> Row:
    """Return the row of a training that has come to its end.

    Args:
        job: training.
        plan: its plan, with the forecast that was made before it.
        prior: its plan, with the forecast of the prior.
        clock: processor and wall-clock seconds.
        files: folder of the checkpoints.
        data: images.
    """
    names = [m.name for m in plan.members]
    loaded = {step.network: load_network(plan, step.network, files.of_network(step.network))
              for step in train_steps(plan)}  # fmt: skip
    networks = {name: loaded[name][0] for name in plan.asked}
    test, validation = (
        Predictions(member_probabilities(plan, networks, data, split, names), split.labels.cpu().numpy())
        for split in (data.test, data.validation)
    )
    values = _settings(job, plan)
    values |= _epochs(
        plan, prior, {name: len(progress.train_errors) for name, (_, progress) in loaded.items()}
    )
    on_cpu = plan.execution.device == "cpu"
    values |= _costs(plan, clock) if on_cpu else dict.fromkeys((*COSTS, "wall_seconds"), 0)
    values |= _errors(test, validation)
    values |= {
        "device": processor_and_cores() if on_cpu else torch.cuda.get_device_name(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "date": datetime.now(UTC).date().isoformat(),
    }
    return {name: str(values[name]) for name in COLUMNS}


def _settings(job: Job, plan: TrainingPlan) -> dict[str, object]:
    facts, design = plan.dataset, parse_design(plan.design)
    return {
        **job.key,
        "dataset": facts.name,
        "shape": facts.task.text,
        "train_images": facts.train_images,
        "validation_images": facts.validation_images,
        "test_images": facts.test_images,
        "augmentation": facts.augmentation.value,
        "family": job.scenario.family,
        "design": plan.design,
        "clusters": design.clusters,
        "parameters": design.parameters(facts.task),
        "batch": plan.batch,
        "plan_epochs": plan.epochs,
        "patience": "" if job.patience is None else job.patience,
    }


def _epochs(plan: TrainingPlan, prior: TrainingPlan, took: dict[str, int]) -> dict[str, object]:
    steps = list(train_steps(plan))
    return {
        "networks": ";".join(step.network for step in steps),
        "kinds": ";".join(kind_of(plan, step) for step in steps),
        "epochs": ";".join(str(took[step.network]) for step in steps),
        "most_epochs": ";".join(str(step.schedule.epochs) for step in steps),
        "predicted": forecasts(plan),
        "prior": forecasts(prior),
    }


def forecasts(plan: TrainingPlan) -> str:
    """Return mean, low and high of the epochs of every network, as in the column `predicted`."""
    return ";".join(map(_forecast, train_steps(plan)))


def _forecast(step: TrainStep) -> str:
    """Return mean, low and high of the epochs of a step; nothing for a cycle."""
    found = converging_epochs(step.schedule)
    return "" if found is None else f"{found.mean:g}/{found.low:g}/{found.high:g}"


def _costs(plan: TrainingPlan, clock: EpochClock) -> dict[str, str]:
    # Hatching costs next to nothing and counts as training of its network.
    steps = {
        step.id: clock.seconds(step.network) if isinstance(step, TrainStep) else 0.0 for step in plan.steps
    }
    return {**costs_of(plan, steps), "wall_seconds": f"{sum(clock.wall.values()):.2f}"}


def costs_of(plan: TrainingPlan, steps: Mapping[str, float]) -> dict[str, str]:
    """Return the columns `COSTS`.

    Args:
        plan: plan of the training.
        steps: processor seconds of every step, by its id.
    """
    return {
        "network_seconds": ";".join(f"{steps[step.id]:.2f}" for step in train_steps(plan)),
        "seconds": f"{makespan(replace(plan, execution=EXECUTION), steps):.2f}",
        "core_seconds": f"{sum(steps.values()):.2f}",
    }


def _errors(test: Predictions, validation: Predictions) -> dict[str, object]:
    figures = ensemble_metrics(test, validation)
    averages = np.cumsum(test.probabilities, axis=0, dtype=np.float64)
    by_members = (averages.argmax(axis=2) != test.labels).mean(axis=1)
    wrong = validation.probabilities.mean(axis=0, dtype=np.float64).argmax(axis=1) != validation.labels
    return {
        "validation_error": _short(wrong.mean()),
        "error": _short(figures.error),
        "member_errors": ";".join(map(_short, figures.member_errors)),
        "errors_by_members": ";".join(map(_short, by_members)),
        "oracle_error": _short(figures.oracle_error),
        "disagreement": _short(figures.disagreement),
    }


def _short(share: float) -> str:
    """Return a share with five digits after the point."""
    return f"{share:.5f}".rstrip("0").rstrip(".")
