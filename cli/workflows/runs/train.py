"""`advisor train` and `advisor resume`: a plan becomes a run, whose records are stored as they come."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from advisor.designs.design import parse_design
from advisor.errors import StorageError, UsageError
from advisor.plans.records import RESUMABLE, EpochRecord, Run, RunStatus, StepRecord, StepStatus
from cli.workflows.answers.run import Run as RunAnswer
from cli.workflows.forecast.forecasting import forecast_plan
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target, unmeasured_settings
from cli.workflows.home import Home, locked, now
from cli.workflows.runs.conclusion import conclude, mark_failed, mark_interrupted
from cli.workflows.runs.description import describe_run
from cli.workflows.runs.lookup import existing_store
from cli.workflows.stopping import STOPPING, StopSignals
from cli.workflows.views import Say, TrainingBegun, TrainingEnded
from db.queries import Store
from db.session import open_store
from profiler.device import fingerprint
from profiler.memory import watch_peak
from trainer.data.loading import Data, load_data
from trainer.ensembles.description import describe, write_description
from trainer.events import Event, Notice, TrainingStarted
from trainer.execution.execute import execute
from trainer.run_files import NETWORKS, RunFiles


@dataclass
class _Recorder:
    """Stores and shows the events of a run, and measures its time from the first step to the last event."""

    store: Store
    run: Run
    say: Say
    began: float | None = None
    latest: float = 0.0
    recorded: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.recorded = {s.step for s in self.store.steps(self.run.id) if s.status is StepStatus.DONE}

    @property
    def seconds(self) -> float:
        """Wall clock of training before and after resuming, without the start of processes."""
        return self.run.train_seconds + (0.0 if self.began is None else self.latest - self.began)

    def __call__(self, event: Event) -> None:
        """Store and show an event."""
        match event:
            case TrainingStarted():
                self._start()
            case EpochRecord():
                self._store_epoch(event)
            case StepRecord():
                self._store_step(event)
            case Notice(text):
                self.say(text)

    def stop_clock(self) -> None:
        """End the measured time now; the epochs under way have been trained up to here."""
        if self.began is not None:
            self.latest = time.monotonic()

    def _start(self) -> None:
        self.began = self.latest = time.monotonic()
        # The forecast is of the whole run, so it does not fit a resumed one.
        forecast = None if self.run.train_seconds else self.run.forecast
        expected = forecast.train_seconds if forecast else None
        self.say(TrainingBegun(self.run.plan, expected[0] if expected else None))

    def _store_epoch(self, record: EpochRecord) -> None:
        self.latest = time.monotonic()
        self.store.record_epoch(self.run.id, record)
        # If the process is killed, the stored time reaches up to its last epoch.
        self.store.update_run(self.run.id, status=RunStatus.RUNNING, train_seconds=self.seconds)
        self.say(record)

    def _store_step(self, record: StepRecord) -> None:
        """Store a step, unless it was done before the run was resumed: then its figures stay."""
        self.latest = time.monotonic()
        if record.step not in self.recorded:
            self.store.record_step(self.run.id, record)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Options of the execution rather than the plan.

    Attributes:
        time_limit: seconds after which training checkpoints and ends, None for none.
        download: whether a missing data set may be fetched.
        take_signals: whether SIGINT and SIGTERM let training checkpoint and end, as the command line does;
            only the main thread of a process can do that. Otherwise signals keep their handlers.
    """

    time_limit: float | None = None
    download: bool = False
    take_signals: bool = False


def train(request: PlanRequest, options: TrainOptions, home: Home, say: Say) -> RunAnswer:
    """Train a new run to its end.

    Args:
        request: the plan, or what it is made from.
        options: limits of the execution.
        home: home of the run.
        say: receiver of progress.

    Raises:
        AdvisorError: the training failed or was stopped; what was trained so far is kept.
    """
    signals = signals_of(options)
    target = planned_target(request)
    with open_store(home.database) as store:
        plan = target.with_settings(store)
        data = load_data(plan.dataset, home.data, download=options.download)
        if reason := unmeasured_settings(target, plan, store):
            say(reason)
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
        return carry_out(run, store, home, data, signals, say)


def _set_aside(folder: Path, say: Say) -> None:
    """Move away the files of a run that this database does not know: the new run would use its checkpoints.

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
        run = store.run(run_id)
        if run.status not in RESUMABLE:
            raise UsageError(f"run {run_id} is {run.status.value}: there is nothing to resume")
        data = load_data(run.plan.dataset, home.data, download=options.download)
        say(f"resuming run {run.id}: {run.plan.design} on {run.plan.dataset.name}")
        return carry_out(run, store, home, data, signals, say)


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


def carry_out(run: Run, store: Store, home: Home, data: Data, signals: StopSignals, say: Say) -> RunAnswer:
    """Execute the remaining steps of a run, whose folder is locked meanwhile.

    Args:
        run: the run as the database has it.
        store: database of the run.
        home: home of the run.
        data: data set of the plan.
        signals: reasons to stop, polled while training.
        say: receiver of progress.

    Raises:
        AdvisorError: the training failed or was stopped; what was trained so far is kept.
        KeyboardInterrupt: Ctrl-C while `signals` do not handle it; the run is marked as interrupted.
    """
    folder = home.run_folder(run.folder)
    with locked(folder, f"run {run.id}"), signals.listening():
        files = RunFiles(folder=folder, data_root=home.data, watch=watch_peak)
        write_description(folder, describe(run.plan, data))
        store.update_run(run.id, status=RunStatus.RUNNING, train_seconds=run.train_seconds)
        recorder = _Recorder(store, run, say)
        try:
            ended = execute(run.plan, files, data, recorder, signals)
            if len(ended) < len(run.plan.steps):
                recorder.stop_clock()
        except KeyboardInterrupt:
            # Work since the last epoch may have no checkpoint. Its time is left out, as after a kill.
            mark_interrupted(store, run, recorder.seconds)
            raise
        except Exception as error:
            mark_failed(store, run, error, recorder.seconds)
            raise
        finally:
            say(TrainingEnded())
        conclude(run, store, files, data, ended, signals, recorder.seconds)
    return describe_run(store, home, run.id)
