"""Progress on stderr: a live bar on a terminal, one plain line an epoch elsewhere (nohup, Slurm, CI)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from cli.render.formats import duration, percent

if TYPE_CHECKING:
    from advisor.plans.plan import TrainingPlan
    from advisor.plans.records import EpochRecord


class Speaker:
    """Lines and training progress for a person.

    Args:
        quiet: say nothing.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._epochs: dict[str, int] = {}
        # Epochs of earlier sittings.
        self._before = 0
        self._total = 0.0
        self._began = 0.0

    def say(self, text: str) -> None:
        """Show one line."""
        if not self.quiet:
            self.console.print(text, soft_wrap=True, markup=False)

    def begin(self, plan: TrainingPlan, expected_seconds: float | None) -> None:
        """Training starts."""
        schedules = [s.schedule for n in plan.built for s in plan.train_steps_of(n.name)]
        self._total = sum(schedule.expected_epochs for schedule in schedules)
        self._epochs, self._before, self._began = {}, 0, time.monotonic()
        if expected_seconds is not None:
            self.say(f"expected to take {duration(expected_seconds)}")
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

    def epoch(self, record: EpochRecord) -> None:
        """A network finished an epoch."""
        if record.step not in self._epochs and record.epoch > 0:
            # The last epoch of an earlier sitting is told again.
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
        else:
            self.say(f"{line}, {duration(record.seconds)}{', ' * bool(left)}{left}")

    def end(self) -> None:
        """Training ended."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _left(self, done: float) -> str:
        """Time left at the pace so far, every epoch counted alike."""
        if not self._before < done < self._total:
            return ""
        seconds = (time.monotonic() - self._began) / (done - self._before) * (self._total - done)
        return f"about {duration(seconds)} left"
