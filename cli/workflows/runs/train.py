"""`advisor train` and `advisor resume`: a plan becomes a run, whose records are stored as they come."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.plans.navigation.path import Navigation
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import RESUMABLE, Run, RunStatus, StepRecord
from cli.workflows.answers.runs.run import Run as RunAnswer
from cli.workflows.clock import WaitingClock, now
from cli.workflows.forecast.cluster.kinds import Cluster, ClusterKinds
from cli.workflows.forecast.forecasting import PlanForecast, forecast_plan
from cli.workflows.forecast.level import look_once
from cli.workflows.forecast.pace import TrainingPace
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import (
    PlannedTarget,
    planned_target,
    unmeasured_settings,
    with_data_at,
)
from cli.workflows.home import Home
from cli.workflows.kept_probes import KeptProbe, known_of, usable_probe
from cli.workflows.locks import locked, make_folder
from cli.workflows.runs.adoption import adopt, set_aside
from cli.workflows.runs.cluster.execution import OnCluster
from cli.workflows.runs.conclusion import Closing, failing, reason_of, tested
from cli.workflows.runs.description import describe_run
from cli.workflows.runs.lookup import existing_store
from cli.workflows.runs.navigation.first_stage import require_time
from cli.workflows.runs.own_data import data_of_run
from cli.workflows.runs.recording import Recorder
from cli.workflows.stopping import STOPPING, StopSignals
from cli.workflows.views import Say, TrainingEnded
from db.queries import Store
from db.session import open_store
from profiler.device import fingerprint
from profiler.memory import watch_peak
from profiler.pace import watch_pace
from trainer.data.loading import Data, load_new_data
from trainer.ensembles.description import describe, write_description
from trainer.ensembles.verify import require_plan
from trainer.events import Tell
from trainer.execution.cluster.address import ClusterAddress
from trainer.execution.execute import execute
from trainer.execution.outbox import Outbox
from trainer.run_files import RunFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Options of the execution rather than the plan.

    Attributes:
        time_limit: seconds after which training checkpoints and ends, None for none.
        download: whether a missing data set may be fetched.
        moved_to: name of the folder in which the data of a run to continue lie now; None for the same.
        take_signals: whether SIGINT, SIGTERM and SIGHUP let training checkpoint and end, as the command line
            does; only the main thread of a process can do that. Otherwise signals keep their handlers.
        price_per_hour: price of the machine in USD per hour; None for no cost in the answer.
        cluster: cluster whose nodes train; None for this machine.
        clock: clock of who waits, which has begun.
    """

    time_limit: float | None = None
    download: bool = False
    moved_to: str | None = None
    take_signals: bool = False
    price_per_hour: float | None = None
    cluster: ClusterAddress | None = None
    clock: WaitingClock = field(default_factory=WaitingClock, compare=False)

    @property
    def waiting(self) -> WaitingClock | None:
        """Clock of what is waited for beside the training; None on a cluster, where places are waited for."""
        return self.clock if self.cluster is None else None


def train(request: PlanRequest, options: TrainOptions, home: Home, say: Say) -> RunAnswer:
    """Train a new run to its end; networks that a probe trained by the same plan are not trained again.

    Args:
        request: the plan, or what it is made from.
        options: limits of the execution.
        home: home of the run.
        say: receiver of progress.

    Raises:
        AdvisorError: the training failed or was stopped; what was trained so far is kept.
    """
    signals = signals_of(options)
    target = planned_target(request, home, say)
    cluster = cluster_of(options, say)
    with open_store(home.database) as store:
        run, data = begin(target, options, store, home, say, cluster=cluster)
        executing = on_cluster(cluster)
        carry_out(run, store, home, data, signals, say, executing=executing, clock=options.waiting)
        return describe_run(store, home, run.id, options.price_per_hour)


