"""Rows of runs, epochs and steps as records and back, and the columns that repeat parts of a plan."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from operator import attrgetter
from statistics import median
from typing import Any, TypeVar

from advisor.cost.measurement import TrainedEpochs
from advisor.designs.design import parse_design
from advisor.names import check_name, check_step
from advisor.plans.navigation.path import Navigation
from advisor.plans.placement import phases
from advisor.plans.plan import TrainingPlan, TrainStep, plan_from_json, plan_to_json
from advisor.plans.records import (
    EnsembleMetrics,
    EpochRecord,
    Forecast,
    Run,
    RunStatus,
    StepRecord,
    StepStatus,
)
from advisor.serial import from_plain, to_plain
from db.checks.damage import check_amount, check_share
from db.checks.rows import readable
from db.models import EpochRow, RunRow, StepRow
from db.schema import folder_of

T = TypeVar("T")

# Columns of a run that repeat a figure on the test set, for listings.
FIGURES: dict[str, Callable[[EnsembleMetrics], float | None]] = {
    "test_error": attrgetter("error"),
    "mean_member_error": attrgetter("mean_member_error"),
    "voting_error": attrgetter("voting_error"),
    "super_learner_error": attrgetter("super_learner_error"),
    "best_member_error": attrgetter("best_member_error"),
    "calibration_error": attrgetter("calibration_error"),
}


def row_of_run(
    *,
    created_at: str,
    plan: TrainingPlan,
    parameters: int,
    fingerprint: str,
    forecast: Forecast | None,
    navigation: Navigation | None,
) -> RunRow:
    """Return the row of a run that starts now; arguments as for `db.queries.Store.create_run`."""
    design = parse_design(plan.design)
    return RunRow(
        created_at=created_at,
        status=RunStatus.RUNNING.value,
        design=plan.design,
        dataset=plan.dataset.name,
        family="+".join(design.families),
        method=plan.method.value,
        epochs=plan.epochs,
        members=len(design.members),
        clusters=design.clusters,
        batch=plan.batch,
        seed=plan.seed,
        device=plan.execution.device,
        parameters=parameters,
        train_seconds=0.0,
        predicted_train_seconds=_mean(forecast.train_seconds) if forecast else None,
        predicted_test_error=_mean(forecast.test_error) if forecast else None,
        fingerprint=fingerprint,
        message="",
        plan=plan_to_json(plan),
        forecast=_to_json(forecast),
        navigation=_to_json(navigation),
    )


def set_test(row: RunRow, test: EnsembleMetrics) -> None:
    """Write the figures on the test set into a run's row."""
    row.test = _to_json(test)
    for column, figure_of in FIGURES.items():
        setattr(row, column, figure_of(test))


def set_navigation(row: RunRow, navigation: Navigation) -> None:
    """Write what a stage knows of its path into a run's row."""
    row.navigation = _to_json(navigation)


def set_dataset(row: RunRow, name: str) -> None:
    """Write the name of the data set, whose folder may have moved, into a run's row and its plan."""
    plan = run_of(row).plan
    if plan.dataset.name != name:
        row.dataset = name
        row.plan = plan_to_json(replace(plan, dataset=replace(plan.dataset, name=name)))


def run_of(row: RunRow) -> Run:
    """Return the run of a row.

    Raises:
        DamagedRowError: plan, status, forecast, figures or columns of the row break a rule.
    """
    return readable(row, _run_of)


def _run_of(row: RunRow) -> Run:
    run = Run(
        id=row.id,
        created_at=row.created_at,
        status=RunStatus(row.status),
        plan=plan_from_json(row.plan),
        parameters=row.parameters,
        fingerprint=row.fingerprint,
        folder=folder_of(row.id),
        forecast=_from_json(Forecast, row.forecast),
        train_seconds=row.train_seconds,
        test=_from_json(EnsembleMetrics, row.test),
        message=row.message,
        navigation=_from_json(Navigation, row.navigation),
        overhead_seconds=row.overhead_seconds,
    )
    check_amount("train_seconds", run.train_seconds)
    check_amount("overhead_seconds", run.overhead_seconds)
    _check_repeated(row, run)
    return run


