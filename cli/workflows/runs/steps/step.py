"""`advisor step RUN STEP`: one step of a stored run, executed by a process of its own.

The command is idempotent: it starts a step, resumes it, or says that it is done. A step depends on nothing
but the plan, the data and the checkpoints in the folder of the run, so any scheduler that keeps the order of
the plan ends with the networks of `advisor train`, on a CPU bit for bit.

Locks keep processes apart. A step has the folder of its run together with other steps, and that of its
network alone. Commands that train or delete a whole run have its folder alone.
"""

from __future__ import annotations

import os
import shlex
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from advisor.errors import DeadlineError, InterruptedRunError, LockedError, RunError, StorageError, UsageError
from advisor.plans.plan import Step
from advisor.plans.records import RESUMABLE, Run, StepRecord, StepStatus
from cli.workflows.answers.runs.executed_step import ExecutedStep
from cli.workflows.forecast.planning import with_data_at
from cli.workflows.home import Home
from cli.workflows.locks import locked, shared, step_folder
from cli.workflows.runs.own_data import data_of_run
from cli.workflows.runs.steps.accounting import note_machine
from cli.workflows.runs.steps.found import Found, found_run, step_named
from cli.workflows.runs.steps.recording import KeepingRecorder, StepRecorder
from cli.workflows.runs.train import TrainOptions, signals_of
from cli.workflows.stopping import StopSignals
from cli.workflows.views import Say, TrainingEnded
from db.schema import folder_of
from profiler.device import fingerprint
from profiler.memory import watch_peak
from trainer.data.loading import Data
from trainer.ensembles.description import describe, write_description
from trainer.ensembles.ensemble import read_description
from trainer.ensembles.verify import require_plan
from trainer.events import TrainingStarted
from trainer.execution.finished_steps import is_done, unfinished
from trainer.execution.outbox import Outbox
from trainer.execution.single_step import execute_step
from trainer.run_files import RunFiles

# Folder in the folder of a network's steps, in which processes that share its batches find each other.
MEETING = "rendezvous"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRequest:
    """Which step is executed.

    Attributes:
        run: number of the run.
        step: id of the step.
        records_later: whether its records are only kept in the folder of the run, for the evaluation to
            store; None for yes if the home lies on a file system of a network.
    """

    run: int
    step: str
    records_later: bool | None = None


def run_one_step(request: StepRequest, options: TrainOptions, home: Home, say: Say) -> ExecutedStep:
    """Execute a step of a run to its end, unless it is done.

    Args:
        request: run and step.
        options: limits of the execution.
        home: home of the run.
        say: receiver of progress.

    Raises:
        UsageError: no such run or step, a step that it needs is not done, or the run cannot go on.
        RunError: the step failed, or another process is in its way.
        DeadlineError: the time limit stopped the step.
        InterruptedRunError: a signal stopped the step.
        StorageError: a checkpoint could not be written.
    """
    signals = signals_of(options)
    _require_writable(home.run_folder(folder_of(request.run)))
    with found_run(home, request.run, request.records_later, say) as found:
        step, folder = step_named(found.run, request.step), home.run_folder(found.run.folder)
        _require_folder(folder, found.run)
        require_plan(folder, found.run.plan)
        if is_done(found.run.plan, step, folder, _unheard):
            return _already(found.run, step)
        name = f"{step.id} of run {found.run.id}"
        with (
            shared(folder, f"run {found.run.id}"),
            locked(step_folder(folder, step.network), name),
            signals.listening(),
        ):
            # Another process may have ended either while this one waited for the locks.
            run = _startable(found, step, folder, say)
            if is_done(run.plan, step, folder, _unheard):
                return _already(run, step)
            run = replace(run, plan=with_data_at(run.plan, options.moved_to))
            record = _executed(replace(found, run=run), step, home, signals, say)
    return _reported(run, step, record, signals)


def _startable(found: Found, step: Step, folder: Path, say: Say) -> Run:
    """Return a run whose step can start now.

    Raises:
        UsageError: the run is done, diverged or deleted, or a step that this one needs is not done.
    """
    run = found.run
    if found.store is not None:
        # A lock of another process ends no training.
        with suppress(LockedError):
            run = found.store.run(run.id)
    if run.status not in RESUMABLE:
        raise UsageError(f"run {run.id} is {run.status.value}: none of its steps can go on")
    needed = [each for each in run.plan.steps if each.id in step.after]
    if missing := unfinished(run.plan, needed, folder, say):
        commands = " and ".join(f"`advisor step {run.id} {shlex.quote(name)}`" for name in missing)
        raise UsageError(f"{step.id} of run {run.id} needs what is not done yet: first {commands}")
    return run


def _executed(found: Found, step: Step, home: Home, signals: StopSignals, say: Say) -> StepRecord:
    """Execute a step whose folders are locked, and return its record, which is stored or kept."""
    run, folder = found.run, home.run_folder(found.run.folder)
    outbox = Outbox(folder, run.plan)
    recorder = (
        KeepingRecorder(run, step, outbox, say)
        if found.store is None
        else StepRecorder(found.store, run, outbox, say, signals, step=step)
    )
    data = data_of_run(run, home, download=False)
    _describe(folder, run, data)
    own = step_folder(folder, step.network)
    note_machine(own, fingerprint(run.plan.execution).digest)
    files = RunFiles(folder=folder, data_root=home.data, watch=watch_peak)
    recorder.begin()
    recorder(TrainingStarted())
    try:
        record = execute_step(run.plan, step, files, data, recorder, signals, own / MEETING)
        if record.status is not StepStatus.STOPPED:
            recorder(record)
        return record
    finally:
        say(TrainingEnded())


def _describe(folder: Path, run: Run, data: Data) -> None:
    """Write the description of a run, unless it is there and whole: other steps may read it now."""
    try:
        read_description(folder)
    except (RunError, StorageError):
        write_description(folder, describe(run.plan, data))


def _require_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written before anything is opened; a missing one is told of later."""
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise StorageError(f"cannot write to {folder}: a step needs a home that is writable")


def _require_folder(folder: Path, run: Run) -> None:
    if not folder.is_dir():
        raise StorageError(
            f"run {run.id} has no files, because {folder} does not exist: restore it from a copy, or "
            f"`advisor resume {run.id}` trains it again"
        )


def _reported(run: Run, step: Step, record: StepRecord, signals: StopSignals) -> ExecutedStep:
    """Return the answer of a step that is done.

    Raises:
        RunError: it failed or diverged.
        DeadlineError, InterruptedRunError: it was stopped.
    """
    name = f"{step.id} of run {run.id}"
    if record.status is StepStatus.STOPPED:
        remedy = f"continue with `advisor step {run.id} {shlex.quote(step.id)}`"
        if signals.received is None:
            raise DeadlineError(f"{name} reached its time limit and is checkpointed: {remedy}")
        raise InterruptedRunError(
            f"{name} is interrupted by {signal.Signals(signals.received).name} and checkpointed: {remedy}",
            exit_code=128 + signals.received,
        )
    if record.status is not StepStatus.DONE:
        raise RunError(f"{name} {record.status.value}: {record.message}")
    return ExecutedStep(
        run=run.id,
        step=step.id,
        network=step.network,
        already_done=False,
        seconds=record.seconds,
        peak_bytes=record.peak_bytes,
        hatch_difference=record.hatch_difference,
        message=record.message,
    )


def _already(run: Run, step: Step) -> ExecutedStep:
    return ExecutedStep(run=run.id, step=step.id, network=step.network, already_done=True)


def _unheard(text: str) -> None:
    """Take no notice of a damaged checkpoint, of which the one who resumes the step is told."""
