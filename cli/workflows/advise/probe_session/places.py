"""How many probes train at the same time.

A probe trains its networks one after the other on a core of its own, so that a machine has room for as many
probes as cores. Members of one ensemble side by side would use the cores as well, but a single network and
the mothers of MotherNets would leave them idle, and every further process would read the data. Replayed
(benchmarks/trainings/advice2_side_by_side.py), neither way is measurably better than the other in the same
time, and both are better than one core. On a cluster the members of a probe spread over its nodes. Without
one, a GPU has one probe at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from advisor.plans.execution import Execution
from advisor.plans.placement import most_at_once
from advisor.plans.plan import TrainingPlan
from cli.workflows.forecast.machine import workers_of
from trainer.execution.cluster.address import ClusterAddress

# Most probes at once. Every further one is chosen on less evidence.
MOST_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Places:
    """What probes can train on at the same time.

    Attributes:
        slots: networks that can train at the same time.
        on_cluster: whether the networks of one probe train side by side, on the nodes of a cluster.
    """

    slots: int
    on_cluster: bool = False

    @classmethod
    def of(cls, execution: Execution, cluster: ClusterAddress | None = None) -> Places:
        """Return the places of this machine, or those that a cluster has free now.

        Args:
            execution: settings of the plans of probes.
            cluster: cluster whose nodes train; None for this machine.

        Raises:
            UsageError: the extra for clusters is not installed, or the address is of another kind.
            RunError: there is no such cluster.
        """
        if cluster is not None:
            return cls(_free_slots(execution, cluster), on_cluster=True)
        return cls(workers_of("cpu") // execution.threads if execution.device == "cpu" else 1)

    @property
    def most(self) -> int:
        """Most probes at once, at least 1."""
        return max(min(self.slots, MOST_AT_ONCE), 1)

    def have_room(self, running: Sequence[TrainingPlan]) -> bool:
        """Return whether another probe can train beside others.

        Args:
            running: plans of the probes that train.
        """
        used = sum(most_at_once(plan) if self.on_cluster else plan.execution.processes for plan in running)
        return not running or (len(running) < self.most and used < self.slots)

    def slowdown(self, cost: Slowed) -> float:
        """Return the factor on the time of a probe while all places are used.

        The nodes of a cluster are not measured.

        Args:
            cost: predictor of cost of this machine.
        """
        return 1.0 if self.on_cluster else cost.contention(self.most)


class Slowed(Protocol):
    """What knows how networks that train at the same time slow each other down."""

    def contention(self, processes: int) -> float:
        """Return the factor on the time of a step while so many networks train at the same time."""


def _free_slots(execution: Execution, cluster: ClusterAddress) -> int:
    from trainer.execution.execute import free_on_cluster

    free = free_on_cluster(cluster)
    cores = int(free.get("CPU", 0.0)) // execution.threads
    return cores if execution.device == "cpu" else min(cores, int(free.get("GPU", 0.0)))