def _check_repeated(row: RunRow, run: Run) -> None:
    """Refuse a row whose columns differ from what they repeat of plan, forecast and figures.

    Raises:
        ValueError: a column differs.
        UsageError: a step of the forecast has an id that no step has.
    """
    plan, design, forecast = run.plan, parse_design(run.plan.design), run.forecast
    repeated = {
        "design": plan.design,
        "dataset": plan.dataset.name,
        "method": plan.method.value,
        "epochs": plan.epochs,
        "members": len(design.members),
        "clusters": design.clusters,
        "batch": plan.batch,
        "seed": plan.seed,
        "device": plan.execution.device,
        "predicted_train_seconds": _mean(forecast.train_seconds) if forecast else None,
        "predicted_test_error": _mean(forecast.test_error) if forecast else None,
        **{column: figure_of(run.test) if run.test else None for column, figure_of in FIGURES.items()},
    }
    for name, value in repeated.items():
        # Columns that came with a later schema are empty in older rows.
        if (stored := getattr(row, name)) is not None and not _is_same(stored, value):
            raise ValueError(f"{name} is {stored!r} and repeats {value!r}")
    for step in forecast.steps if forecast else ():
        check_step(step.step)


def _is_same(stored: object, value: object) -> bool:
    if isinstance(stored, float) and isinstance(value, float):
        # Older programs may have rounded the mean of the members otherwise.
        return math.isclose(stored, value, rel_tol=1e-9)
    return stored == value


def values_of_epoch(run_id: int, record: EpochRecord) -> dict[str, Any]:
    """Return the columns of an epoch."""
    return {"run_id": run_id, **asdict(record)}


def epoch_of(row: EpochRow) -> EpochRecord:
    """Return the epoch of a row.

    Raises:
        DamagedRowError: a name or a figure breaks a rule.
    """
    return readable(row, _epoch_of)


def _epoch_of(row: EpochRow) -> EpochRecord:
    check_step(row.step)
    check_name("network", row.network)
    for name in ("epoch", "seconds", "rate"):
        check_amount(name, getattr(row, name))
    for name in ("train_error", "validation_error"):
        check_share(name, getattr(row, name))
    return EpochRecord(
        step=row.step,
        network=row.network,
        epoch=row.epoch,
        rate=row.rate,
        train_loss=row.train_loss,
        train_error=row.train_error,
        validation_loss=row.validation_loss,
        validation_error=row.validation_error,
        validation_probabilities=row.validation_probabilities,
        seconds=row.seconds,
    )


def trained_epochs_of(plan: TrainingPlan, seconds: Mapping[str, list[float]]) -> list[TrainedEpochs]:
    """Return the durations of epochs, one record a training step.

    Two kinds of steps are left out, because their epochs do not show the speed of one device on one network:
    steps that several devices shared, and distillation, where the teacher computed every batch too.

    Args:
        plan: plan of the run.
        seconds: seconds of the epochs in their order, by step.
    """
    trained = [[step for step in phase if seconds.get(step.id)] for phase in phases(plan)]
    return [
        _trained(plan, step, seconds[step.id], min(len(phase), plan.execution.processes))
        for phase in trained
        for step in phase
        if step.devices == 1 and step.distillation is None
    ]


def _trained(plan: TrainingPlan, step: TrainStep, seconds: list[float], at_once: int) -> TrainedEpochs:
    # The first epoch also chooses kernels and fills caches.
    counted = seconds[1:] if len(seconds) > 2 else seconds
    return TrainedEpochs(
        network=plan.network(step.network).network,
        task=plan.dataset.task,
        batch=plan.batch,
        train_images=plan.dataset.train_images,
        validation_images=plan.dataset.validation_images,
        processes=at_once,
        augmentation=plan.dataset.augmentation.key,
        epochs=len(counted),
        seconds=median(counted),
    )


def values_of_step(run_id: int, record: StepRecord) -> dict[str, Any]:
    """Return the columns of a step."""
    return {"run_id": run_id, **asdict(record), "status": record.status.value}


def step_of(row: StepRow) -> StepRecord:
    """Return the step of a row.

    Raises:
        DamagedRowError: a name, the status or a figure breaks a rule.
    """
    return readable(row, _step_of)


def _step_of(row: StepRow) -> StepRecord:
    check_step(row.step)
    check_name("network", row.network)
    for name in ("seconds", "peak_bytes"):
        check_amount(name, getattr(row, name))
    return StepRecord(
        step=row.step,
        network=row.network,
        status=StepStatus(row.status),
        seconds=row.seconds,
        hatch_difference=row.hatch_difference,
        peak_bytes=row.peak_bytes,
        message=row.message,
    )


def _mean(interval: tuple[float, float, float] | None) -> float | None:
    return None if interval is None else interval[0]


def _to_json(record: Any) -> str | None:
    return None if record is None else json.dumps(to_plain(record))


def _from_json(kind: type[T], text: str | None) -> T | None:
    return None if text is None else from_plain(kind, json.loads(text))
