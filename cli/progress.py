"""Progress on stderr: a live bar on a terminal, a plain line for each epoch elsewhere (nohup, Slurm, CI).

Progress that cannot be shown is left out: neither a full disk behind stderr nor a reader that went away ends
a training.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from advisor.plans.plan import TrainStep
from advisor.plans.records import EpochRecord
from cli.console import progress
from cli.render.formats import duration, percent
from cli.workflows.views import OneOfSeveral, Said, TrainingBegun, TrainingEnded


@dataclass
class _Training:
    """How far a training has come.

    Attributes:
        total: expected epochs of its networks.
        began: beginning by the monotonic clock, seconds.
        brief: whether only a bar shows its epochs.
        bar: its bar, None without a terminal.
        epochs: epochs of each step so far.
        before: epochs from before a run was resumed.
    """

    total: float
    began: float
    brief: bool
    bar: TaskID | None = None
    epochs: dict[str, int] = field(default_factory=dict)
    before: int = 0

    def count(self, record: EpochRecord) -> int:
        """Count an epoch; return the number of all epochs so far."""
        if record.step not in self.epochs and record.epoch > 0:
            # A resumed run reports its last finished epoch again.
            self.before += record.epoch + 1
        self.epochs[record.step] = record.epoch + 1
        return sum(self.epochs.values())

    def left(self, done: float) -> str:
        """Return the time left at the mean pace so far, empty before the first epoch and after the last."""
        if not self.before < done < self.total:
            return ""
        seconds = (time.monotonic() - self.began) / (done - self.before) * (self.total - done)
        return f"about {duration(seconds)} left"


class Speaker:
    """Shows the messages of a workflow to a person (`cli.workflows.views.Say`).

    Args:
        quiet: whether nothing is shown.
        verbose: whether every line begins with the time since the start.
    """

    def __init__(self, quiet: bool, verbose: bool = False) -> None:
        self.quiet, self.verbose = quiet, verbose
        self.console = progress()
        self._created = time.monotonic()
        self._bars: Progress | None = None
        # By label; a training that has none beside it has the label "".
        self._trainings: dict[str, _Training] = {}

    def __call__(self, said: Said) -> None:
        """Show a line, or the progress of a training.

        Nothing ends because nobody reads any more: the terminal was closed, or a pipe.
        """
        label, said = (said.label, said.said) if isinstance(said, OneOfSeveral) else ("", said)
        with suppress(OSError):
            match said:
                case str():
                    self._show_line(said)
                case TrainingBegun():
                    self._begin(label, said)
                case EpochRecord():
                    self._show_epoch(label, said)
                case TrainingEnded():
                    self._end(label)

    def _show_line(self, text: str) -> None:
        if self.quiet:
            return
        if self.verbose:
            text = f"[{time.monotonic() - self._created:.1f} s] {text}"
        self.console.print(text, soft_wrap=True, markup=False)

    def _begin(self, label: str, begun: TrainingBegun) -> None:
        schedules = [
            s.schedule for s in begun.plan.steps if isinstance(s, TrainStep) and begun.step in (None, s.id)
        ]
        total = sum(schedule.expected_epochs for schedule in schedules)
        training = self._trainings[label] = _Training(total, time.monotonic(), begun.one_of_many)
        if begun.expected_seconds is not None and not begun.one_of_many:
            self._show_line(f"expected to take {duration(begun.expected_seconds)}")
        if self.console.is_terminal and not self.quiet:
            if self._bars is None:
                self._bars = self._new_bars()
            training.bar = self._bars.add_task(label or "training", total=total, left="")

    def _new_bars(self) -> Progress:
        bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            transient=True,
        )
        bars.start()
        return bars

    def _show_epoch(self, label: str, record: EpochRecord) -> None:
        training = self._trainings.setdefault(label, _Training(0.0, time.monotonic(), brief=False))
        done = training.count(record)
        left = training.left(done)
        line = (
            f"{record.network} epoch {record.epoch + 1}: training error {percent(record.train_error)}, "
            f"validation error {percent(record.validation_error)}"
        )
        if self._bars is not None and training.bar is not None:
            description = f"{label}: {line}" if label else line
            self._bars.update(training.bar, completed=done, description=description, left=left)
        elif not training.brief:
            self._show_line(f"{line}, {duration(record.seconds)}{', ' * bool(left)}{left}")

    def _end(self, label: str) -> None:
        training = self._trainings.pop(label, None)
        if self._bars is None or training is None or training.bar is None:
            return
        self._bars.remove_task(training.bar)
        if not self._bars.tasks:
            self._bars.stop()
            self._bars = None
