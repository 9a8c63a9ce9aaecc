"""What `advisor explain` says of a plan and of a run alike: facts, steps, cost and remarks."""

from __future__ import annotations

from collections.abc import Mapping

from advisor.cost.pricing import EVALUATE
from advisor.cost.timeline import Span, timeline_of
from advisor.estimate import Estimate
from advisor.networks.shared_layers import graph_of
from advisor.plans.convergence.expectation import converging_epochs
from advisor.plans.execution import COMPILED, GRAPH, Execution
from advisor.plans.placement import devices_of
from advisor.plans.plan import HatchStep, Role, TrainingPlan, TrainStep
from advisor.plans.records import StepRecord, StepStatus
from advisor.plans.schedule import Schedule
from cli.workflows.answers.examine.explanation import ExplainedPlan, ExplainedStep, SlotSpan
from cli.workflows.answers.examine.parts import Deviation, PlanFacts, fields_of


def explained_plan(plan: TrainingPlan, price: float | None) -> ExplainedPlan:
    """Return the facts of a plan and the price of the machine in USD per hour."""
    return ExplainedPlan(**fields_of(PlanFacts.of(plan)), price_per_hour_usd=price)


def explained_steps(
    plan: TrainingPlan,
    predicted: Mapping[str, Estimate],
    records: Mapping[str, StepRecord],
    epochs: Mapping[str, int],
    so_far: Mapping[str, float],
    placed: Mapping[str, Span] | None = None,
) -> tuple[ExplainedStep, ...]:
    """Return the steps of a plan, and after them what is beyond its steps: the evaluation of all members.

    Args:
        plan: plan of the steps.
        predicted: predicted seconds by step.
        records: executed steps by step; empty for a plan that is not a run.
        epochs: finished epochs by step; empty for a plan that is not a run.
        so_far: seconds of these epochs by step.
        placed: predicted span of each step on the nodes of a cluster; None for the slots of the plan.
    """
    spans = _Spans(plan, predicted, records, so_far, placed)

    def explained(
        step: str,
        name: str | None = None,
        network: str | None = None,
        after: tuple[str, ...] = (),
        schedule: Schedule | None = None,
    ) -> ExplainedStep:
        seconds, record = predicted.get(step), records.get(step)
        actual = None if record is None else record.seconds
        done = record is not None and record.status is StepStatus.DONE
        return ExplainedStep(
            step=step,
            network=network,
            after=after,
            epochs=0 if schedule is None else schedule.expected_epochs,
            seconds=seconds,
            schedule=None if schedule is None else schedule.text,
            most_epochs=0 if schedule is None else schedule.epochs,
            converging_epochs=converging_epochs(schedule),
            actual_epochs=epochs.get(step),
            status=None if record is None else record.status,
            actual_seconds=actual,
            deviation=Deviation.of(seconds, actual) if done else None,
            network_name=name,
            expected_span_epochs=_slot_span(spans.expected, step),
            predicted_span_seconds=_slot_span(spans.predicted, step),
            actual_span_seconds=_slot_span(spans.actual, step),
        )

    planned = [
        explained(
            step.id,
            step.network,
            plan.network(step.network).network,
            step.after,
            None if isinstance(step, HatchStep) else step.schedule,
        )
        for step in plan.steps
    ]
    ids = {step.id for step in plan.steps}
    further = [name for name in dict.fromkeys([*predicted, *records, EVALUATE]) if name not in ids]
    last = tuple(plan.train_steps_of(member.name)[-1].id for member in plan.members)
    return (*planned, *(explained(name, after=last) for name in further))


class _Spans:
    """Spans of the steps of a plan: in expected epochs, in predicted seconds, and in actual ones.

    Args:
        plan, predicted, records, so_far, placed: as for `explained_steps`.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        predicted: Mapping[str, Estimate],
        records: Mapping[str, StepRecord],
        so_far: Mapping[str, float],
        placed: Mapping[str, Span] | None,
    ) -> None:
        trained = {s.id: s.schedule.expected_epochs for s in plan.steps if isinstance(s, TrainStep)}
        self.expected = timeline_of(plan, {step.id: float(trained.get(step.id, 0)) for step in plan.steps})
        seconds = {step: estimate.mean for step, estimate in predicted.items()}
        spans = timeline_of(plan, seconds) if placed is None else dict(placed)
        self.predicted = _with_evaluation(plan, spans, seconds)
        ended = {step: record.seconds for step, record in records.items()}
        done = {step for step, record in records.items() if record.status is StepStatus.DONE}
        actual = dict(so_far) | ended
        spans = timeline_of(plan, actual, unfinished=actual.keys() - done)
        self.actual = _with_evaluation(plan, spans, ended)


def _with_evaluation(
    plan: TrainingPlan, spans: dict[str, Span], seconds: Mapping[str, float]
) -> dict[str, Span]:
    """Add the evaluation of the members, which comes after all steps."""
    if EVALUATE not in seconds or len(spans) < len(plan.steps):
        return spans
    start = max(span.end for span in spans.values())
    return spans | {EVALUATE: Span(start, start + seconds[EVALUATE], (1,))}


def _slot_span(spans: Mapping[str, Span], step: str) -> SlotSpan | None:
    span = spans.get(step)
    return None if span is None else SlotSpan(start=span.start, end=span.end, slots=span.slots)


def about_plan(plan: TrainingPlan, *, on_cluster: bool = False) -> list[str]:
    """Return remarks on what the networks of a plan share, and on what runs at the same time.

    Args:
        plan: the plan.
        on_cluster: whether the nodes of a cluster train it, so that its processes do not count.
    """
    return _about_sharing(plan) + ([] if on_cluster else _about_concurrency(plan))


def _about_sharing(plan: TrainingPlan) -> list[str]:
    notes, task = [], plan.dataset.task
    for network in plan.networks:
        if network.role is Role.JOINT:
            names = [plan.network(name).network for name in plan.outputs_of(network.name)]
            apart = sum(graph_of(name, task).parameters for name in names)
            saved = 1 - graph_of(network.network, task).parameters / apart
            notes.append(f"{network.name} has {100 * saved:.0f} % fewer parameters than its members apart.")
    return notes


def _about_concurrency(plan: TrainingPlan) -> list[str]:
    notes, count = _about_mode(plan.execution), plan.execution.processes
    if count > 1:
        turns = ", in turns on one device" if plan.execution.streams > 1 else ""
        notes.append(f"Steps run {count} at a time{turns}, slowed by their neighbours: they add up to more.")
    if (most := max(devices_of(step) for step in plan.steps)) > 1:
        notes.append(f"Up to {most} devices share a network's batches: what that gains is not measured yet.")
    return notes


def _about_mode(execution: Execution) -> list[str]:
    if execution.step_mode == COMPILED:
        return ["Batches are trained by a compiled step; compiling is part of a step's time."]
    if execution.step_mode == GRAPH:
        return ["Batches are trained by a step that is recorded once and replayed (on CUDA as graphs)."]
    return []
