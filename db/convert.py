"""Conversion of rows to records and back, and of a plan to the columns that repeat parts of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any, TypeVar

from advisor.accuracy.reported import ReportedTraining
from advisor.cost.measurement import Fingerprint, LayerTime, Measurement, TrainedEpochs
from advisor.designs.design import parse_design
from advisor.errors import PlanError, StorageError, UsageError
from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation
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
from db.models import (
    EpochRow,
    MeasurementRow,
    RecommendationRow,
    ReportedTrainingRow,
    RunRow,
    StepRow,
)
from db.schema import folder_of

T = TypeVar("T")

# Columns of a reported training with lists of errors that may be missing.
ERRORS_MAYBE = ("errors_by_members", "member_curve", "ensemble_curve")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecommendation:
    """A stored recommendation.

    Attributes:
        id: number of the recommendation.
        created_at: time in UTC, ISO 8601.
        request: request of the user, plain JSON.
        payload: answer of the program, plain JSON.
    """

    id: int
    created_at: str
    request: dict[str, Any]
    payload: dict[str, Any]


def row_of_run(
    *, created_at: str, plan: TrainingPlan, parameters: int, fingerprint: str, forecast: Forecast | None
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
    )


def set_test(row: RunRow, test: EnsembleMetrics) -> None:
    """Write the figures on the test set into a run's row."""
    row.test = _to_json(test)
    row.test_error = test.error
    row.mean_member_error = test.mean_member_error
    row.voting_error = test.voting_error
    row.super_learner_error = test.super_learner_error
    row.best_member_error = test.best_member_error
    row.calibration_error = test.calibration_error


def set_dataset(row: RunRow, name: str) -> None:
    """Write the name of the data set, whose folder may have moved, into a run's row and its plan."""
    plan = run_of(row).plan
    if plan.dataset.name != name:
        row.dataset = name
        row.plan = plan_to_json(replace(plan, dataset=replace(plan.dataset, name=name)))


def run_of(row: RunRow) -> Run:
    """Return the run of a row.

    Raises:
        StorageError: plan, status, forecast or test figures of the row cannot be read.
    """
    try:
        return Run(
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
        )
    except (PlanError, ValueError) as error:
        raise _unreadable(f"run {row.id}", error) from error


def values_of_epoch(run_id: int, record: EpochRecord) -> dict[str, Any]:
    """Return the columns of an epoch."""
    return {"run_id": run_id, **asdict(record)}


