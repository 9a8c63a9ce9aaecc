"""How a run ended: its figures, its status and message in the database, and the error to report."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from advisor.errors import (
    DeadlineError,
    InterruptedRunError,
    PartialRunError,
    RunError,
    StorageError,
)
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Evaluation, Run, RunStatus, StepRecord, StepStatus
from cli.workflows.runs.recording import Recorder
from cli.workflows.stopping import StopSignals
from db.queries import Store
from trainer.data.loading import Data
from trainer.ensembles.evaluate import evaluate
from trainer.run_files import RunFiles

# Stores how a run ended, and raises the error to report, if there is one.
Closing = Callable[[Recorder], None]


def reason_of(error: Exception) -> str:
    """Return an error as the one line that is stored with a run."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@contextmanager
def failing(run: Run, store: Store) -> Iterator[None]:
    """Mark a run that cannot begin as failed, with the reason."""
    try:
        yield
    except Exception as error:
        # The disk that refuses the run may refuse this note too; the first error is the one to report.
        with suppress(StorageError):
            store.update_run(run.id, status=RunStatus.FAILED, train_seconds=0.0, message=reason_of(error))
        raise


def evaluated(
    plan: TrainingPlan, files: RunFiles, data: Data, ended: dict[str, StepRecord], signals: StopSignals
) -> Evaluation | None:
    """Return what the test images tell of the trained members.

    Args:
        plan: plan of the run.
        files: files of the run.
        data: data set of the run.
        ended: record of every step that ended, by its id.
        signals: reasons to stop; a signal cuts the evaluation short, which the resumed run repeats.

    Returns:
        The evaluation; None if the run was stopped before the end of its training or of the evaluation, or if
        no member was trained.
    """
    done = _done(plan, ended)
    if not done or _stopped(plan, ended):
        return None
    return signals.unless_stopped(lambda: evaluate(plan, files, data, done))


def tested(
    run: Run, files: RunFiles, data: Data, ended: dict[str, StepRecord], signals: StopSignals
) -> Closing:
    """Read the test images at the end of a run, and return what stores how it ended.

    Args:
        run: the run as it began.
        files: files of the run.
        data: data set of the run.
        ended: record of every step that ended, by its id.
        signals: reasons to stop.
    """
    test = evaluated(run.plan, files, data, ended, signals)
    return lambda recorder: conclude(run, ended, test, signals, recorder)


def conclude(
    run: Run,
    ended: dict[str, StepRecord],
    test: Evaluation | None,
    signals: StopSignals,
    recorder: Recorder,
) -> None:
    """Store how the run ended.

    Args:
        run: the run as it began.
        ended: record of every step that ended, by its id.
        test: answer of `evaluated`.
        signals: reason of a stop.
        recorder: way into the database.

    Raises:
        DeadlineError: the time limit stopped the run.
        InterruptedRunError: a signal stopped the run.
        PartialRunError: some members failed.
        RunError: all members failed.
        StorageError: the database refuses to the end.
    """
    done = _done(run.plan, ended)
    if _stopped(run.plan, ended) or (done and test is None):
        _conclude_stopped(run, signals, recorder)
    count = len(run.plan.members)
    status, message = _verdict(_causes(run.plan, ended) if len(done) < count else [], done)
    recorder.end(status, message, test)
    if status is RunStatus.PARTIAL:
        raise PartialRunError(f"run {run.id}: {count - len(done)} of {count} members failed: {message}")
    if status is not RunStatus.DONE:
        raise RunError(f"run {run.id} {status.value}: {message}")


def is_complete(plan: TrainingPlan, ended: dict[str, StepRecord]) -> bool:
    """Return whether every member was trained to its end."""
    return len(_done(plan, ended)) == len(plan.members)


def _stopped(plan: TrainingPlan, ended: dict[str, StepRecord]) -> bool:
    """Return whether a member's training was stopped before its end."""
    return any(_last_record(plan, member.name, ended) is None for member in plan.members)


def _done(plan: TrainingPlan, ended: dict[str, StepRecord]) -> list[str]:
    """Return the names of the members that were trained to their end."""
    last = {member.name: _last_record(plan, member.name, ended) for member in plan.members}
    return [name for name, record in last.items() if record and record.status is StepStatus.DONE]


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


def _conclude_stopped(run: Run, signals: StopSignals, recorder: Recorder) -> None:
    remedy = f"continue with `advisor resume {run.id}`"
    if signals.received is None:
        recorder.end(RunStatus.DEADLINE, "time limit")
        raise DeadlineError(f"run {run.id} reached its time limit and is checkpointed: {remedy}")
    recorder.end(RunStatus.INTERRUPTED, signal.Signals(signals.received).name)
    raise InterruptedRunError(
        f"run {run.id} is interrupted and checkpointed: {remedy}", exit_code=128 + signals.received
    )
