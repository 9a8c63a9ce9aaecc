"""Forecasts of a plan on numbers of slots that the machine need not have."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.cost.parallel.slot_times import slot_times
from advisor.cost.predictor import CostPredictor
from advisor.errors import UsageError
from advisor.plans.plan import TrainingPlan
from cli.workflows.answers.examine.slot_forecast import SlotForecast


def slot_forecasts(
    plan: TrainingPlan, predictor: CostPredictor, counts: Sequence[int], full_data: TrainingPlan | None = None
) -> tuple[SlotForecast, ...]:
    """Return the forecasts of a plan, one for each number of slots.

    Args:
        plan: the plan.
        predictor: predictor of the machine that has one slot of them.
        counts: numbers of slots.
        full_data: plan whose seconds on one slot are the unit of `time_over_full_data`; None for none.
    """
    if not counts:
        return ()
    one, *found = slot_times(plan, predictor, [1, *counts])
    unit = None if full_data is None else slot_times(full_data, predictor, [1])[0].train_seconds.mean
    known = predictor.basis != "nominal"
    return tuple(
        SlotForecast(
            slots=times.slots,
            used=times.used,
            sharing=times.sharing,
            train_seconds=times.train_seconds if known else None,
            work_seconds=times.work_seconds if known else None,
            critical_path_seconds=times.critical_path_seconds if known else None,
            times_faster=one.train_seconds.mean / times.train_seconds.mean,
            time_over_full_data=None if unit is None else times.train_seconds.mean / unit,
        )
        for times in found
    )


def refuse_slots_of_a_run(counts: Sequence[int], run: str) -> None:
    """Refuse numbers of slots for a run, whose forecast is that of its own slots.

    Raises:
        UsageError: there are such numbers.
    """
    if counts:
        raise UsageError(f"--slots {run}: a run has the slots that it began with: name a design or a plan")
