"""How many workers train a plan, and on how many devices each of its networks trains.

A worker is a process: one per core on a CPU, one per GPU on CUDA. A plan has as many as the machine has, but
no more than it has networks that can train at the same time.

On CUDA, idle devices are shared out. MotherNets (MLSys 2020), appendix D: networks that are ready to train
form a queue. While there are at least as many of them as GPUs, each has a GPU. While there are fewer, the
GPUs are divided over them, and those of one network share its batches.

A plan with streams (`Execution.streams`) has one device, on which so many networks take turns.

All of this is decided here and recorded in the plan, so that price and run agree.

A *slot* is a device with the worker process that uses it. A training step occupies `TrainStep.devices` slots,
a hatching step one. A *phase* of a plan consists of the training steps with equally many training steps
before them: for example the mothers, then the members.

>>> plan = placed(plan_of("5xresnet-20-16@g2", device="cuda"), workers=4)  # two mothers, five members
>>> plan.execution.processes, [s.devices for s in plan.steps if isinstance(s, TrainStep)]
(4, [2, 2, 1, 1, 1, 1, 1])
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from advisor.plans.plan import LEAST_SLICE, HatchStep, Step, TrainingPlan, TrainStep


def placed(plan: TrainingPlan, workers: int) -> TrainingPlan:
    """Return the plan with its number of processes and the devices of every training step set.

    On a CPU every step has one device: there a seed gives the same result whatever the number of processes.

    Args:
        plan: plan that is finished in all else.
        workers: processes that the machine can run at the same time, at least 1: its cores or its GPUs.
    """
    streams = plan.execution.streams
    execution = replace(plan.execution, processes=min(max(workers, streams), most_at_once(plan)))
    if execution.device == "cpu" or streams > 1:
        return replace(plan, execution=execution)
    shares = {
        step.id: max(min(workers // len(phase), plan.batch // LEAST_SLICE), 1)
        for phase in phases(plan)
        for step in phase
    }
    steps = tuple(
        replace(step, devices=shares[step.id]) if isinstance(step, TrainStep) else step for step in plan.steps
    )
    return replace(plan, execution=execution, steps=steps)


def most_at_once(plan: TrainingPlan) -> int:
    """Return how many networks of a plan can train at the same time, at least 1.

    A step waits for one other at most, so these are the training steps that no other step waits for.
    """
    awaited = {name for step in plan.steps for name in step.after}
    last = [step for step in plan.steps if isinstance(step, TrainStep) and step.id not in awaited]
    return max(len(last), 1)


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
