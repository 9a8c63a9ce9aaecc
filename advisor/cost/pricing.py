"""The price of a plan: seconds of every step and of the whole training, peak memory and latency.

Training time comes from a simulation of the plan's concurrency (`advisor.cost.parallel`). Last, every
interval of the price is corrected (`advisor.conformal`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from advisor.conformal import Correction, Quantity
from advisor.cost.memory.liveness import FLOAT_BYTES
from advisor.cost.parallel.spans import Spans, epochs_alone, shared_by, spans_of, training_spans
from advisor.cost.predictor import CostPredictor
from advisor.estimate import Estimate, total
from advisor.networks.shared_layers import graph_of
from advisor.plans.placement import devices_of, slots
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Forecast, PredictedStep

# Name of the last step, which no plan lists: the evaluation of the members after training.
EVALUATE = "evaluate"


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedStep:
    """Seconds of one step, slowed down by the steps that run at the same time."""

    step: str
    network: str
    seconds: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedPlan:
    """Predicted cost of a plan.

    Attributes:
        steps: cost of each step, and of the evaluation on validation and test images after training.
        train_seconds: seconds of the whole training at the plan's concurrency.
        epoch_seconds: seconds of one epoch of every member at the plan's concurrency.
        inference_ms_per_image: milliseconds an image of all members one after the other, at the plan's batch.
        train_peak_bytes: peak memory of the networks that train at the same time.
        train_reserved_bytes: bytes that CUDA's allocator reserves for them; None if that was never measured.
        inference_peak_bytes: peak memory with all members loaded and one of them computing.
        fits: false if a network is known to have run out of memory at this batch.
        energy_joules: energy of the whole training at the power that the device reported while it was
            measured; of GPUs only while they are in use. None if the device reports no power.
        unmeasured: properties of the plan's networks that were never measured, in words; intervals are wider
            for them.
        corrections: corrections that the intervals have.
    """

    steps: tuple[PricedStep, ...]
    train_seconds: Estimate
    epoch_seconds: Estimate
    inference_ms_per_image: Estimate
    train_peak_bytes: Estimate
    train_reserved_bytes: Estimate | None = None
    inference_peak_bytes: Estimate
    fits: bool = True
    energy_joules: Estimate | None = None
    unmeasured: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()

    @property
    def memory_bytes(self) -> Estimate:
        """Device memory that training takes: the reserved bytes if they are known, else the peak."""
        return self.train_reserved_bytes or self.train_peak_bytes

    def forecast(self, test_error: Estimate | None, error_correction: Correction | None = None) -> Forecast:
        """Return the forecast that is stored with a run.

        Args:
            test_error: predicted test error; None if it is unknown.
            error_correction: correction that its interval has; None if it is unknown.
        """
        return Forecast(
            train_seconds=_triple(self.train_seconds),
            train_peak_bytes=_triple(self.train_peak_bytes),
            inference_ms_per_image=_triple(self.inference_ms_per_image),
            test_error=None if test_error is None else _triple(test_error),
            steps=tuple(
                PredictedStep(step=s.step, mean=s.seconds.mean, low=s.seconds.low, high=s.seconds.high)
                for s in self.steps
            ),
            corrections=self.corrections + (() if error_correction is None else (error_correction,)),
        )


def price(plan: TrainingPlan, predictor: CostPredictor, done: frozenset[str] = frozenset()) -> PricedPlan:
    """Return the price of a plan on the machine of the predictor.

    Args:
        plan: plan to price.
        predictor: predictor of the machine.
        done: names of steps that are done already and cost nothing more.
    """
    task, batch = plan.dataset.task, plan.batch
    epochs = epochs_alone(plan, predictor)
    names = list(epochs)
    spans = training_spans(plan, epochs, predictor, done)
    asked = [plan.network(name).network for name in plan.asked]
    latency = total([predictor.inference_seconds(name, task, batch) for name in asked])
    evaluated = plan.dataset.validation_images + plan.dataset.test_images
    steps = [
        PricedStep(step=step.id, network=step.network, seconds=span)
        for step, span in zip(plan.steps, spans.each, strict=True)
    ]
    steps.append(PricedStep(step=EVALUATE, network="", seconds=latency.scaled(evaluated / batch)))
    unmeasured = (text for name in names for text in predictor.unmeasured(name, task, batch))
    priced = PricedPlan(
        steps=tuple(steps),
        train_seconds=spans.whole,
        epoch_seconds=_epoch_of_all(plan, epochs, predictor),
        inference_ms_per_image=latency.scaled(1000 / batch),
        train_peak_bytes=_training_peak(plan, predictor),
        train_reserved_bytes=_training_reserved(plan, predictor),
        inference_peak_bytes=_evaluating(asked, plan, predictor),
        fits=all(predictor.fits(name, task, batch) for name in names),
        energy_joules=_energy(plan, spans, predictor),
        unmeasured=tuple(dict.fromkeys(unmeasured)),
    )
    return _corrected(priced, predictor)


def _corrected(priced: PricedPlan, predictor: CostPredictor) -> PricedPlan:
    """Return a price whose intervals are corrected; means stay."""
    time, memory, latency = (
        predictor.correction(quantity) for quantity in (Quantity.TIME, Quantity.MEMORY, Quantity.LATENCY)
    )
    reserved, energy = priced.train_reserved_bytes, priced.energy_joules
    steps = (
        replace(step, seconds=(latency if step.step == EVALUATE else time).applied(step.seconds))
        for step in priced.steps
    )
    return replace(
        priced,
        steps=tuple(steps),
        train_seconds=time.applied(priced.train_seconds),
        epoch_seconds=time.applied(priced.epoch_seconds),
        inference_ms_per_image=latency.applied(priced.inference_ms_per_image),
        train_peak_bytes=memory.applied(priced.train_peak_bytes),
        train_reserved_bytes=None if reserved is None else memory.applied(reserved),
        inference_peak_bytes=memory.applied(priced.inference_peak_bytes),
        energy_joules=None if energy is None else time.applied(energy),
        corrections=(time, memory, latency),
    )


def _epoch_of_all(plan: TrainingPlan, epochs: dict[str, Estimate], predictor: CostPredictor) -> Estimate:
    """Return the seconds of one epoch of every member at the plan's concurrency."""
    devices = {name: plan.train_steps_of(name)[-1].devices for name in plan.asked}
    seconds = [shared_by(epochs[plan.network(name).network], shared) for name, shared in devices.items()]
    contention = predictor.contention(plan.execution.processes)
    return spans_of(list(devices), [()] * len(devices), seconds, slots(plan), contention, devices).whole


