"""Records of one step that a process executes by itself: on their way into the database, or kept for later.

Every process stores the records of its own network only. No record is then stored by two, and each
transaction is short. What a database does not take stays in the folder of the run, and whoever ends the run
stores it. Where the database must not be opened, all records stay there.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.errors import StorageError
from advisor.plans.plan import Step
from advisor.plans.records import EpochRecord, Evaluation, Run, RunStatus, StepRecord
from cli.workflows.runs.recording import Recorder
from cli.workflows.runs.steps.accounting import seconds_of_steps
from cli.workflows.views import Say, TrainingBegun
from trainer.events import Event, Notice, TrainingStarted
from trainer.execution.outbox import Outbox, Record


@dataclass(kw_only=True)
class StepRecorder(Recorder):
    """Stores and shows the events of one step; other processes may execute other steps of the run.

    Attributes:
        step: the step.
    """

    step: Step

    def begin(self) -> None:
        """Store that the run is going on, and what a killed process left of this network."""
        try:
            super().begin()
        except StorageError as error:
            # Others may have the lock. The records that wait are tried again with the next one.
            self.say(f"records are stored later: {error}")

    def _left(self) -> list[Record]:
        return [record for record in self.outbox.records() if record.network == self.step.network]

    def _start(self) -> None:
        self.say(begun(self.run, self.step))

    def _store_state(self, status: RunStatus, message: str = "", test: Evaluation | None = None) -> None:
        """Store that the run is going on; how it ends, and who waits for it, is not for one step to say."""
        self.store.update_run(
            self.run.id,
            status=RunStatus.RUNNING,
            train_seconds=max(self.run.train_seconds, seconds_of_steps(self.run, self.store)),
        )


@dataclass(frozen=True, slots=True)
class KeepingRecorder:
    """Shows the events of one step, and keeps its records in the folder of the run.

    Attributes:
        run: the run.
        step: the step.
        outbox: records that are not stored yet.
        say: receiver of progress.
    """

    run: Run
    step: Step
    outbox: Outbox
    say: Say

    def begin(self) -> None:
        """Do nothing: there is nothing to open."""

    def __call__(self, event: Event) -> None:
        """Keep and show an event; the process that trained an epoch keeps its record before it tells it."""
        match event:
            case TrainingStarted():
                self.say(begun(self.run, self.step))
            case StepRecord():
                self.outbox.put(event)
            case Notice(text):
                self.say(text)
            case EpochRecord():
                self.say(event)


def begun(run: Run, step: Step) -> TrainingBegun:
    """Return what is said when a step begins."""
    forecasts = {each.step: each.mean for each in run.forecast.steps} if run.forecast else {}
    return TrainingBegun(run.plan, forecasts.get(step.id), step=step.id)
