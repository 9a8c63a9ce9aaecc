"""Execution of a plan: its steps in the order of their dependencies, several networks at a time.

A step depends on nothing but the plan, the data and the checkpoints in the run's folder
(`trainer.execution.plan_step`). Executing a plan again therefore continues where it stopped. If the plan has
more than one process, every network trains in a worker process (`trainer.execution.pool`) with the plan's
number of threads, on CUDA on a GPU of its own. Idle workers share its batches where the plan says so
(`trainer.training.parallel`). Otherwise this process trains one network after the other, or several in turns
(`trainer.execution.turns`). Nodes of a cluster can train instead (`trainer.execution.cluster`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from advisor.plans.placement import slots
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import StepRecord
from trainer.data.loading import Data
from trainer.events import Tell
from trainer.execution.cluster.address import ClusterAddress
from trainer.execution.pool import Pool
from trainer.execution.turns import Crew
from trainer.run_files import RunFiles
from trainer.training.parallel import check_devices


def execute(
    plan: TrainingPlan,
    files: RunFiles,
    data: Data,
    tell: Tell,
    stop: Callable[[], bool],
    cluster: ClusterAddress | None = None,
) -> dict[str, StepRecord]:
    """Execute the steps of a plan that have not ended yet.

    Args:
        plan: plan to execute.
        files: folders of the run and of data sets.
        data: images of all splits in the memory of this process, for a plan of one process.
        tell: receiver of the events, called in this process and thread.
        stop: question whether to stop; after the first yes, running steps write checkpoints and end.
        cluster: cluster whose nodes train; None for this machine.

    Returns:
        Record of every step that ended, by the id of the step; stopped and waiting steps are missing.

    Raises:
        StorageError: a checkpoint could not be written.
        RunError: the plan needs more GPUs than there are, a worker process died while it started, or the
            cluster cannot be used.
        UsageError: the extra for clusters is not installed, or the address is of another kind.
    """
    if cluster is not None:
        from trainer.execution.cluster.executor import execute_on_cluster

        return execute_on_cluster(plan, files, tell, stop, cluster)
    check_devices(plan)
    torch.set_num_threads(plan.execution.threads)
    if slots(plan) > 1 and plan.execution.streams == 1:
        return Pool(plan, files, tell, stop).run()
    return Crew(plan, files, data, tell, stop).run()


def free_on_cluster(cluster: ClusterAddress) -> dict[str, float]:
    """Return what a cluster has free now: cores as ``CPU``, GPUs as ``GPU``.

    Args:
        cluster: the cluster.

    Raises:
        UsageError: the extra for clusters is not installed, or the address is of another kind.
        RunError: there is no such cluster.
    """
    from trainer.execution.cluster.connection import connected, resources

    with connected(cluster):
        return resources()
