"""Finished runs of an ensemble that stand beside its forecasts, found by the plan that they executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from advisor.cost.money.machine_price import usd_of_seconds
from advisor.decision.frontier.sweep import Way
from advisor.plans.convergence.expectation import with_expected_epochs
from advisor.plans.convergence.predictor import EpochPredictor
from advisor.plans.plan import TrainingPlan, plan_to_json
from advisor.plans.records import Run
from cli.workflows.answers.examine.frontier import MeasuredRun
from cli.workflows.forecast.machine import plain_execution


@dataclass(frozen=True, slots=True)
class FinishedRuns:
    """Finished runs and the machine at hand.

    Attributes:
        finished: finished runs.
        machines: digests of this machine, whose seconds are comparable.
        price_per_hour: price of the machine in USD per hour, None for no cost.
    """

    finished: Sequence[Run]
    machines: frozenset[str]
    price_per_hour: float | None

    def of(self, plan: TrainingPlan) -> tuple[MeasuredRun, ...]:
        """Return the runs of a plan, whatever their seed and arithmetic."""
        wanted = _same_training(plan)
        return tuple(
            self._measured(run)
            for run in self.finished
            if run.plan.design == plan.design
            and run.plan.method is plan.method
            and _same_training(run.plan) == wanted
        )

    def of_ensemble(self, ways: Sequence[Way]) -> list[int]:
        """Return the numbers of the runs of any way on the data, whatever their epochs and settings."""
        names, key = {way.plan.design for way in ways}, ways[0].plan.dataset.key
        return [run.id for run in self.finished if run.plan.design in names and run.plan.dataset.key == key]

    def _measured(self, run: Run) -> MeasuredRun:
        assert run.test is not None
        seconds = run.train_seconds if run.fingerprint in self.machines else None
        cost = None
        if seconds is not None and self.price_per_hour is not None:
            cost = usd_of_seconds(seconds, self.price_per_hour)
        return MeasuredRun(
            run=run.id,
            seed=run.plan.seed,
            test_error=run.test.error,
            mean_member_error=run.test.mean_member_error,
            train_seconds=seconds,
            cost_usd=cost,
        )


def _same_training(plan: TrainingPlan) -> str:
    """Return a plan as text without seed, arithmetic, place of the data and expected epochs."""
    data = replace(plan.dataset, name=plan.dataset.key)
    same = replace(plan, seed=0, dataset=data, execution=plain_execution("cpu"))
    # The epochs to convergence that are expected change with every run.
    return plan_to_json(with_expected_epochs(same, EpochPredictor()))
