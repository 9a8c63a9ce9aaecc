"""The training of a probe: its events, its learning curve, and its errors on validation images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np

from advisor.accuracy.evidence import Curve
from advisor.decision.probes.probing import Probe
from advisor.plans.method_traits import Method
from advisor.plans.placement import slots
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from cli.workflows.forecast.pace import TrainingPace, UsualPace
from cli.workflows.home import Home
from cli.workflows.views import Say, TrainingBegun, TrainingEnded, silent
from profiler.memory import watch_peak
from profiler.pace import watch_pace
from trainer.data.loading import Data
from trainer.ensembles.evaluate import validation_errors
from trainer.events import Event, Notice, Paced, TrainingStarted
from trainer.execution.cluster.address import ClusterAddress
from trainer.execution.execute import execute
from trainer.execution.outbox import Outbox
from trainer.run_files import RunFiles
from trainer.training.stored_probabilities import Probabilities, unpack_probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The result of a finished probe.

    Attributes:
        error: validation error of the ensemble, share.
        members: validation error of each member, share.
        curve: learning curve, None where members were not all trained from scratch.
        train_seconds: wall-clock time of the training.
        disturbed: whether the machine was busy meanwhile.
    """

    error: float
    members: tuple[float, ...]
    curve: Curve | None
    train_seconds: float
    disturbed: bool = False


def train_probe(
    probe: Probe,
    folder: Path,
    home: Home,
    data: Data,
    say: Say,
    stop: Callable[[], bool],
    cluster: ClusterAddress | None = None,
    usual: UsualPace | None = None,
) -> ProbeResult | None:
    """Train a probe to its end.

    Args:
        probe: probe to train.
        folder: folder of its checkpoints and of the records of its epochs and steps.
        home: home of the data sets.
        data: images of the probe.
        say: receiver of progress.
        stop: question whether to stop.
        cluster: cluster whose nodes train; None for this machine.
        usual: usual pace of this machine; None where it is not known.

    Returns:
        The result; None if the training was stopped or failed, which teaches nothing.

    Raises:
        StorageError: the disk refuses.
    """
    plan = probe.plan
    files = RunFiles(folder=folder, data_root=home.data, watch=watch_peak, pace=watch_pace)
    # The session has said that the machine is busy.
    pace = TrainingPace(usual, slots(plan), silent) if usual is not None and cluster is None else None
    watcher = _Watcher(plan, probe.seconds.mean, say, Outbox(folder, plan), pace)
    try:
        ended = execute(plan, files, data, watcher, stop, cluster)
    finally:
        say(TrainingEnded())
    if len(ended) < len(plan.steps) or any(r.status is not StepStatus.DONE for r in ended.values()):
        return None
    error, members = validation_errors(plan, files, data)
    return ProbeResult(
        error=error,
        members=members,
        curve=watcher.curve(data),
        train_seconds=watcher.seconds,
        disturbed=pace is not None and pace.disturbed,
    )


@dataclass
class _Watcher:
    """Shows the events of a probe's training, collects its epochs, and measures its time.

    The records of steps go to where those of epochs are, for a run that takes over the networks.
    """

    plan: TrainingPlan
    expected: float
    say: Say
    outbox: Outbox
    pace: TrainingPace | None = None
    records: list[EpochRecord] = field(default_factory=list)
    seconds: float = 0.0
    _began: float = 0.0

    def __call__(self, event: Event) -> None:
        """Show an event; of the steps only those that failed are shown."""
        match event:
            case TrainingStarted():
                if self.pace is not None:
                    self.pace.begin(self.expected)
                self._began = time.perf_counter()
                self.say(TrainingBegun(self.plan, self.expected, one_of_many=True))
            case EpochRecord():
                self.records.append(event)
                if self.pace is not None:
                    self.pace.epoch(event.step)
                self.say(event)
            case Paced(step, seconds):
                if self.pace is not None:
                    self.pace.sample(step, seconds)
            case StepRecord(network=network, status=status, message=message):
                self.seconds = time.perf_counter() - self._began
                self.outbox.put(event)
                if status is not StepStatus.DONE:
                    self.say(f"{network}: {message or status}")
            case Notice(text):
                self.say(text)

    def curve(self, data: Data) -> Curve | None:
        """Return the learning curve of members that were all trained from scratch, else None."""
        own: dict[str, list[EpochRecord]] = {}
        for record in self.records:
            own.setdefault(record.network, []).append(record)
        if self.plan.method is not Method.FULL_DATA:
            return None
        labels, classes = data.validation.labels.numpy(), data.facts.task.classes
        epochs = list(zip(*own.values(), strict=True))
        return Curve(
            member=tuple(fmean(r.validation_error for r in records) for records in epochs),
            ensemble=tuple(
                float((_average(records, classes).argmax(axis=1) != labels).mean()) for records in epochs
            ),
            images=len(labels),
        )


def _average(records: Sequence[EpochRecord], classes: int) -> Probabilities:
    """Mean validation probabilities, (images, classes)."""
    found: Probabilities = np.mean(
        [unpack_probabilities(r.validation_probabilities, classes) for r in records], axis=0
    )
    return found
