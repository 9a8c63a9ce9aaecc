"""How many workers train a plan, and on how many devices each of its networks trains.

A worker is a process: one per core on a CPU, one per GPU on CUDA. A plan has as many as the machine has, but
no more than it has networks that can train at the same time.

On CUDA, idle devices are shared out. MotherNets (MLSys 2020), appendix D: networks that are ready to train
form a queue. While there are at least as many of them as GPUs, each has a GPU. While there are fewer, the
GPUs are divided over them, and those of one network share its batches.

A plan with streams (`Execution.streams`) has one device, on which so many networks take turns. How much they
slow each other down is measured on a small network. A plan with far larger ones fills the device with one at
a time, and gets no streams.

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

from advisor.networks.shared_layers import graph_of
from advisor.plans.plan import LEAST_SLICE, HatchStep, Step, TrainingPlan, TrainStep

# Multiply-adds of a forward pass of a batch: four times those of the network and batch with which streams are
# measured (`advisor.cost.reference`, images of 32×32). Chosen: no GPU was at hand.
MOST_MACS_ON_A_STREAM = 5e9


def placed(plan: TrainingPlan, workers: int) -> TrainingPlan:
    """Return the plan with its number of processes and the devices of every training step set.

    On a CPU every step has one device: there a seed gives the same result whatever the number of processes.

    Args:
        plan: plan that is finished in all else.
        workers: processes that the machine can run at the same time, at least 1: its cores or its GPUs.
    """
    streams = plan.execution.streams if _leaves_room(plan) else 1
    processes = min(max(workers, streams), most_at_once(plan))
    execution = replace(plan.execution, processes=processes, streams=streams)
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


def _leaves_room(plan: TrainingPlan) -> bool:
    """Return whether a step of every network is small enough to leave a GPU room for others."""
    if plan.execution.streams == 1:
        return True
    task = plan.dataset.task
    largest = max(graph_of(name, task).macs for name in {network.network for network in plan.built})
    return plan.batch * largest <= MOST_MACS_ON_A_STREAM


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
