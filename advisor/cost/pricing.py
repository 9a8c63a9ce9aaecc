"""The price of a plan: seconds of every step, the whole training, peak memory and latency.

The training time is that of the plan's own concurrency: steps start in the plan's order as soon as what they
depend on is done and enough slots (`advisor.plans.placement`) are free, and every step runs slower by the
measured contention while another one runs beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from advisor.cost.liveness import FLOAT_BYTES
from advisor.cost.predictor import CostPredictor
from advisor.estimate import Estimate, total
from advisor.networks.joint import graph_of
from advisor.plans.placement import devices_of, slots
from advisor.plans.plan import HatchStep, TrainingPlan, TrainStep
from advisor.plans.records import Forecast, PredictedStep

# One pass over the weights; far below a training step of any network worth hatching.
HATCH_SECONDS = Estimate(0.1, 0.02, 1.0)
# Share of n times the speed that n devices reach which share a network's batches: an assumption until it is
# measured. The interval reaches from all of it to nothing gained.
SHARING_EFFICIENCY = 0.9
# Name of the step that a plan leaves unsaid: its members on the test images, after training.
EVALUATE = "evaluate"


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedStep:
    """Seconds of one step beside those that run at the same time."""

    step: str
    network: str
    seconds: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedPlan:
    """Predicted cost of a plan.

    Attributes:
        steps: each step, and the evaluation on validation and test images, which is no part of training.
        train_seconds: the whole training at the plan's concurrency.
        epoch_seconds: one epoch of every member at the plan's concurrency.
        inference_ms_per_image: all members one after the other, at the plan's batch.
        train_peak_bytes: of the networks that train at once.
        train_reserved_bytes: what CUDA's allocator takes for them; None where that was never measured.
        inference_peak_bytes: all members in memory, one of them at work.
        fits: false where a network is known to have run out of memory at this batch.
        energy_joules: of the whole training at the power that the device reported while it was measured, of
            GPUs while they are in use; None where it reports none.
        unmeasured: what of the plan's networks was never measured, in words; intervals are wider for it.
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

    @property
    def memory_bytes(self) -> Estimate:
        """What training takes of the device's memory: what is reserved if that is known, else the peak."""
        return self.train_reserved_bytes or self.train_peak_bytes

    def forecast(self, test_error: Estimate | None) -> Forecast:
        """Return what is kept beside a run."""
        return Forecast(
            train_seconds=_triple(self.train_seconds),
            train_peak_bytes=_triple(self.train_peak_bytes),
            inference_ms_per_image=_triple(self.inference_ms_per_image),
            test_error=None if test_error is None else _triple(test_error),
            steps=tuple(
                PredictedStep(step=s.step, mean=s.seconds.mean, low=s.seconds.low, high=s.seconds.high)
                for s in self.steps
            ),
        )


def price(plan: TrainingPlan, predictor: CostPredictor, done: frozenset[str] = frozenset()) -> PricedPlan:
    """Return the price of a plan on the machine of the predictor; steps that are `done` cost nothing more."""
    task, batch, processes = plan.dataset.task, plan.batch, plan.execution.processes
    built = [n.network for n in plan.built]
    # Members of one shape are one network to the predictor.
    names = dict.fromkeys(built)
    epochs = {name: epoch_seconds(name, plan, predictor) for name in names}
    devices = {step.id: devices_of(step) for step in plan.steps}
    last = {name: plan.train_steps_of(name)[-1].devices for name in plan.asked}
    contention = predictor.contention(processes)
    members = [plan.network(name).network for name in plan.asked]
    latency = total([predictor.inference_seconds(name, task, batch) for name in members])
    training = {name: predictor.training_peak_bytes(name, task, batch) for name in names}
    reserving = {name: predictor.reserved_bytes(name, task, batch) for name in names}
    spans = _spans(
        [step.id for step in plan.steps],
        [step.after for step in plan.steps],
        [
            Estimate.exact(0.0)
            if step.id in done
            else _shared(_alone(step, plan, epochs, predictor), devices[step.id])
            for step in plan.steps
        ],
        slots(plan),
        contention,
        devices,
    )
    steps = tuple(
        PricedStep(step=step.id, network=step.network, seconds=span)
        for step, span in zip(plan.steps, spans.each, strict=True)
    )
    peaks = [training[name] for name in built]
    reserved = [reserving[name] for name in built]
    busy = spans.whole
    if plan.execution.device == "cuda":
        busy = total([span.scaled(devices[s.id]) for s, span in zip(plan.steps, spans.each, strict=True)])
    evaluated = plan.dataset.validation_images + plan.dataset.test_images
    evaluation = latency.scaled(evaluated / batch)
    return PricedPlan(
        steps=(*steps, PricedStep(step=EVALUATE, network="", seconds=evaluation)),
        train_seconds=spans.whole,
        epoch_seconds=_spans(
            list(last),
            [()] * len(members),
            [_shared(epochs[name], shared) for name, shared in zip(members, last.values(), strict=True)],
            slots(plan),
            contention,
            last,
        ).whole,
        inference_ms_per_image=latency.scaled(1000 / batch),
        train_peak_bytes=_at_once(peaks, processes),
        train_reserved_bytes=_at_once([r for r in reserved if r], processes) if all(reserved) else None,
        inference_peak_bytes=_evaluating(members, plan, predictor),
        fits=all(predictor.fits(name, task, batch) for name in names),
        energy_joules=None if predictor.watts is None else busy.scaled(predictor.watts),
        unmeasured=tuple(
            dict.fromkeys(text for name in sorted(names) for text in predictor.unmeasured(name, task, batch))
        ),
    )


