"""How a run ended: its status and message in the database, its figures, and the error to report."""

from __future__ import annotations

import signal

from advisor.errors import (
    DeadlineError,
    InterruptedRunError,
    PartialRunError,
    RunError,
    StorageError,
)
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Run, RunStatus, StepRecord, StepStatus
from cli.workflows.stopping import StopSignals
from db.queries import Store
from trainer.data.loading import Data
from trainer.ensembles.evaluate import evaluate
from trainer.run_files import RunFiles


def mark_failed(store: Store, run: Run, error: Exception, seconds: float) -> None:
    """Store that an error ended a run; `seconds` is the wall-clock time of training in all."""
    message = str(error).splitlines()[0] if str(error) else type(error).__name__
    _mark(store, run, RunStatus.FAILED, message, seconds)


def mark_interrupted(store: Store, run: Run, seconds: float) -> None:
    """Store that Ctrl-C ended a run; `seconds` is the wall-clock time of training in all."""
    _mark(store, run, RunStatus.INTERRUPTED, signal.SIGINT.name, seconds)


def _mark(store: Store, run: Run, status: RunStatus, message: str, seconds: float) -> None:
    try:
        store.update_run(run.id, status=status, train_seconds=seconds, message=message)
    except StorageError:
        # The disk that stopped training stops this note too; the first error is the one to report.
        return


def conclude(
    run: Run,
    store: Store,
    files: RunFiles,
    data: Data,
    ended: dict[str, StepRecord],
    signals: StopSignals,
    seconds: float,
) -> None:
    """Evaluate the trained members and store how the run ended.

    Args:
        run: the run as it began.
        store: database of the run.
        files: files of the run.
        data: data set of the run.
        ended: record of every step that ended, by its id.
        signals: reason of a stop.
        seconds: wall-clock time of training in all.

    Raises:
        DeadlineError: the time limit stopped the run.
        InterruptedRunError: a signal stopped the run.
        PartialRunError: some members failed.
        RunError: all members failed.
    """
    trained = {m.name: _last_record(run.plan, m.name, ended) for m in run.plan.members}
    stopped = [name for name, record in trained.items() if record is None]
    failed = [
        record for record in trained.values() if record is not None and record.status is not StepStatus.DONE
    ]
    if stopped:
        _conclude_stopped(run, store, signals, seconds)
    done = [
        name for name, record in trained.items() if record is not None and record.status is StepStatus.DONE
    ]
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
    """Return the records of steps that failed although every step before them succeeded."""
    after = {step.id: step.after for step in plan.steps}
    return [
        record
        for name, record in ended.items()
        if record.status is not StepStatus.DONE
        and all(ended[before].status is StepStatus.DONE for before in after[name])
    ]


def _verdict(causes: list[StepRecord], done: list[str]) -> tuple[RunStatus, str]:
    message = "; ".join(dict.fromkeys(record.message for record in causes))
    if not causes:
        return RunStatus.DONE, ""
    if done:
        return RunStatus.PARTIAL, message
    # Only a run that diverged cannot be resumed.
    diverged = all(record.status is StepStatus.DIVERGED for record in causes)
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
