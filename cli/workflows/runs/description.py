"""`advisor runs show`: what was planned, predicted and done, and how it turned out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields

from advisor.cost.money.machine_price import usd_of_seconds, usd_of_training
from advisor.estimate import Estimate
from advisor.plans.convergence.expectation import converging_epochs
from advisor.plans.dataset import DatasetFacts
from advisor.plans.plan import PlannedNetwork, Role, Step
from advisor.plans.records import (
    EnsembleMetrics,
    EpochRecord,
    Forecast,
    PredictedStep,
    RunStatus,
    StepRecord,
)
from advisor.plans.records import Run as StoredRun
from cli.workflows.answers.runs.class_errors import ErrorsByClass
from cli.workflows.answers.runs.run import (
    EnsembleFigures,
    PredictedFigures,
    Run,
    RunStep,
    TrainedNetwork,
)
from cli.workflows.home import Home
from cli.workflows.runs.lookup import reading_store, run_id_of, stored_run
from cli.workflows.runs.navigation.view import path_of
from cli.workflows.runs.steps.accounting import was_disturbed
from db.queries import Store


def show_run(home: Home, run: str, price_per_hour: float | None = None) -> Run:
    """Return a run with its networks, steps, forecast and errors by class.

    Args:
        home: home of the run.
        run: its number, or ``last``.
        price_per_hour: price of the machine in USD per hour, None for no cost.

    Raises:
        UsageError: no such run.
    """
    number = run_id_of(run, home)
    with reading_store(home) as store:
        return describe_run(store, home, number, price_per_hour)


def describe_run(store: Store, home: Home, number: int, price_per_hour: float | None = None) -> Run:
    """Return a run from an open database.

    Args:
        store: database of the run.
        home: home of the run.
        number: number of the run.
        price_per_hour: price of the machine in USD per hour, None for no cost.

    Raises:
        UsageError: no such run.
    """
    run = stored_run(store, home, number)
    records = {record.step: record for record in store.steps(number)}
    predicted = {step.step: step for step in run.forecast.steps} if run.forecast else {}
    networks = _networks(run, store.epochs(number))
    matrix = store.confusion(number)
    return Run(
        id=run.id,
        created_at=run.created_at,
        status=run.status,
        message=run.message,
        design=run.plan.design,
        method=run.plan.method,
        dataset=run.plan.dataset.name,
        epochs=run.plan.epochs,
        batch=run.plan.batch,
        seed=run.plan.seed,
        execution=run.plan.execution,
        parameters=run.parameters,
        folder=run.folder,
        train_seconds=run.train_seconds,
        test=_figures(run.test),
        predicted=_predicted(run.forecast, price_per_hour),
        networks=networks,
        steps=tuple(_step(step, predicted.get(step.id), records.get(step.id)) for step in run.plan.steps),
        augmentation=run.plan.dataset.augmentation,
        hint=_hint(run, networks),
        by_class=None if matrix is None else ErrorsByClass.of(matrix),
        price_per_hour_usd=price_per_hour,
        cost_usd=_cost(run.train_seconds, price_per_hour),
        navigation=path_of(run, price_per_hour),
        busy_machine=was_disturbed(run),
        overhead_seconds=run.overhead_seconds,
        path=home.run_folder(run.folder).absolute(),
        plan=run.plan,
    )


def _networks(run: StoredRun, epochs: Sequence[EpochRecord]) -> tuple[TrainedNetwork, ...]:
    newest = {epoch.network: epoch for epoch in epochs}
    counts = _finished_epochs(epochs)

    def described(network: PlannedNetwork) -> TrainedNetwork:
        epoch = newest.get(network.name)
        return TrainedNetwork(
            name=network.name,
            network=network.network,
            role=network.role,
            epochs=counts[network.name],
            validation_error=None if epoch is None else epoch.validation_error,
            train_error=None if epoch is None else epoch.train_error,
            predicted_epochs=_predicted_epochs(run, network),
        )

    return tuple(map(described, run.plan.networks))


def _predicted_epochs(run: StoredRun, network: PlannedNetwork) -> Estimate | None:
    """Return the expected epochs of a network whose last training convergence ends, else None."""
    last = run.plan.train_steps_of(network.name)[-1]
    return converging_epochs(last.schedule) if network.output_of is None else None


def _hint(run: StoredRun, networks: Sequence[TrainedNetwork]) -> str | None:
    """Return a hint at flips where all members of a finished run guess on validation images.

    A member guesses if its error is within a standard deviation of that of the most frequent class for every
    image. Where nearly all images are of one class, too few validation images are left to tell.
    """
    facts = run.plan.dataset
    errors = [
        n.validation_error for n in networks if n.role is Role.MEMBER and n.validation_error is not None
    ]
    ended = run.status in (RunStatus.DONE, RunStatus.PARTIAL, RunStatus.DIVERGED)
    if not ended or not errors or not facts.augmentation.flips:
        return None
    chance = 1 - _largest_share(facts)
    least = chance - math.sqrt(chance * (1 - chance) / facts.validation_images)
    if least <= 0 or min(errors) < least:
        return None
    return (
        f"the validation error stays at chance. The augmentation {facts.augmentation} flips images, which "
        "makes left and right alike: if they tell the classes apart, train with --augment crop or "
        "--augment none"
    )


def _largest_share(facts: DatasetFacts) -> float:
    """Return the share of the most frequent class in the images to train on; classes are equal if unknown."""
    if facts.identity is None:
        return 1 / facts.task.classes
    return max(facts.identity.train_images) / sum(facts.identity.train_images)


def _finished_epochs(epochs: Sequence[EpochRecord]) -> Counter[str]:
    """Return the number of finished epochs by network.

    Not all have records in a run that extends another: its checkpoints bring only their newest one along.
    """
    last = {(epoch.network, epoch.step): 0 for epoch in epochs}
    for epoch in epochs:
        last[epoch.network, epoch.step] = max(last[epoch.network, epoch.step], epoch.epoch + 1)
    counts: Counter[str] = Counter()
    for (network, _), count in last.items():
        counts[network] += count
    return counts


def _figures(test: EnsembleMetrics | None) -> EnsembleFigures | None:
    if test is None:
        return None
    return EnsembleFigures(**{field.name: getattr(test, field.name) for field in fields(EnsembleFigures)})


def _cost(seconds: float, price_per_hour: float | None) -> float | None:
    """Return what the training so far cost in USD; None where there is no price, or nothing was trained."""
    if price_per_hour is None or not seconds:
        return None
    return usd_of_seconds(seconds, price_per_hour)


def _predicted(forecast: Forecast | None, price_per_hour: float | None) -> PredictedFigures | None:
    if forecast is None:
        return None
    seconds = _estimate(forecast.train_seconds)
    return PredictedFigures(
        train_seconds=seconds,
        train_peak_bytes=_estimate(forecast.train_peak_bytes),
        inference_ms_per_image=_estimate(forecast.inference_ms_per_image),
        test_error=_estimate(forecast.test_error),
        cost_usd=usd_of_training(seconds, price_per_hour),
        overhead_seconds=_estimate(forecast.overhead_seconds),
    )


def _estimate(triple: tuple[float, float, float] | None) -> Estimate | None:
    return None if triple is None else Estimate(*triple)


def _step(step: Step, predicted: PredictedStep | None, record: StepRecord | None) -> RunStep:
    return RunStep(
        step=step.id,
        network=step.network,
        status=None if record is None else record.status,
        message="" if record is None else record.message,
        predicted_seconds=(
            None if predicted is None else Estimate(predicted.mean, predicted.low, predicted.high)
        ),
        actual_seconds=None if record is None else record.seconds,
        peak_bytes=None if record is None else record.peak_bytes,
        hatch_difference=None if record is None else record.hatch_difference,
    )