def epoch_seconds(network: str, plan: TrainingPlan, predictor: CostPredictor) -> Estimate:
    """One epoch of a network alone: all its steps and the evaluation on the validation images."""
    data = plan.dataset
    return predictor.epoch_seconds(
        network,
        data.task,
        plan.batch,
        steps=data.steps_per_epoch(plan.batch),
        evaluated=data.validation_images,
    )


def _alone(
    step: TrainStep | HatchStep, plan: TrainingPlan, epochs: dict[str, Estimate], predictor: CostPredictor
) -> Estimate:
    """Seconds of a step while nothing runs beside it."""
    if isinstance(step, HatchStep):
        return HATCH_SECONDS
    epoch = epochs[plan.network(step.network).network]
    if step.distillation is not None:
        teacher = plan.network(step.distillation.teacher).network
        answer = predictor.inference_seconds(teacher, plan.dataset.task, plan.batch)
        epoch = total([epoch, answer.scaled(plan.dataset.steps_per_epoch(plan.batch))])
    return epoch.scaled(step.schedule.expected_epochs)


def _shared(seconds: Estimate, devices: int) -> Estimate:
    """Seconds of a step whose batches some devices share."""
    if devices == 1:
        return seconds
    return Estimate(seconds.mean / (SHARING_EFFICIENCY * devices), seconds.low / devices, seconds.high)


def _at_once(peaks: list[Estimate], processes: int) -> Estimate:
    """The largest sum of as many peaks as networks train at once."""
    return total(sorted(peaks, key=lambda peak: -peak.mean)[:processes])


def _evaluating(members: list[str], plan: TrainingPlan, predictor: CostPredictor) -> Estimate:
    """Weights of all members, and what the one that needs most allocates beside its own."""
    task = plan.dataset.task
    weights = {name: graph_of(name, task).parameters * FLOAT_BYTES for name in members}
    all_weights = sum(weights[name] for name in members)

    def beside_others(name: str) -> Estimate:
        return predictor.inference_peak_bytes(name, task, plan.batch).plus(all_weights - weights[name])

    return max((beside_others(name) for name in weights), key=lambda peak: peak.mean)


@dataclass(frozen=True, slots=True)
class _Spans:
    """How long each step of a plan runs, and the plan as a whole."""

    each: list[Estimate]
    whole: Estimate


def _spans(
    names: list[str],
    after: list[tuple[str, ...]],
    seconds: list[Estimate],
    slots: int,
    contention: float,
    devices: Mapping[str, int],
) -> _Spans:
    """Run a plan with all durations at their mean, low and high: one predictor errs the same way."""
    runs = [
        timeline(names, after, [getattr(s, end) for s in seconds], slots, contention, devices)
        for end in ("mean", "low", "high")
    ]
    each = [_ordered(*(end - begin for begin, end in (run[name] for run in runs))) for name in names]
    return _Spans(each, _ordered(*(max((end for _, end in run.values()), default=0.0) for run in runs)))


def _ordered(mean: float, low: float, high: float) -> Estimate:
    """Steps that meet others than at the mean may end sooner or later than expected."""
    return Estimate(mean, min(low, mean), max(high, mean))


def timeline(
    names: list[str],
    after: list[tuple[str, ...]],
    seconds: list[float],
    slots: int,
    contention: float,
    devices: Mapping[str, int] | None = None,
) -> dict[str, tuple[float, float]]:
    """Return when each step begins and ends if steps start in order as soon as they can.

    Args:
        names: of the steps.
        after: names that each step waits for.
        seconds: of each step alone.
        slots: that there are.
        contention: factor on the time of a step while it does not run alone.
        devices: slots that each step occupies, 1 where it is not named; at most all.
    """
    left = dict(zip(names, seconds, strict=True))
    needs = dict(zip(names, after, strict=True))
    taken = dict.fromkeys(names, 1) | dict(devices or {})
    waiting = list(names)
    running: list[str] = []
    begins: dict[str, float] = {}
    done: dict[str, tuple[float, float]] = {}
    clock = 0.0
    while waiting or running:
        for name in [n for n in waiting if done.keys() >= set(needs[n])]:
            if taken[name] > slots - sum(taken[n] for n in running):
                continue
            waiting.remove(name)
            running.append(name)
            begins[name] = clock
        slowdown = contention if len(running) > 1 else 1.0
        shortest = min(left[name] for name in running)
        clock += shortest * slowdown
        for name in list(running):
            left[name] -= shortest
            if left[name] <= 0:
                running.remove(name)
                done[name] = (begins[name], clock)
    return done


def _triple(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.mean, estimate.low, estimate.high
