"""`advisor train` and `advisor resume`: a plan becomes a run, its records go to the database as they come."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from advisor.designs.design import parse_design
from advisor.errors import (
    DeadlineError,
    InterruptedRunError,
    PartialRunError,
    RunError,
    StorageError,
    UsageError,
)
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import RESUMABLE, EpochRecord, Run, RunStatus, StepRecord
from cli.workflows.forecast.forecasting import forecast_plan
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home, locked, now
from cli.workflows.runs.queries import describe_run, existing_store
from cli.workflows.stopping import StopSignals
from cli.workflows.views import Say, TrainingView
from db.queries import Store
from db.session import open_store
from profiler.device import fingerprint
from profiler.memory import watch_peak
from trainer.data.loading import Data, load_data
from trainer.ensembles.description import describe, write_description
from trainer.ensembles.evaluate import evaluate
from trainer.execution.execute import execute
from trainer.execution.plan_step import DIVERGED, DONE
from trainer.run_files import NETWORKS, RunFiles


@dataclass
class _Recorder:
    """Listens to a run, writes it down, and keeps its clock: from the first step to the last event."""

    store: Store
    run: Run
    view: TrainingView
    say: Say
    began: float | None = None
    latest: float = 0.0
    recorded: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.recorded = {s.step for s in self.store.steps(self.run.id) if s.status == DONE}

    @property
    def seconds(self) -> float:
        """Wall clock of training, earlier sittings included, starting of processes left out."""
        return self.run.train_seconds + (0.0 if self.began is None else self.latest - self.began)

    def started(self) -> None:
        """Start the clock."""
        self.began = self.latest = time.monotonic()
        # Of a run that goes on the forecast is that of all its sittings.
        forecast = None if self.run.train_seconds else self.run.forecast
        expected = forecast.train_seconds if forecast else None
        self.view.begin(self.run.plan, expected[0] if expected else None)

    def stopped(self) -> None:
        """Stop the clock: of the epochs under way there is a checkpoint."""
        if self.began is not None:
            self.latest = time.monotonic()

    def epoch(self, record: EpochRecord) -> None:
        """Store and show an epoch."""
        self.latest = time.monotonic()
        self.store.record_epoch(self.run.id, record)
        # After a kill the time of this sitting is known up to its last epoch.
        self.store.update_run(self.run.id, status=RunStatus.RUNNING, train_seconds=self.seconds)
        self.view.epoch(record)

    def step(self, record: StepRecord) -> None:
        """Store a step; one that was done in an earlier sitting keeps its figures."""
        self.latest = time.monotonic()
        if record.step not in self.recorded:
            self.store.record_step(self.run.id, record)

    def notice(self, text: str) -> None:
        """Pass a notice on."""
        self.say(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What concerns the execution rather than the plan.

    Attributes:
        time_limit: seconds after which training checkpoints and ends, None for none.
        download: whether a missing data set may be fetched.
    """

    time_limit: float | None = None
    download: bool = False


def train(
    request: PlanRequest, options: TrainOptions, home: Home, view: TrainingView, say: Say
) -> dict[str, Any]:
    """Train a new run to its end and return it as plain JSON.

    Raises:
        AdvisorError: everything that can go wrong; what was trained so far is kept.
    """
    signals = signals_of(options)
    target = planned_target(request)
    with open_store(home.database) as store:
        plan = target.with_settings(store)
        data = load_data(plan.dataset, home.data, download=options.download)
        plan_forecast = forecast_plan(plan, store)
        if plan_forecast.priced is None:
            say("no cost forecast: too little was measured on this machine yet (advisor recommend does)")
        run = store.create_run(
            created_at=now(),
            plan=plan,
            parameters=parse_design(plan.design).parameters(plan.dataset.task),
            fingerprint=fingerprint(plan.execution).digest,
            forecast=plan_forecast.forecast,
        )
        _set_aside(home.run_folder(run.folder), say)
        say(f"run {run.id}: {plan.design} on {plan.dataset.name}, {plan.epochs} epochs")
        return carry_out(run, store, home, data, signals, view, say)


def _set_aside(folder: Path, say: Say) -> None:
    """Move away what a run left that this database does not know: its checkpoints would be taken for ours.

    Raises:
        StorageError: the folder cannot be moved.
    """
    if not (folder / NETWORKS).exists():
        return
    places = (folder.with_name(f"{folder.name}.orphan-{i}") for i in count(1))
    aside = next(place for place in places if not place.exists())
    try:
        folder.rename(aside)
    except OSError as error:
        raise StorageError(
            f"cannot move {folder} of a run unknown to the database: {error.strerror}"
        ) from None
    say(f"the files of a run that this database does not know are now in {aside}")


