"""The number of devices that each network of a plan trains on: one, or several by data parallelism.

MotherNets (MLSys 2020), appendix D: networks that are ready to train form a queue. While there are at least
as many of them as GPUs, each has one GPU. While there are fewer, the GPUs are divided over them, and the GPUs
of one network share its batches. The plan records the division, so that price and run agree.

A *slot* is a device with the worker process that uses it. A training step occupies `TrainStep.devices` slots,
a hatching step one. A *phase* of a plan consists of the training steps with equally many training steps
before them: for example the mothers, then the members.

>>> plan = make_plan(parse_design("5xresnet-20-16@g2"), ..., execution=on_four_gpus)
>>> [s.devices for s in placed(plan, 4).steps if isinstance(s, TrainStep)]  # two mothers, five members
[2, 2, 1, 1, 1, 1, 1]
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from advisor.plans.plan import LEAST_SLICE, HatchStep, Step, TrainingPlan, TrainStep


def placed(plan: TrainingPlan, devices: int) -> TrainingPlan:
    """Return a plan in which every training step has its number of devices.

    On a CPU the plan stays as it is. There a seed gives the same result whatever the number of processes.

    Args:
        plan: plan that is complete otherwise.
        devices: number of GPUs that training may use.
    """
    if plan.execution.device == "cpu":
        return plan
    shares = {
        step.id: max(min(devices // len(phase), plan.batch // LEAST_SLICE), 1)
        for phase in phases(plan)
        for step in phase
    }
    steps = tuple(
        replace(step, devices=shares[step.id]) if isinstance(step, TrainStep) else step for step in plan.steps
    )
    return replace(plan, steps=steps)


def devices_of(step: Step) -> int:
    """Return the number of slots that a step occupies."""
    return step.devices if isinstance(step, TrainStep) else 1


def slots(plan: TrainingPlan) -> int:
    """Return the number of slots that a plan uses: worker processes, and on CUDA GPUs."""
    processes = plan.execution.processes
    # If a phase has more steps than there are processes, the other steps wait.
    sizes = [sorted((step.devices for step in phase), reverse=True)[:processes] for phase in phases(plan)]
    return max(processes, *(sum(phase) for phase in sizes))


def phases(plan: TrainingPlan) -> list[list[TrainStep]]:
    """Return the training steps of each phase: those with equally many training steps before them."""
    before: dict[str, int] = {}
    found: dict[int, list[TrainStep]] = defaultdict(list)
    for step in plan.steps:
        depth = max((before[name] for name in step.after), default=0)
        before[step.id] = depth if isinstance(step, HatchStep) else depth + 1
        if isinstance(step, TrainStep):
            found[depth].append(step)
    return list(found.values())