def epoch_of(row: EpochRow) -> EpochRecord:
    """Return the epoch of a row."""
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
        steps
    that several devices shared, and distillation, where the teacher computed every batch too.

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
        StorageError: the status is unknown.
    """
    try:
        status = StepStatus(row.status)
    except ValueError as error:
        raise _unreadable(f"step {row.step} of run {row.run_id}", error) from error
    return StepRecord(
        step=row.step,
        network=row.network,
        status=status,
        seconds=row.seconds,
        hatch_difference=row.hatch_difference,
        peak_bytes=row.peak_bytes,
        message=row.message,
    )


def row_of_measurement(record: Measurement) -> MeasurementRow:
    """Return the row of a measurement."""
    values = asdict(record)
    task = values.pop("task")
    values["fingerprint"] = _to_json(record.fingerprint)
    values["layers"] = _text_of_layers(record.layers)
    return MeasurementRow(digest=record.fingerprint.digest, **task, **values)


def measurement_of(row: MeasurementRow) -> Measurement:
    """Return the measurement of a row.

    Raises:
        StorageError: fingerprint, layers or times of the row cannot be read.
    """
    try:
        return _measurement_of(row)
    except (ValueError, TypeError, UsageError) as error:
        raise _unreadable(f"measurement {row.id}", error) from error


def _measurement_of(row: MeasurementRow) -> Measurement:
    return Measurement(
        network=row.network,
        task=Task(channels=row.channels, height=row.height, width=row.width, classes=row.classes),
        batch=row.batch,
        fingerprint=from_plain(Fingerprint, json.loads(row.fingerprint)),
        processes=row.processes,
        fits=row.fits,
        forward_seconds=row.forward_seconds,
        backward_seconds=row.backward_seconds,
        optimizer_seconds=row.optimizer_seconds,
        step_seconds=row.step_seconds,
        step_iqr_seconds=row.step_iqr_seconds,
        inference_seconds=row.inference_seconds,
        layers=_layers_of(row.layers),
        reference_seconds=row.reference_seconds,
        peak_bytes=row.peak_bytes,
        reserved_bytes=row.reserved_bytes,
        watts=row.watts,
        clock_mhz=row.clock_mhz,
        throttle=row.throttle,
        spent_seconds=row.spent_seconds,
        measured_at=row.measured_at,
    )


def _text_of_layers(layers: tuple[LayerTime, ...]) -> str:
    rows = [[t.name, t.forward_seconds, t.backward_seconds, t.inference_seconds] for t in layers]
    return json.dumps(rows, separators=(",", ":"))


def _layers_of(text: str) -> tuple[LayerTime, ...]:
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise ValueError("layers must be a list")
    return tuple(_layer_of(*row) for row in rows)


def _layer_of(name: str, forward: float, backward: float, inference: float) -> LayerTime:
    # `from_plain` would take seconds for the layers of some hundred measurements.
    times = (forward, backward, inference)
    if not isinstance(name, str) or not all(type(t) in (float, int) and 0 <= t < math.inf for t in times):
        raise ValueError("a layer must have a name and three times")
    return LayerTime(
        name=name, forward_seconds=forward, backward_seconds=backward, inference_seconds=inference
    )


def row_of_recommendation(
    created_at: str, request: dict[str, Any], payload: dict[str, Any]
) -> RecommendationRow:
    """Return the row of a recommendation."""
    return RecommendationRow(created_at=created_at, request=json.dumps(request), payload=json.dumps(payload))


def recommendation_of(row: RecommendationRow) -> StoredRecommendation:
    """Return the recommendation of a row.

    Raises:
        StorageError: the row is not JSON.
    """
    try:
        request, payload = json.loads(row.request), json.loads(row.payload)
    except ValueError as error:
        raise _unreadable(f"recommendation {row.id}", error) from error
    return StoredRecommendation(id=row.id, created_at=row.created_at, request=request, payload=payload)


def values_of_reported(record: ReportedTraining) -> dict[str, Any]:
    """Return the columns of a reported training, without source and time of the import."""
    values = asdict(record)
    # Not in the digest, because the same training may be reported by another file without these.
    further = {"validation_images": values.pop("validation_images")} | {
        name: _text_of_errors(values.pop(name)) for name in ERRORS_MAYBE
    }
    task = values.pop("task")
    values["augmentation"] = record.augmentation.value
    values["member_errors"] = json.dumps(record.member_errors)
    values |= task
    text = json.dumps(values, sort_keys=True)
    return values | further | {"digest": hashlib.sha256(text.encode()).hexdigest()}


def reported_of(row: ReportedTrainingRow) -> ReportedTraining:
    """Return the reported training of a row.

    Raises:
        StorageError: task, augmentation, errors or curves of the row cannot be read.
    """
    try:
        return ReportedTraining(
            dataset=row.dataset,
            task=Task(channels=row.channels, height=row.height, width=row.width, classes=row.classes),
            augmentation=Augmentation(row.augmentation),
            train_images=row.train_images,
            test_images=row.test_images,
            design=row.design,
            epochs=row.epochs,
            batch=row.batch,
            seed=row.seed,
            error=row.error,
            member_errors=_errors_of(row.member_errors),
            device=row.device,
            date=row.date,
            validation_images=row.validation_images,
            errors_by_members=_errors_or_none(row.errors_by_members),
            member_curve=_errors_or_none(row.member_curve),
            ensemble_curve=_errors_or_none(row.ensemble_curve),
        )
    except (ValueError, UsageError) as error:
        raise _unreadable(f"reported training {row.id}", error) from error


def _text_of_errors(errors: tuple[float, ...] | None) -> str | None:
    return None if errors is None else json.dumps(errors)


def _errors_or_none(text: str | None) -> tuple[float, ...] | None:
    return None if text is None else _errors_of(text)


def _errors_of(text: str) -> tuple[float, ...]:
    errors = json.loads(text)
    if not isinstance(errors, list) or not errors or not all(type(e) in (float, int) for e in errors):
        raise ValueError("errors must be a list of numbers")
    return tuple(float(e) for e in errors)


def _mean(interval: tuple[float, float, float] | None) -> float | None:
    return None if interval is None else interval[0]


def _to_json(record: Any) -> str | None:
    return None if record is None else json.dumps(to_plain(record))


def _from_json(kind: type[T], text: str | None) -> T | None:
    return None if text is None else from_plain(kind, json.loads(text))


def _unreadable(what: str, error: Exception) -> StorageError:
    return StorageError(f"{what} of the database cannot be read ({error}): delete it, or upgrade advisor")
