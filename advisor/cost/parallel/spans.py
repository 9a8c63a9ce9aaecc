"""Seconds of the steps of a plan alone, and side by side at the plan's concurrency.

The simulation of the concurrency (`advisor.cost.timeline`) runs three times, with all durations at their
mean, low and high, because the errors of one predictor go the same way. While several steps run, each takes
longer by the measured contention.

Slots are those of nodes (`advisor.cost.parallel.nodes`). A machine is one node of one kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from advisor.cost.parallel.nodes import NodeKind, Place
from advisor.cost.predictor import CostPredictor
from advisor.cost.timeline import Span, timeline_on
from advisor.estimate import Estimate, total
from advisor.networks.graph import Conv, Linear
from advisor.networks.shared_layers import graph_of
from advisor.plans.convergence.expectation import epochs_of
from advisor.plans.execution import COMPILED
from advisor.plans.placement import devices_of
from advisor.plans.plan import HatchStep, TrainingPlan, TrainStep

# Seconds of hatching, one pass over the weights: far less than the training of any network worth hatching.
HATCH_SECONDS = Estimate(0.1, 0.02, 1.0)
# Seconds of compiling a step: of any, and for each layer with weights. Measured were 3 to 5 s for an MLP of 3
# layers, 16 to 39 s for ResNets and VGGs of 10 to 22, 51 to 61 s for a DenseNet of 22, by
# `benchmarks/step_modes.py`. The bounds are half and twice as much.
COMPILE_SECONDS, COMPILE_SECONDS_OF_A_LAYER, COMPILE_FACTOR = 2.0, 1.5, 2.0
# Efficiency of data parallelism: speed of n devices that share a network's batches, as a share of n times the
# speed of one. An assumption, not measured; the interval reaches from an efficiency of 1 to no gain at all.
SHARING_EFFICIENCY = 0.9


def training_spans(
    plan: TrainingPlan, epochs: Mapping[str, Estimate], predictor: CostPredictor, done: frozenset[str]
) -> Spans:
    """Return the durations of all steps on a machine, at the plan's concurrency.

    Args:
        plan: the plan.
        epochs: seconds of an epoch of every network alone, by short name (`epochs_alone`).
        predictor: predictor of the machine.
        done: ids of steps that are done already and cost nothing more.
    """
    alone = seconds_alone(plan, epochs, predictor)
    return step_spans(plan, Place.machine(plan, predictor), [alone], done)


def step_spans(
    plan: TrainingPlan,
    place: Place,
    alone: Sequence[Sequence[Estimate]],
    done: frozenset[str] = frozenset(),
) -> Spans:
    """Return the durations of all steps on nodes.

    Args:
        plan: the plan.
        place: nodes that train it.
        alone: seconds of every step while no other runs, by kind of node.
        done: ids of steps that are done already and cost nothing more.
    """
    seconds = [
        [Estimate.exact(0.0) if step.id in done else own for step, own in zip(plan.steps, each, strict=True)]
        for each in alone
    ]
    names, after = [step.id for step in plan.steps], [step.after for step in plan.steps]
    devices = {step.id: devices_of(step) for step in plan.steps}
    return spans_of(names, after, seconds, place, devices)


def epochs_alone(plan: TrainingPlan, predictor: CostPredictor) -> dict[str, Estimate]:
    """Return the seconds of an epoch of every network alone, by short name.

    Members of one shape are one network to the predictor.
    """
    names = sorted({network.network for network in plan.built})
    return {name: epoch_seconds(name, plan, predictor) for name in names}


def epochs_on(plan: TrainingPlan, kind: NodeKind) -> dict[str, Estimate]:
    """Return the seconds of an epoch of every network alone on a kind of node, by short name."""
    return {name: own.widened(kind.widening) for name, own in epochs_alone(plan, kind.predictor).items()}


def seconds_alone(
    plan: TrainingPlan, epochs: Mapping[str, Estimate], predictor: CostPredictor
) -> list[Estimate]:
    """Return the seconds of every step while no other runs, on the devices that it occupies.

    Args:
        plan: the plan.
        epochs: seconds of an epoch of every network alone, by short name.
        predictor: predictor of the machine.
    """
    return [shared_by(_on_one(step, plan, epochs, predictor), devices_of(step)) for step in plan.steps]


def epoch_seconds(network: str, plan: TrainingPlan, predictor: CostPredictor) -> Estimate:
    """Return the seconds of one epoch of a network that trains alone, with its evaluation."""
    data = plan.dataset
    return predictor.epoch_seconds(
        network,
        data.task,
        plan.batch,
        steps=data.steps_per_epoch(plan.batch),
        evaluated=data.validation_images,
    )


def _on_one(
    step: TrainStep | HatchStep, plan: TrainingPlan, epochs: Mapping[str, Estimate], predictor: CostPredictor
) -> Estimate:
    """Return the seconds of a step on one device while no other runs."""
    if isinstance(step, HatchStep):
        return HATCH_SECONDS
    network = plan.network(step.network).network
    epoch = epochs[network]
    if step.distillation is not None:
        teacher = plan.network(step.distillation.teacher).network
        answer = predictor.inference_seconds(teacher, plan.dataset.task, plan.batch)
        epoch = total([epoch, answer.scaled(plan.dataset.steps_per_epoch(plan.batch))])
    return total([epoch.times(epochs_of(step.schedule)), building_seconds(network, plan)])


def building_seconds(network: str, plan: TrainingPlan) -> Estimate:
    """Return the seconds before the first training step that the mode of steps takes."""
    if plan.execution.step_mode != COMPILED:
        return Estimate.exact(0.0)
    nodes = graph_of(network, plan.dataset.task).nodes
    weighted = sum(isinstance(node.operation, Conv | Linear) for node in nodes)
    mean = COMPILE_SECONDS + COMPILE_SECONDS_OF_A_LAYER * weighted
    return Estimate(mean, mean / COMPILE_FACTOR, mean * COMPILE_FACTOR)


def shared_by(seconds: Estimate, devices: int) -> Estimate:
    """Return the seconds of a step whose batches are shared by devices."""
    if devices == 1:
        return seconds
    return Estimate(seconds.mean / (SHARING_EFFICIENCY * devices), seconds.low / devices, seconds.high)


@dataclass(frozen=True, slots=True)
class Spans:
    """Seconds of each step of a plan, and of the plan as a whole.

    Attributes:
        each: seconds of every step, slowed by its neighbours.
        whole: seconds from the first beginning to the last end.
        placed: when and where each step runs at the mean durations.
    """

    each: list[Estimate]
    whole: Estimate
    placed: Mapping[str, Span]


def spans_of(
    names: list[str],
    after: list[tuple[str, ...]],
    seconds: Sequence[Sequence[Estimate]],
    place: Place,
    devices: Mapping[str, int],
) -> Spans:
    """Simulate a plan with all durations at their mean, low and high.

    Where nodes differ, the order in which their slots are taken is not known. At the low durations the
    fastest kinds are taken first, at the high ones the slowest, and at the mean all in turn. The interval of
    a step reaches over all kinds.

    Args:
        names: names of the steps.
        after: names of the steps that each step waits for.
        seconds: duration of each step while no other runs, by kind of node.
        place: nodes that train it.
        devices: number of slots that each step occupies.
    """
    # A step that no node has the slots for is known not to fit (`Place.holds`).
    devices = {name: min(count, place.largest) for name, count in devices.items()}
    speeds = [sum(own.mean for own in each) for each in seconds]
    fastest = sorted(range(len(seconds)), key=speeds.__getitem__)
    runs = [
        timeline_on(
            place.numbered(order),
            names,
            after,
            [[getattr(own, end) for own in each] for each in seconds],
            devices,
        )
        for end, order in (("mean", None), ("low", fastest), ("high", fastest[::-1]))
    ]
    each = [_ordered(*(run[name].end - run[name].start for run in runs)) for name in names]
    if len(seconds) > 1:
        each = [
            Estimate(
                own.mean,
                min(own.low, *(alone[place].low for alone in seconds)),
                max(own.high, *(alone[place].high for alone in seconds)),
            )
            for place, own in enumerate(each)
        ]
    whole = _ordered(*(max((span.end for span in run.values()), default=0.0) for run in runs))
    return Spans(each, whole, runs[0])


def _ordered(mean: float, low: float, high: float) -> Estimate:
    """Return an estimate; steps that meet others than at the mean durations may end out of order."""
    return Estimate(mean, min(low, mean), max(high, mean))
