"""A stage of a path: a run that is trained, measured on validation images, and finished at the path's end.

A stage that is trained stays *interrupted* until the path ends, because its test images are read only then. A
path that was stopped goes on with its newest stage.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial

from advisor.designs.design import parse_design
from advisor.plans.extension import kept_steps
from advisor.plans.navigation.path import Navigation, Stage
from advisor.plans.records import Run, RunStatus, StepRecord, StepStatus
from cli.workflows.clock import WaitingClock
from cli.workflows.home import Home
from cli.workflows.locks import locked
from cli.workflows.runs.cluster.execution import OnCluster
from cli.workflows.runs.conclusion import Closing, conclude, is_complete, tested
from cli.workflows.runs.extend import adopt_kept
from cli.workflows.runs.navigation.request import seconds_allowed
from cli.workflows.runs.recording import Recorder
from cli.workflows.runs.train import carry_out
from cli.workflows.stopping import StopSignals
from cli.workflows.views import Say
from db.queries import Store
from profiler.memory import watch_peak
from trainer.data.loading import Data
from trainer.ensembles.evaluate import validation_errors
from trainer.execution.outbox import Outbox
from trainer.run_files import RunFiles

WAITING = "a trained stage: its test images are read at the end of the path"


@dataclass(frozen=True, slots=True)
class Walk:
    """What all stages of a path share.

    Attributes:
        store: database of the runs.
        home: home of the runs.
        data: data set.
        signals: reasons to stop the command.
        say: receiver of progress.
        executing: cluster that executes the steps; None for as many processes as a plan has.
        clock: clock of who waits for the path, a stage at a time; None where nobody does.
    """

    store: Store
    home: Home
    data: Data
    signals: StopSignals
    say: Say
    executing: OnCluster | None = None
    clock: WaitingClock | None = None


def navigation_of(run: Run) -> Navigation:
    """Return what the run of a stage knows of its path."""
    if run.navigation is None:
        raise ValueError(f"run {run.id} is not a stage of a path")
    return run.navigation


def clusters_of_run(run: Run) -> int:
    """Return the number of clusters of the ensemble of a run."""
    return parse_design(run.plan.design).clusters


def seconds_left(run: Run) -> float | None:
    """Return the seconds of training that are left to a path; None for no limit.

    Args:
        run: newest stage, with the seconds that it has trained so far.
    """
    navigation = navigation_of(run)
    allowed = seconds_allowed(navigation.targets)
    spent = sum(stage.seconds for stage in navigation.earlier) + run.train_seconds
    return None if allowed is None else allowed - spent


def train_stage(run: Run, walk: Walk) -> tuple[Run, Stage]:
    """Train a stage and measure it on the validation images; one that is trained already stays as it is.

    Args:
        run: run of the stage.
        walk: what all stages share.

    Returns:
        The run after its training, and the stage.

    Raises:
        DeadlineError: the seconds of the path or those of the command are used up.
        AdvisorError: the training failed or was stopped.
    """
    if navigation_of(run).validation_error is None:
        signals = StopSignals(_deadline(run, walk), walk.signals.handled)
        within = (walk.store, walk.home, walk.data, signals, walk.say)
        carry_out(run, *within, _validated, walk.executing, walk.clock)
        run = replace(walk.store.run(run.id), plan=run.plan)
    stage = navigation_of(run).stage(run.id, clusters_of_run(run), run.train_seconds)
    if stage is None:
        raise ValueError(f"the stage of run {run.id} was not measured")
    return run, stage


def finish(run: Run, walk: Walk) -> None:
    """Read the test images of a trained stage, and store its figures.

    Raises:
        InterruptedRunError: a signal came meanwhile; the path can be resumed.
    """
    folder, signals = walk.home.run_folder(run.folder), StopSignals(None, walk.signals.handled)
    with locked(folder, f"run {run.id}"), signals.listening():
        files = RunFiles(folder=folder, data_root=walk.home.data, watch=watch_peak)
        ended = {r.step: r for r in walk.store.steps(run.id) if r.status is StepStatus.DONE}
        close = tested(run, files, walk.data, ended, signals)
        outbox = Outbox(folder, run.plan)
        close(Recorder(walk.store, run, outbox, walk.say, signals, clock=walk.clock))


def adopt_again(run: Run, walk: Walk) -> None:
    """Complete what a stage takes over from the one before, if a killed process did not.

    Raises:
        StorageError: the disk refuses.
    """
    earlier = navigation_of(run).earlier
    if not earlier or earlier[-1].run not in walk.store.run_ids():
        return
    before = walk.store.run(earlier[-1].run)
    recorded = {record.step for record in walk.store.steps(run.id)}
    if not kept_steps(before.plan, run.plan) <= recorded:
        adopt_kept(walk.store, walk.home, before, run)


def _deadline(run: Run, walk: Walk) -> float | None:
    """Return when a stage must stop, by the clock of `time.monotonic`; None for never.

    A stage that has used up the seconds of the path is only trained by `advisor resume`, and then to its end.
    """
    left = seconds_left(run)
    own = None if left is None or left <= 0 else time.monotonic() + left
    return min((each for each in (own, walk.signals.deadline) if each is not None), default=None)


def _validated(
    run: Run, files: RunFiles, data: Data, ended: dict[str, StepRecord], signals: StopSignals
) -> Closing:
    """Measure the ensemble on validation images; a stage that lacks members ends as any run does."""
    if not is_complete(run.plan, ended):
        return tested(run, files, data, ended, signals)
    error = signals.unless_stopped(lambda: validation_errors(run.plan, files, data)[0])
    if error is None:
        return lambda recorder: conclude(run, ended, None, signals, recorder)
    return partial(_keep_waiting, run, error)


def _keep_waiting(run: Run, error: float, recorder: Recorder) -> None:
    recorder.end(RunStatus.INTERRUPTED, WAITING)
    recorder.store.set_navigation(run.id, replace(navigation_of(run), validation_error=error))
