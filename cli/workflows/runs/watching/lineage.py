"""Where every network of a plan begins: what it was grown from, after how many epochs, in which cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from advisor.plans.plan import HatchStep, TrainingPlan, TrainStep
from cli.workflows.runs.watching.progress import StepProgress


@dataclass(frozen=True, slots=True)
class Lineage:
    """Beginnings of the networks of a plan, by name.

    Attributes:
        mothers: networks that others were grown from.
        starts: epochs before the first own one.
        ends: epochs at the end of the own training, expected ones until then.
        offsets: epochs before the first one of a training step, by id.
    """

    mothers: Mapping[str, str]
    starts: Mapping[str, int]
    ends: Mapping[str, float]
    offsets: Mapping[str, int]


def lineage_of(plan: TrainingPlan, steps: Mapping[str, StepProgress]) -> Lineage:
    """Return where the networks of a plan begin.

    Args:
        plan: the plan.
        steps: progress of its training steps, by id.
    """
    mothers: dict[str, str] = {}
    starts: dict[str, int] = {}
    ends: dict[str, float] = {}
    offsets: dict[str, int] = {}
    for step in plan.steps:
        name = step.network
        if isinstance(step, HatchStep):
            mothers[name] = step.source
            starts[name] = round(ends[step.source])
            ends[name] = starts[name]
        elif isinstance(step, TrainStep):
            starts.setdefault(name, 0)
            offsets[step.id] = round(ends.get(name, 0))
            ends[name] = offsets[step.id] + steps[step.id].planned
    return Lineage(mothers, starts, ends, offsets)


def clusters_by_network(plan: TrainingPlan, mothers: Mapping[str, str]) -> dict[str, int]:
    """Return the number of the cluster of every network, from 1, in the order of the first members.

    That is the order of `advisor.designs.clustering.clusters_of`. Networks that no member stems from, such as
    teachers, are left out.

    Args:
        plan: the plan.
        mothers: networks that others were grown from, by name.
    """
    lines = [_line(plan, member.name, mothers) for member in plan.members]
    numbers: dict[str, int] = {}
    for line in lines:
        numbers.setdefault(line[-1], len(numbers) + 1)
    return {name: numbers[line[-1]] for line in lines for name in line}


def _line(plan: TrainingPlan, member: str, mothers: Mapping[str, str]) -> list[str]:
    """Return a member, the networks that it was grown from, and the first of them last."""
    line = list(dict.fromkeys((member, plan.holder(member).name)))
    while line[-1] in mothers:
        line.append(mothers[line[-1]])
    return line
