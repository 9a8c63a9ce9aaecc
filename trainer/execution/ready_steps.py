"""Steps of a plan by their state: waiting, ready or ended."""

from __future__ import annotations

from advisor.plans.placement import devices_of
from advisor.plans.plan import Step, TrainingPlan
from advisor.plans.records import StepRecord, StepStatus
from trainer.events import Tell


class ReadySteps:
    """Steps that wait for their dependencies, and records of the steps that ended.

    Args:
        plan: plan to execute.
        tell: receiver of the records of steps.

    Attributes:
        waiting: steps that have not been taken yet, in the order of the plan.
        ended: records by the id of the step.
    """

    def __init__(self, plan: TrainingPlan, tell: Tell) -> None:
        self.waiting = list(plan.steps)
        self.tell = tell
        self.ended: dict[str, StepRecord] = {}

    def next_ready(self, free: int = 1) -> Step | None:
        """Take the first step that can start now.

        Its dependencies are done, and there are as many free slots as it has devices. Steps that depend on a
        failed step fail on the way.

        Args:
            free: number of free slots.

        Returns:
            A step, which is no longer waiting; None if no step can start.
        """
        for step in list(self.waiting):
            before = [self.ended.get(name) for name in step.after]
            failed = next((r for r in before if r is not None and r.status is not StepStatus.DONE), None)
            if failed is not None:
                self.waiting.remove(step)
                self.finish(failed_record(step, f"{failed.step} {failed.status}"))
            elif devices_of(step) <= free and all(record is not None for record in before):
                self.waiting.remove(step)
                return step
        return None

    def finish(self, record: StepRecord) -> None:
        """Store and tell the record of a step, unless the step was stopped and has therefore not ended."""
        if record.status is not StepStatus.STOPPED:
            self.ended[record.step] = record
            self.tell(record)


def failed_record(step: Step, message: str, status: StepStatus = StepStatus.FAILED) -> StepRecord:
    """Return the record of a step that failed.

    Args:
        step: step of the plan.
        message: reason, one line.
        status: `FAILED`, or `DIVERGED` for a loss that was not finite.
    """
    return StepRecord(step=step.id, network=step.network, status=status, seconds=0.0, message=message)


def stopped_record(step: Step) -> StepRecord:
    """Return the record of a step that was asked to stop."""
    return StepRecord(step=step.id, network=step.network, status=StepStatus.STOPPED, seconds=0.0)
