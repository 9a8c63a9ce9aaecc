"""`advisor extend`: a trained MotherNets ensemble grows by members or by a cluster, as a new run.

The new run's plan begins with the steps of the old one, and its folder with the old checkpoints. The trainer
recognises finished steps by their checkpoints, so none of them is trained again.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from advisor.designs.design import parse_design
from advisor.errors import StorageError, UsageError
from advisor.plans.extension import kept_steps, with_cluster, with_members
from advisor.plans.navigation.path import Navigation
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Forecast, Run, RunStatus
from cli.workflows.answers.runs.run import Run as RunAnswer
from cli.workflows.clock import now
from cli.workflows.forecast.cluster.kinds import Cluster
from cli.workflows.forecast.convergence import with_learned_epochs
from cli.workflows.forecast.forecasting import forecast_plan
from cli.workflows.forecast.level import look_once
from cli.workflows.forecast.planning import with_data_at
from cli.workflows.home import Home
from cli.workflows.runs.conclusion import failing, reason_of
from cli.workflows.runs.description import describe_run
from cli.workflows.runs.lookup import existing_store, stored_run
from cli.workflows.runs.own_data import data_of_run
from cli.workflows.runs.train import TrainOptions, carry_out, cluster_of, on_cluster, signals_of
from cli.workflows.views import Say
from db.queries import Store
from profiler.device import fingerprint
from trainer.ensembles.verify import require_plan
from trainer.run_files import NETWORKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """What a run is extended by: exactly one of the two.

    Attributes:
        members: design of members that are hatched from the mother networks that exist.
        cluster: design of a further cluster, for which a mother network is trained.
    """

    members: str | None = None
    cluster: str | None = None


def extend(run_id: int, extension: Extension, options: TrainOptions, home: Home, say: Say) -> RunAnswer:
    """Extend a finished run: a new run trains only the added members.

    Args:
        run_id: number of the finished run.
        extension: members or cluster to add.
        options: limits of the execution.
        home: home of the run.
        say: receiver of progress.

    Raises:
        UsageError: the run is not finished, is not a MotherNets ensemble, or the extension does not fit it.
        AdvisorError: the training failed or was stopped; what was trained so far is kept.
    """
    signals = signals_of(options)
    with existing_store(home) as store:
        old = stored_run(store, home, run_id)
        plan = with_data_at(_extended(old, extension, store), options.moved_to)
        require_plan(home.run_folder(old.folder), old.plan)
        with options.clock.paused(options.download):
            data = data_of_run(replace(old, plan=plan), home, download=options.download)
        with options.clock.paused():
            look_once(store, plan.dataset, home, say, data)
        cluster = cluster_of(options, say)
        run = extended_run(old, plan, forecast_of_added(plan, old, store, cluster), store, home)
        say(f"run {run.id}: {plan.design} on {plan.dataset.name}, extends run {old.id}")
        executing = on_cluster(cluster)
        carry_out(run, store, home, data, signals, say, executing=executing, clock=options.waiting)
        return describe_run(store, home, run.id, options.price_per_hour)


def extended_run(
    old: Run,
    plan: TrainingPlan,
    forecast: Forecast,
    store: Store,
    home: Home,
    navigation: Navigation | None = None,
) -> Run:
    """Make a run that begins with what another one has trained.

    Args:
        old: run that it extends.
        plan: its plan; steps that the plan of the old run has too are not executed again.
        forecast: forecast of what is added.
        store: database of both.
        home: home of both.
        navigation: what a stage of a path knows of it; None for a run of its own.

    Raises:
        StorageError: the database or the disk refuses.
    """
    run = store.create_run(
        created_at=now(),
        plan=plan,
        parameters=parse_design(plan.design).parameters(plan.dataset.task),
        fingerprint=fingerprint(plan.execution).digest,
        forecast=forecast,
        navigation=navigation,
    )
    with failing(run, store):
        adopt_kept(store, home, old, run)
    return run


def _extended(old: Run, extension: Extension, store: Store) -> TrainingPlan:
    if old.status is not RunStatus.DONE:
        raise UsageError(f"run {old.id} is {old.status.value}: run `advisor resume {old.id}` first")
    if (extension.members is None) == (extension.cluster is None):
        raise UsageError("give either --add-members or --add-cluster, with a design of what to add")
    added = parse_design(str(extension.members or extension.cluster))
    if not added.independent:
        raise UsageError(f"{added.name}: leave out @g{added.clusters}, which the option decides")
    grow = with_cluster if extension.members is None else with_members
    plan = grow(old.plan, added.members)
    return with_learned_epochs(plan, store, {step.id for step in old.plan.steps})


def forecast_of_added(plan: TrainingPlan, old: Run, store: Store, cluster: Cluster | None = None) -> Forecast:
    """Return the forecast of what is added; steps of the old run keep the one that they had.

    Args:
        plan: plan of the extended run.
        old: run that it extends.
        store: database with measurements and trainings.
        cluster: cluster whose nodes train it; None for this machine.
    """
    done = kept_steps(old.plan, plan)
    nodes = None if cluster is None else cluster.kinds_to_train(plan.execution.device)
    forecast = forecast_plan(plan, store, done, nodes).forecast
    kept = tuple(s for s in old.forecast.steps if s.step in done) if old.forecast else ()
    return replace(forecast, steps=(*kept, *(s for s in forecast.steps if s.step not in done)))


def adopt_kept(store: Store, home: Home, old: Run, run: Run) -> None:
    """Give a run the checkpoints of the steps that it has in common with an old one, and their records.

    Records of epochs stay with the old run: they are evidence, and evidence counts once. An adoption that was
    cut short can be repeated.

    Raises:
        StorageError: the operating system refuses.
    """
    kept = kept_steps(old.plan, run.plan)
    source, target = (home.run_folder(r.folder) / NETWORKS for r in (old, run))
    try:
        for name in dict.fromkeys(step.network for step in run.plan.steps if step.id in kept):
            shutil.copytree(source / name, target / name, copy_function=_link_or_copy, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise StorageError(
            f"cannot copy the checkpoints of run {old.id} to {target}: {reason_of(error)}"
        ) from None
    for record in store.steps(old.id):
        if record.step in kept:
            store.record_step(run.id, record)


def _link_or_copy(source: str, target: str) -> None:
    """Link a checkpoint: checkpoints are replaced, never changed, so two runs may share their files."""
    try:
        os.link(source, target)
    except FileExistsError:
        # An adoption that was cut short has left it.
        return
    except OSError:
        shutil.copy2(source, Path(target))