def begin(
    target: PlannedTarget,
    options: TrainOptions,
    store: Store,
    home: Home,
    say: Say,
    navigation: Navigation | None = None,
    cluster: Cluster | None = None,
) -> tuple[Run, Data]:
    """Make a run of a plan, and load its data; networks of a probe by the same plan become those of the run.

    Args:
        target: what the request names.
        options: limits of the execution.
        store: database of the run.
        home: home of the run.
        say: receiver of progress.
        navigation: what the first stage of a path knows of it; None for a run of its own.
        cluster: cluster whose nodes will train; None for this machine.

    Raises:
        InfeasibleError: the first stage of a path does not fit into its time.
        AdvisorError: the run cannot begin.
    """
    plan = target.with_settings(store)
    nodes = None if cluster is None else cluster.kinds_to_train(plan.execution.device)
    with options.clock.paused(options.download):
        data = load_new_data(plan.dataset, home.data, download=options.download)
    if data.facts != plan.dataset:
        say(f"{plan.dataset.name}: more damaged files left out, {len(data.train)} images are trained on")
        plan = replace(plan, dataset=data.facts)
    if reason := unmeasured_settings(target, plan, store):
        say(reason)
    with options.clock.paused():
        look_once(store, plan.dataset, home, say, data)
    if (kept := usable_probe(home, plan, say)) is not None:
        # Its number of processes tells how long it took.
        plan = replace(plan, execution=kept.plan.execution)
    plan_forecast = _forecast(plan, store, nodes, say, kept)
    if navigation is not None and kept is None:
        with options.clock.paused():
            require_time(plan, plan_forecast.priced, navigation.targets, say)
    if plan_forecast.priced is None and nodes is None:
        say("no cost forecast: too little was measured on this machine yet (advisor recommend does)")
    run = store.create_run(
        created_at=now(),
        plan=plan,
        parameters=parse_design(plan.design).parameters(plan.dataset.task),
        fingerprint=fingerprint(plan.execution).digest,
        forecast=plan_forecast.forecast,
        navigation=navigation,
    )
    with failing(run, store):
        set_aside(home.run_folder(run.folder), say)
        make_folder(home.run_folder(run.folder))
        if kept is not None:
            adopt(run, kept, store, home, say)
    say(
        f"run {run.id}: {plan.design} on {plan.dataset.name}, {plan.epochs} epochs, "
        f"augmentation {plan.dataset.augmentation}"
    )
    return run, data


def _forecast(
    plan: TrainingPlan, store: Store, nodes: ClusterKinds | None, say: Say, kept: KeptProbe | None
) -> PlanForecast:
    """Return the forecast of a plan, and say what must be known of the nodes that it is for."""
    found = forecast_plan(plan, store, nodes=nodes, known=None if kept is None else known_of(kept))
    if nodes is not None and found.cluster is not None:
        for line in found.cluster.lines(plan):
            say(line)
    return found


def resume(run_id: int, options: TrainOptions, home: Home, say: Say) -> RunAnswer:
    """Continue a run from its checkpoints to its end.

    Args:
        run_id: number of the run.
        options: limits of the execution.
        home: home of the run.
        say: receiver of progress.

    Raises:
        UsageError: the run is finished or unknown.
        AdvisorError: the training failed or was stopped; what was trained so far is kept.
    """
    signals = signals_of(options)
    with existing_store(home) as store:
        run = resumable(store, run_id)
        require_plan(home.run_folder(run.folder), run.plan)
        run = replace(run, plan=with_data_at(run.plan, options.moved_to))
        with options.clock.paused(options.download):
            data = data_of_run(run, home, download=options.download)
        say(f"resuming run {run.id}: {run.plan.design} on {run.plan.dataset.name}")
        executing = on_cluster(cluster_of(options, say))
        carry_out(run, store, home, data, signals, say, executing=executing, clock=options.waiting)
        return describe_run(store, home, run.id, options.price_per_hour)


def signals_of(options: TrainOptions) -> StopSignals:
    """Return the signals that stop a training; the time limit begins now.

    Raises:
        UsageError: the limit is not positive.
    """
    handled = STOPPING if options.take_signals else ()
    if options.time_limit is None:
        return StopSignals(None, handled)
    if options.time_limit <= 0:
        raise UsageError(f"--time-limit must be positive, got {options.time_limit:g} s")
    return StopSignals(time.monotonic() + options.time_limit, handled)


