"""Records of a run on their way into the database, which another program may have locked.

A training does not end because the database takes no records: their epochs have checkpoints. A record that
cannot be stored waits in memory and in the folder of the run (`trainer.execution.outbox`). It is tried again
with the next record, and at the end of the run with patience. Only a database that refuses even then is an
error.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from advisor.errors import StorageError
from advisor.plans.records import EpochRecord, Evaluation, Run, RunStatus, StepRecord, StepStatus
from cli.workflows.clock import WaitingClock
from cli.workflows.forecast.pace import TrainingPace
from cli.workflows.patience import patiently
from cli.workflows.runs.steps.accounting import mark_disturbed, was_disturbed, with_seconds_of_steps
from cli.workflows.views import Say, TrainingBegun
from db.queries import Store
from trainer.events import Event, Notice, Paced, TrainingStarted
from trainer.execution.outbox import Outbox, Record

# SQLite waits for a lock for seconds, and a training in this process waits with it. Attempts to store may
# take this share of its time.
WAITING_SHARE = 0.1


@dataclass
class Recorder:
    """Stores and shows the events of a run, and measures its time from the first step to the last event.

    What is waited for beside that, before the first step and after the last event, is measured as well: the
    start of processes, loading data, evaluation, and storing the end of the run. What the program does after
    that, to show the run and to end, cannot be in the database; it takes some tenths of a second. The time
    after the last event counts only in a run that came to an end by itself or was stopped: after an error or
    a kill it may be lost training.

    Attributes:
        store: database of the run.
        run: the run as it began.
        outbox: records that are not stored yet.
        say: receiver of progress.
        stop: question whether the run was asked to stop; then nothing is waited for.
        pace: pace of the machine while it trains; None where it is not known.
        clock: clock of who waits for the run; None where nobody does.
    """

    store: Store
    run: Run
    outbox: Outbox
    say: Say
    stop: Callable[[], bool] = lambda: False
    pace: TrainingPace | None = None
    clock: WaitingClock | None = None
    _began: float | None = field(default=None, init=False)
    _latest: float = field(default=0.0, init=False)
    _recorded: set[str] = field(default_factory=set, init=False)
    _waiting: deque[Record] = field(default_factory=deque, init=False)
    _next_attempt: float = field(default=0.0, init=False)
    _refused: bool = field(default=False, init=False)
    _marked: bool = field(default=False, init=False)
    _starting: float | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)

    @property
    def seconds(self) -> float:
        """Wall clock of training before and after resuming, without the start of processes."""
        return self.run.train_seconds + (0.0 if self._began is None else self._latest - self._began)

    @property
    def overhead_seconds(self) -> float | None:
        """Seconds that were waited for beside the training, before and after resuming; None if unknown."""
        earlier = self.run.overhead_seconds
        # A part that an older program trained has none stored, and so the sum is not known.
        if self.clock is None or (earlier is None and self.run.train_seconds):
            return None
        ending = time.monotonic() - self._latest if self._ended and self._began is not None else 0.0
        starting = self.clock.seconds if self._starting is None else self._starting
        return (earlier or 0.0) + starting + ending

    def begin(self) -> None:
        """Store that the run is going on, and what a killed process left unstored.

        Raises:
            StorageError: the database takes nothing; nothing was trained yet.
        """
        self._recorded = {s.step for s in self.store.steps(self.run.id) if s.status is StepStatus.DONE}
        waiting = self._left()
        self._waiting.extend(waiting)
        self._store_records()
        self.run = with_seconds_of_steps(self.run, self.store, self.outbox.run)
        self._store_state(RunStatus.RUNNING)
        self._recorded |= {
            r.step for r in waiting if isinstance(r, StepRecord) and r.status is StepStatus.DONE
        }

    def __call__(self, event: Event) -> None:
        """Store and show an event."""
        match event:
            case TrainingStarted():
                self._start()
            case EpochRecord():
                self._keep(event)
                self.say(event)
            case StepRecord():
                self._keep(event)
            case Paced(step, seconds):
                if self.pace is not None:
                    self.pace.sample(step, seconds)
            case Notice(text):
                self.say(text)

    def stop_clock(self) -> None:
        """End the measured time now; the epochs under way have been trained up to here."""
        if self._began is not None:
            self._latest = time.monotonic()

    def end(self, status: RunStatus, message: str = "", test: Evaluation | None = None) -> None:
        """Store all records and how the run ended; a locked database is waited for.

        Args:
            status: state of the run.
            message: reason why it stopped, if it did.
            test: what the test images tell; None keeps what is stored.

        Raises:
            StorageError: the database still refuses. Checkpoints and records stay in the folder of the run.
        """
        self._ended = True
        try:
            patiently(lambda: self._store_waiting(status, message, test), self.say, self.stop)
        except StorageError as error:
            raise self._unstored(error) from None
        if self.clock is not None:
            self.clock.restart()

    def mark(self, status: RunStatus, message: str) -> None:
        """Store how an error ended the run, if the database takes it: the error is the one to report."""
        try:
            self._store_waiting(status, message)
        except StorageError:
            return

    def _left(self) -> list[Record]:
        """Return what a killed process left unstored."""
        return self.outbox.records()

    def _start(self) -> None:
        # The forecast is of the whole run, so it does not fit a resumed one.
        forecast = None if self.run.train_seconds else self.run.forecast
        expected = forecast.train_seconds[0] if forecast and forecast.train_seconds else None
        if self.pace is not None:
            self.pace.begin(expected)
        self._starting = None if self.clock is None else self.clock.seconds
        self._began = self._latest = time.monotonic()
        self.say(TrainingBegun(self.run.plan, expected))

    def _keep(self, record: Record) -> None:
        """Store a record, or let it wait if the database does not take it."""
        self._latest = time.monotonic()
        self._waiting.append(record)
        if self.pace is not None and isinstance(record, EpochRecord):
            self.pace.epoch(record.step)
        if self._latest < self._next_attempt:
            self._put_aside(record)
            return
        try:
            # If the process is killed, the stored time reaches up to its last epoch.
            self._store_waiting(RunStatus.RUNNING)
            if self._refused:
                self.say("the database takes records again; none is missing")
            self._refused = False
        except StorageError as error:
            self._put_aside(record)
            now = time.monotonic()
            self._next_attempt = now + (now - self._latest) / WAITING_SHARE
            if not self._refused:
                self.say(f"training goes on and its records are stored later: {error}")
            self._refused = True

    def _put_aside(self, record: Record) -> None:
        # The process that trained an epoch has done so already.
        if isinstance(record, StepRecord):
            self.outbox.put(record)

    def _store_waiting(self, status: RunStatus, message: str = "", test: Evaluation | None = None) -> None:
        """Store the records that wait, in their order, and then the state of the run."""
        self._store_records()
        self._store_mark()
        self._store_state(status, message, test)

    def _store_mark(self) -> None:
        """Store whether the machine is busy, if that has changed; the mark of an earlier part stays."""
        if self.pace is None or was_disturbed(self.run) or self._marked == self.pace.disturbed:
            return
        mark_disturbed(self.run.id, self.store, self.pace.disturbed)
        self._marked = self.pace.disturbed

    def _store_records(self) -> None:
        while self._waiting:
            self._store(self._waiting[0])
            self.outbox.remove(self._waiting.popleft())

    def _store_state(self, status: RunStatus, message: str = "", test: Evaluation | None = None) -> None:
        self.store.update_run(
            self.run.id,
            status=status,
            train_seconds=self.seconds,
            overhead_seconds=self.overhead_seconds,
            message=message,
            test=None if test is None else test.metrics,
            confusion=None if test is None else test.confusion,
            dataset=self.run.plan.dataset.name,
        )
        if status is not RunStatus.RUNNING:
            self.outbox.close()

    def _store(self, record: Record) -> None:
        """Store a record; a step that was done before the run was resumed keeps its figures."""
        if isinstance(record, EpochRecord):
            self.store.record_epoch(self.run.id, record)
        elif record.step not in self._recorded:
            self.store.record_step(self.run.id, record)

    def _unstored(self, error: StorageError) -> StorageError:
        return StorageError(
            f"run {self.run.id} is checkpointed, but how it ended is not stored: {error}; then "
            f"`advisor resume {self.run.id}` stores it"
        )
