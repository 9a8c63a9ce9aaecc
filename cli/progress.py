"""Progress on stderr: a live bar on a terminal, a plain line for each epoch elsewhere (nohup, Slurm, CI).

Progress that cannot be shown is left out: neither a full disk behind stderr nor a reader that went away ends
a training.
"""

from __future__ import annotations

import time
from contextlib import suppress

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from advisor.plans.plan import TrainingPlan, TrainStep
from advisor.plans.records import EpochRecord
from cli.console import progress
from cli.render.formats import duration, percent
from cli.workflows.views import Said, TrainingBegun, TrainingEnded


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
        self._bar: Progress | None = None
        self._epochs: dict[str, int] = {}
        # Epochs from before a run was resumed.
        self._before = 0
        self._total = 0.0
        self._began = 0.0
        self._brief = False

    def __call__(self, said: Said) -> None:
        """Show a line, or the progress of a training.

        Nothing ends because nobody reads any more: the terminal was closed, or a pipe.
        """
        with suppress(OSError):
            match said:
                case str():
                    self._show_line(said)
                case TrainingBegun(plan, expected_seconds, one_of_many, step):
                    self._begin(plan, None if one_of_many else expected_seconds, step)
                    self._brief = one_of_many
                case EpochRecord():
                    self._show_epoch(said)
                case TrainingEnded():
                    self._end()

    def _show_line(self, text: str) -> None:
        if self.quiet:
            return
        if self.verbose:
            text = f"[{time.monotonic() - self._created:.1f} s] {text}"
        self.console.print(text, soft_wrap=True, markup=False)

    def _begin(self, plan: TrainingPlan, expected_seconds: float | None, step: str | None) -> None:
        schedules = [s.schedule for s in plan.steps if isinstance(s, TrainStep) and step in (None, s.id)]
        self._total = sum(schedule.expected_epochs for schedule in schedules)
        self._epochs, self._before, self._began = {}, 0, time.monotonic()
        if expected_seconds is not None:
            self._show_line(f"expected to take {duration(expected_seconds)}")
        if self.console.is_terminal and not self.quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=self.console,
                transient=True,
            )
            self._bar.add_task("training", total=self._total, left="")
            self._bar.start()

    def _show_epoch(self, record: EpochRecord) -> None:
        if record.step not in self._epochs and record.epoch > 0:
            # A resumed run reports its last finished epoch again.
            self._before += record.epoch + 1
        self._epochs[record.step] = record.epoch + 1
        done = sum(self._epochs.values())
        left = self._left(done)
        line = (
            f"{record.network} epoch {record.epoch + 1}: training error {percent(record.train_error)}, "
            f"validation error {percent(record.validation_error)}"
        )
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, description=line, left=left)
        elif not self._brief:
            self._show_line(f"{line}, {duration(record.seconds)}{', ' * bool(left)}{left}")

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _left(self, done: float) -> str:
        """Return the time left at the mean pace so far, empty before the first epoch and after the last."""
        if not self._before < done < self._total:
            return ""
        seconds = (time.monotonic() - self._began) / (done - self._before) * (self._total - done)
        return f"about {duration(seconds)} left"