def resume(run_id: int, options: TrainOptions, home: Home, view: TrainingView, say: Say) -> dict[str, Any]:
    """Continue a run where its checkpoints stand and return it as plain JSON.

    Raises:
        UsageError: the run is finished or unknown.
        AdvisorError: as `train`.
    """
    signals = signals_of(options)
    with existing_store(home) as store:
        run = store.run(run_id)
        if run.status not in RESUMABLE:
            raise UsageError(f"run {run_id} is {run.status.value}: there is nothing to resume")
        data = load_data(run.plan.dataset, home.data, download=options.download)
        say(f"resuming run {run.id}: {run.plan.design} on {run.plan.dataset.name}")
        return carry_out(run, store, home, data, signals, view, say)


def signals_of(options: TrainOptions) -> StopSignals:
    """Return what says when to stop; the time limit begins now.

    Raises:
        UsageError: the limit is not positive.
    """
    if options.time_limit is None:
        return StopSignals(None)
    if options.time_limit <= 0:
        raise UsageError(f"--time-limit must be positive, got {options.time_limit:g} s")
    return StopSignals(time.monotonic() + options.time_limit)


def carry_out(
    run: Run, store: Store, home: Home, data: Data, signals: StopSignals, view: TrainingView, say: Say
) -> dict[str, Any]:
    """Execute what is left of a run, alone in its folder, and return the run as plain JSON.

    Raises:
        AdvisorError: everything that can go wrong; what was trained so far is kept.
    """
    folder = home.run_folder(run.folder)
    with locked(folder, f"run {run.id}"), signals.listening():
        files = RunFiles(folder=folder, data_root=home.data, watch=watch_peak)
        write_description(folder, describe(run.plan, data))
        store.update_run(run.id, status=RunStatus.RUNNING, train_seconds=run.train_seconds)
        recorder = _Recorder(store, run, view, say)
        try:
            ended = execute(run.plan, files, data, recorder, signals)
            if len(ended) < len(run.plan.steps):
                recorder.stopped()
        except Exception as error:
            _mark_failed(store, run, error, recorder.seconds)
            raise
        finally:
            view.end()
        _conclude(run, store, files, data, ended, signals, recorder.seconds)
    return describe_run(store, home, run.id)


def _mark_failed(store: Store, run: Run, error: Exception, seconds: float) -> None:
    message = str(error).splitlines()[0] if str(error) else type(error).__name__
    try:
        store.update_run(run.id, status=RunStatus.FAILED, train_seconds=seconds, message=message)
    except StorageError:
        # The disk that stopped training stops this note too; the first error is the one to report.
        return


def _conclude(
    run: Run,
    store: Store,
    files: RunFiles,
    data: Data,
    ended: dict[str, StepRecord],
    signals: StopSignals,
    seconds: float,
) -> None:
    """Evaluate what is trained, store how the run ended, and raise if it is not done."""
    trained = {m.name: _last_record(run.plan, m.name, ended) for m in run.plan.members}
    stopped = [name for name, record in trained.items() if record is None]
    failed = [record for record in trained.values() if record is not None and record.status != DONE]
    if stopped:
        _conclude_stopped(run, store, signals, seconds)
    done = [name for name, record in trained.items() if record is not None and record.status == DONE]
    test = evaluate(run.plan, files, data, done) if done else None
    status, message = _verdict(_causes(run.plan, ended) if failed else [], done)
    store.update_run(run.id, status=status, train_seconds=seconds, message=message, test=test)
    if status is RunStatus.PARTIAL:
        raise PartialRunError(f"run {run.id}: {len(failed)} of {len(trained)} members failed: {message}")
    if status is not RunStatus.DONE:
        raise RunError(f"run {run.id} {status.value}: {message}")


def _last_record(plan: TrainingPlan, network: str, ended: dict[str, StepRecord]) -> StepRecord | None:
    return ended.get(plan.train_steps_of(network)[-1].id)


def _causes(plan: TrainingPlan, ended: dict[str, StepRecord]) -> list[StepRecord]:
    """Steps that failed by themselves, not for want of one before."""
    after = {step.id: step.after for step in plan.steps}
    return [
        record
        for name, record in ended.items()
        if record.status != DONE and all(ended[before].status == DONE for before in after[name])
    ]


def _verdict(causes: list[StepRecord], done: list[str]) -> tuple[RunStatus, str]:
    message = "; ".join(dict.fromkeys(record.message for record in causes))
    if not causes:
        return RunStatus.DONE, ""
    if done:
        return RunStatus.PARTIAL, message
    # What did not diverge can be resumed.
    diverged = all(record.status == DIVERGED for record in causes)
    return (RunStatus.DIVERGED if diverged else RunStatus.FAILED), message


def _conclude_stopped(run: Run, store: Store, signals: StopSignals, seconds: float) -> None:
    remedy = f"continue with `advisor resume {run.id}`"
    if signals.received is None:
        store.update_run(run.id, status=RunStatus.DEADLINE, train_seconds=seconds, message="time limit")
        raise DeadlineError(f"run {run.id} reached its time limit and is checkpointed: {remedy}")
    name = signal.Signals(signals.received).name
    store.update_run(run.id, status=RunStatus.INTERRUPTED, train_seconds=seconds, message=name)
    raise InterruptedRunError(
        f"run {run.id} is interrupted and checkpointed: {remedy}", exit_code=128 + signals.received
    )
