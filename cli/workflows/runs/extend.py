"""`advisor extend`: a trained MotherNets ensemble grows by members or by a cluster, as a new run.

The new run's plan holds the steps of the old one, and its folder begins with the old checkpoints, by which
finished steps are recognised: nothing of them is trained again.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.designs.design import parse_design
from advisor.errors import StorageError, UsageError
from advisor.plans.extension import with_cluster, with_members
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Run, RunStatus
from cli.workflows.forecast.forecasting import forecast_plan
from cli.workflows.home import Home, now
from cli.workflows.runs.queries import existing_store, stored_run
from cli.workflows.runs.train import TrainOptions, carry_out, signals_of
from cli.workflows.views import Say
from db.queries import Store
from profiler.device import fingerprint
from trainer.data.loading import load_data
from trainer.run_files import NETWORKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """What to add to a run: one of the two, as a design."""

    members: str | None = None
    cluster: str | None = None


def extend(run_id: int, extension: Extension, options: TrainOptions, home: Home, say: Say) -> dict[str, Any]:
    """Train what an extended ensemble adds to a finished run and return the new run as plain JSON.

    Raises:
        UsageError: the run is not finished or no MotherNets ensemble, or what is added does not fit it.
        AdvisorError: as training.
    """
    signals = signals_of(options)
    with existing_store(home) as store:
        old = stored_run(store, home, run_id)
        plan = _extended(old, extension)
        data = load_data(plan.dataset, home.data, download=options.download)
        done = frozenset(step.id for step in old.plan.steps)
        run = store.create_run(
            created_at=now(),
            plan=plan,
            parameters=parse_design(plan.design).parameters(plan.dataset.task),
            fingerprint=fingerprint(plan.execution).digest,
            forecast=forecast_plan(plan, store, done).forecast,
        )
        _adopt(store, home, old, run)
        say(f"run {run.id}: {plan.design} on {plan.dataset.name}, extends run {old.id}")
        return carry_out(run, store, home, data, signals, say)


def _extended(old: Run, extension: Extension) -> TrainingPlan:
    if old.status is not RunStatus.DONE:
        raise UsageError(f"run {old.id} is {old.status.value}: run `advisor resume {old.id}` first")
    if (extension.members is None) == (extension.cluster is None):
        raise UsageError("give either --add-members or --add-cluster, with a design of what to add")
    added = parse_design(str(extension.members or extension.cluster))
    if not added.independent:
        raise UsageError(f"{added.name}: leave out @g{added.clusters}, which the option decides")
    grow = with_cluster if extension.members is None else with_members
    return grow(old.plan, added.members)


def _adopt(store: Store, home: Home, old: Run, run: Run) -> None:
    """Let the new run begin with the checkpoints of the old one."""
    source, target = (home.run_folder(r.folder) / NETWORKS for r in (old, run))
    try:
        shutil.copytree(source, target, copy_function=_link_or_copy)
    except (OSError, shutil.Error) as error:
        message = f"cannot copy the checkpoints of run {old.id} to {target}: {error}"
        store.update_run(run.id, status=RunStatus.FAILED, train_seconds=0.0, message=message)
        raise StorageError(message) from None


def _link_or_copy(source: str, target: str) -> None:
    """Checkpoints are replaced, never changed, so that two runs may share their files."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, Path(target))
