"""The price of a plan: seconds of every step and of the whole training, peak memory and latency.

Training time comes from a simulation of the plan's concurrency (`advisor.cost.parallel`), on the slots of a
machine or of a cluster. Memory and latency are those of one machine. Last, every interval of the price is
corrected (`advisor.conformal`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from advisor.conformal import Correction, Quantity
from advisor.cost.memory.liveness import FLOAT_BYTES
from advisor.cost.parallel.nodes import NodeKind, Place
from advisor.cost.parallel.spans import Spans, epochs_on, seconds_alone, shared_by, spans_of, step_spans
from advisor.cost.predictor import CostPredictor
from advisor.cost.timeline import Span
from advisor.estimate import Estimate, total
from advisor.networks.shared_layers import graph_of
from advisor.plans.placement import devices_of
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
        train_seconds: seconds of the whole training at the plan's concurrency, or on the slots of a cluster.
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
        placed: when and where each step runs at the mean durations.
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
    placed: Mapping[str, Span] = field(default_factory=dict)

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


def price(
    plan: TrainingPlan,
    predictor: CostPredictor,
    done: frozenset[str] = frozenset(),
    cluster: Sequence[NodeKind] = (),
) -> PricedPlan:
    """Return the price of a plan on the machine of the predictor, or on the nodes of a cluster.

    Args:
        plan: plan to price.
        predictor: predictor of the machine; on a cluster, of the one that evaluates the members.
        done: names of steps that are done already and cost nothing more.
        cluster: nodes that train the plan, by their kinds; none for the machine of the predictor.
    """
    task, batch = plan.dataset.task, plan.batch
    place = Place.cluster(plan, cluster) if cluster else Place.machine(plan, predictor)
    epochs = [epochs_on(plan, kind) for kind in place.kinds]
    names = list(epochs[0])
    alone = [seconds_alone(plan, own, kind.predictor) for own, kind in zip(epochs, place.kinds, strict=True)]
    spans = step_spans(plan, place, alone, done)
    asked = [plan.network(name).network for name in plan.asked]
    latency = total([predictor.inference_seconds(name, task, batch) for name in asked])
    evaluated = plan.dataset.validation_images + plan.dataset.test_images
    steps = [
        PricedStep(step=step.id, network=step.network, seconds=span)
        for step, span in zip(plan.steps, spans.each, strict=True)
    ]
    steps.append(PricedStep(step=EVALUATE, network="", seconds=latency.scaled(evaluated / batch)))
    predictors = [kind.predictor for kind in place.kinds]
    unmeasured = (text for own in predictors for name in names for text in own.unmeasured(name, task, batch))
    priced = PricedPlan(
        steps=tuple(steps),
        train_seconds=spans.whole,
        epoch_seconds=_epoch_of_all(plan, epochs, place),
        inference_ms_per_image=latency.scaled(1000 / batch),
        train_peak_bytes=_training_peak(plan, predictor),
        train_reserved_bytes=_training_reserved(plan, predictor),
        inference_peak_bytes=_evaluating(asked, plan, predictor),
        fits=place.holds(plan) and all(own.fits(name, task, batch) for own in predictors for name in names),
        # What nodes draw is not known of all of them.
        energy_joules=None if cluster else _energy(plan, spans, predictor),
        unmeasured=tuple(dict.fromkeys(unmeasured)),
        placed=spans.placed,
    )
    return _corrected(priced, predictor, place)


def _corrected(priced: PricedPlan, predictor: CostPredictor, place: Place) -> PricedPlan:
    """Return a price whose intervals are corrected; means stay."""
    time = place.correction()
    memory, latency = (predictor.correction(quantity) for quantity in (Quantity.MEMORY, Quantity.LATENCY))
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


def _epoch_of_all(plan: TrainingPlan, epochs: Sequence[Mapping[str, Estimate]], place: Place) -> Estimate:
    """Return the seconds of one epoch of every member at the plan's concurrency.

    Args:
        plan: the plan.
        epochs: seconds of an epoch of every network alone, by kind of node.
        place: nodes that train the plan.
    """
    devices = {name: plan.train_steps_of(name)[-1].devices for name in plan.asked}
    seconds = [
        [shared_by(own[plan.network(name).network], shared) for name, shared in devices.items()]
        for own in epochs
    ]
    return spans_of(list(devices), [()] * len(devices), seconds, place, devices).whole


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
    if plan.execution.device == "cuda" and plan.execution.streams == 1:
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