# What is measured after the training of a run, and what then stores how it ended.
Measure = Callable[[Run, RunFiles, Data, dict[str, StepRecord], StopSignals], Closing]
# Executes the steps of a plan that have not ended, and returns the records of those that ended by their ids.
Execute = Callable[[TrainingPlan, RunFiles, Data, Tell, Callable[[], bool]], dict[str, StepRecord]]


def cluster_of(options: TrainOptions, say: Say) -> Cluster | None:
    """Return the cluster whose nodes train; None for this machine."""
    return None if options.cluster is None else Cluster(options.cluster, say)


def on_cluster(cluster: Cluster | None) -> OnCluster | None:
    """Return what executes steps on the nodes of a cluster; None for no cluster."""
    return None if cluster is None else OnCluster(cluster)


def carry_out(
    run: Run,
    store: Store,
    home: Home,
    data: Data,
    signals: StopSignals,
    say: Say,
    measure: Measure = tested,
    executing: Execute | OnCluster | None = None,
    clock: WaitingClock | None = None,
) -> None:
    """Execute the remaining steps of a run, whose folder is locked meanwhile.

    Args:
        run: the run; its plan has the data folder where it lies now.
        store: database of the run.
        home: home of the run.
        data: data set of the plan.
        signals: reasons to stop, polled while training.
        say: receiver of progress.
        measure: what is measured after the training: by default the figures on the test images.
        executing: what executes the steps; None for as many processes as the plan has.
        clock: clock of who waits for the run; None where nobody does.

    Raises:
        AdvisorError: the training failed or was stopped; what was trained so far is kept.
        KeyboardInterrupt: Ctrl-C while `signals` do not handle it; the run is marked as interrupted.
    """
    folder = home.run_folder(run.folder)
    with locked(folder, f"run {run.id}"), signals.listening():
        # Another process may have ended or deleted it while this one waited for the lock.
        run = replace(resumable(store, run.id), plan=run.plan)
        files = RunFiles(folder=folder, data_root=home.data, watch=watch_peak, pace=watch_pace)
        # Nodes of a cluster have a pace of their own.
        pace = TrainingPace.of(run.plan, store, say) if executing is None else None
        recorder = Recorder(store, run, Outbox(folder, run.plan), say, signals, pace, clock)
        try:
            write_description(folder, describe(run.plan, data))
            recorder.begin()
            store.set_validation_classes(run.id, data.validation.labels.numpy())
            own = executing.of_run(run, store) if isinstance(executing, OnCluster) else executing
            ended = _executed(own or execute, run.plan, files, data, recorder, signals)
            close = measure(run, files, data, ended, signals)
        except KeyboardInterrupt:
            # Work since the last epoch may have no checkpoint. Its time is left out, as after a kill.
            recorder.mark(RunStatus.INTERRUPTED, signal.SIGINT.name)
            raise
        except Exception as error:
            recorder.mark(RunStatus.FAILED, reason_of(error))
            raise
        close(recorder)


def _executed(
    executing: Execute,
    plan: TrainingPlan,
    files: RunFiles,
    data: Data,
    recorder: Recorder,
    signals: StopSignals,
) -> dict[str, StepRecord]:
    """Return the record of every step that ended, by its id."""
    try:
        ended = executing(plan, files, data, recorder, signals)
        if len(ended) < len(plan.steps):
            recorder.stop_clock()
        return ended
    finally:
        recorder.say(TrainingEnded())


def resumable(store: Store, run_id: int) -> Run:
    """Return a run that can go on.

    Raises:
        UsageError: the run is finished or unknown.
    """
    run = store.run(run_id)
    if run.status not in RESUMABLE:
        raise UsageError(f"run {run_id} is {run.status.value}: there is nothing to resume")
    return run
