"""How much of a run is done, and how long the rest takes.

Notation, for a training step i of the plan:

    e_i   epochs so far
    n_i   epochs in the end: those that it had if it ended, else the expected ones, at least e_i
    w_i   predicted seconds
    a     seconds that the epochs so far took, summed over all steps

The share of the forecast that is left is r = Σ w_i (1 − e_i / n_i) / Σ w_i. The pace is p = a / Σ w_i e_i /
n_i, and 1 before the first epoch. Networks that train at the same time slow each other down in a and in w_i,
so p does not depend on how many do. What is left is r · p of the forecast of the whole training, interval
included.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from advisor.estimate import Estimate
from advisor.plans.plan import TrainStep
from advisor.plans.records import Forecast, Run
from cli.workflows.answers.runs.curves import RunProgress


@dataclass(frozen=True, slots=True)
class StepProgress:
    """A training step that is under way, or waits, or has ended.

    Attributes:
        done: epochs so far.
        planned: epochs in the end.
        seconds: wall-clock time of the epochs so far, in seconds.
    """

    done: int
    planned: float
    seconds: float

    @property
    def share(self) -> float:
        """Share of the step that is done."""
        return min(self.done / self.planned, 1.0) if self.planned else 1.0


def step_progress(step: TrainStep, epochs: Mapping[int, float], ended: Collection[str]) -> StepProgress:
    """Return the progress of a training step.

    Args:
        step: the step.
        epochs: seconds of its epochs so far, by number. Those of another run may be missing.
        ended: ids of the steps that have ended.
    """
    done = max(epochs, default=-1) + 1
    planned = done if step.id in ended else max(step.schedule.expected_epochs, done)
    return StepProgress(done, planned, sum(epochs.values()))


def progress_of(run: Run, steps: Mapping[str, StepProgress]) -> RunProgress:
    """Return the progress of a run.

    Args:
        run: the run.
        steps: progress of its training steps, by id.
    """
    return RunProgress(
        epochs_done=sum(step.done for step in steps.values()),
        epochs_planned=sum(step.planned for step in steps.values()),
        seconds_spent=run.train_seconds,
        seconds_left=None if run.forecast is None else _left(run.forecast, steps),
    )


def _left(forecast: Forecast, steps: Mapping[str, StepProgress]) -> Estimate | None:
    """Return the wall-clock time of the rest; None where no time was predicted."""
    weights = {step.step: step.mean for step in forecast.steps if step.step in steps}
    total = sum(weights.values())
    if forecast.train_seconds is None or not total:
        return None
    # Steps that this run got from another one have no forecast.
    done = {name: weight * steps[name].share for name, weight in weights.items()}
    taken = sum(steps[name].seconds for name in weights)
    foretold = sum(done.values())
    pace = taken / foretold if taken and foretold else 1.0
    return Estimate(*forecast.train_seconds).scaled((1 - foretold / total) * pace)
