"""Which steps of a plan are waiting, ready and ended, and who hears of it."""

from __future__ import annotations

from typing import Protocol

from advisor.plans.placement import devices_of
from advisor.plans.plan import Step, TrainingPlan
from advisor.plans.records import EpochRecord, StepRecord
from trainer.execution.plan_step import DONE, FAILED, STOPPED


class Listener(Protocol):
    """Told of what happens, in the parent process."""

    def started(self) -> None:
        """All processes are up and hold the data; the first step begins."""

    def epoch(self, record: EpochRecord) -> None:
        """A network finished an epoch."""

    def step(self, record: StepRecord) -> None:
        """A step ended."""

    def notice(self, text: str) -> None:
        """Something went another way than planned."""


class Frontier:
    """Which steps are ready, running and done."""

    def __init__(self, plan: TrainingPlan, listener: Listener) -> None:
        self.waiting = list(plan.steps)
        self.listener = listener
        self.ended: dict[str, StepRecord] = {}

    def next_ready(self, free: int = 1) -> Step | None:
        """Take the first step whose dependencies are done and that finds its slots free.

        Steps that depend on a failure fail.
        """
        for step in list(self.waiting):
            before = [self.ended.get(name) for name in step.after]
            failed = next((r for r in before if r is not None and r.status != DONE), None)
            if failed is not None:
                self.waiting.remove(step)
                message = f"{failed.step} {failed.status}"
                self.finish(
                    step,
                    StepRecord(
                        step=step.id, network=step.network, status=FAILED, seconds=0.0, message=message
                    ),
                )
            elif devices_of(step) <= free and all(record is not None for record in before):
                self.waiting.remove(step)
                return step
        return None

    def finish(self, step: Step, record: StepRecord) -> None:
        """Note the end of a step; a stopped step has not ended."""
        if record.status != STOPPED:
            self.ended[step.id] = record
            self.listener.step(record)