def _training_peak(plan: TrainingPlan, predictor: CostPredictor) -> Estimate:
    """Return the peak memory of the networks that train at the same time."""
    task, batch = plan.dataset.task, plan.batch
    names = [network.network for network in plan.built]
    peaks = {name: predictor.training_peak_bytes(name, task, batch) for name in set(names)}
    return _at_once([peaks[name] for name in names], plan.execution.processes)


def _training_reserved(plan: TrainingPlan, predictor: CostPredictor) -> Estimate | None:
    """Return the bytes that the allocator reserves for them; None if one of them is unknown."""
    task, batch = plan.dataset.task, plan.batch
    names = [network.network for network in plan.built]
    reserved = {name: predictor.reserved_bytes(name, task, batch) for name in set(names)}
    found = [bytes_ for name in names if (bytes_ := reserved[name]) is not None]
    return _at_once(found, plan.execution.processes) if len(found) == len(names) else None


def _energy(plan: TrainingPlan, spans: Spans, predictor: CostPredictor) -> Estimate | None:
    """Return the energy of the whole training; on CUDA every GPU counts while it is in use."""
    if predictor.watts is None:
        return None
    busy = spans.whole
    if plan.execution.device == "cuda":
        busy = total(
            [span.scaled(devices_of(step)) for step, span in zip(plan.steps, spans.each, strict=True)]
        )
    return busy.scaled(predictor.watts)


def _at_once(peaks: list[Estimate], processes: int) -> Estimate:
    """Return the sum of the largest peaks, as many as networks train at the same time."""
    return total(sorted(peaks, key=lambda peak: -peak.mean)[:processes])


def _evaluating(members: list[str], plan: TrainingPlan, predictor: CostPredictor) -> Estimate:
    """Return the peak memory of evaluation: all members' weights, and the largest pass of one member."""
    task = plan.dataset.task
    weights = {name: graph_of(name, task).parameters * FLOAT_BYTES for name in members}
    all_weights = sum(weights[name] for name in members)

    def beside_others(name: str) -> Estimate:
        return predictor.inference_peak_bytes(name, task, plan.batch).plus(all_weights - weights[name])

    return max((beside_others(name) for name in weights), key=lambda peak: peak.mean)


def _triple(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.mean, estimate.low, estimate.high
