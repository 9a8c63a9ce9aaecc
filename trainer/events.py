"""Progress of an execution, as data: what happened, in the order in which it happened.

The training loop, the steps of a plan, worker processes and their pool speak through one function, `Tell`.
Worker processes put the same events into a mailbox, and the parent process tells them on. An execution tells

1. `TrainingStarted` once, after all processes have loaded the data;
2. an `EpochRecord` after every epoch of every network;
3. a `StepRecord` at the end of every step, unless the step was asked to stop;
4. a `CheckpointWritten` after every checkpoint, for whoever carries it to another machine;
5. a `Paced` after some epochs, where the pace of the processor is watched (`trainer.run_files`);
6. a `Notice` at any time, even before the start.

Every event can be pickled, and is written as JSON by `advisor.serial`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from advisor.plans.records import EpochRecord, StepRecord


@dataclass(frozen=True, slots=True)
class TrainingStarted:
    """All processes have loaded the data, and the first step begins."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An unplanned turn of the training that a person should know about.

    Attributes:
        text: one line.
    """

    text: str


@dataclass(frozen=True, slots=True)
class CheckpointWritten:
    """A checkpoint of a network is on the disk of the machine that trains it.

    Attributes:
        network: name of the network in the plan.
    """

    network: str


@dataclass(frozen=True, slots=True)
class Paced:
    """The pace of the processor, measured between two epochs by the process that trains.

    Attributes:
        step: name of the training step.
        seconds: mean seconds of the reference now.
    """

    step: str
    seconds: float


Event = TrainingStarted | EpochRecord | StepRecord | CheckpointWritten | Paced | Notice
Tell = Callable[[Event], None]
