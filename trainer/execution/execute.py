"""Execution of a plan: its steps in the order of their dependencies, several networks at a time.

A step depends on nothing but the plan, the data and the checkpoints of the run's folder
(`trainer.execution.plan_step`), so executing a plan again continues where it stopped. With more than one
process in the plan every network trains in a process of its own pool (`trainer.execution.pool`) with the
plan's threads, on CUDA on a GPU of its own; idle ones share its batches where the plan says so
(`trainer.training.parallel`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from advisor.plans.placement import slots
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import StepRecord
from trainer.data.loading import Data
from trainer.execution.frontier import Frontier, Listener
from trainer.execution.plan_step import Channel, run_step
from trainer.execution.pool import Pool
from trainer.run_files import RunFiles
from trainer.training.parallel import check_devices


def execute(
    plan: TrainingPlan, files: RunFiles, data: Data, listener: Listener, stop: Callable[[], bool]
) -> dict[str, StepRecord]:
    """Execute what is left of a plan.

    Args:
        plan: what to do.
        files: where checkpoints are.
        data: in the parent's memory, for a plan of one process.
        listener: told of every epoch and step.
        stop: polled; once true, running steps write checkpoints and end.

    Returns:
        The record of every step that ended; steps that were stopped or not begun are missing.

    Raises:
        StorageError: a checkpoint could not be written.
        RunError: the plan shares batches among more GPUs than there are.
    """
    check_devices(plan)
    torch.set_num_threads(plan.execution.threads)
    if slots(plan) > 1:
        return Pool(plan, files, listener, stop).run()
    channel = Channel(listener.epoch, listener.notice, stop)
    on_device = data.to(plan.execution.device)
    frontier = Frontier(plan, listener)
    # The first watch of a process loads libraries for seconds, which belong to its start.
    files.watch(plan.execution.device)
    listener.started()
    while (step := frontier.next_ready()) is not None and not stop():
        frontier.finish(step, run_step(plan, step, files, on_device, channel))
    return frontier.ended
