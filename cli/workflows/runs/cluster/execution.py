"""The nodes of a cluster execute the steps of a run, and what that makes of its seconds.

Seconds of one kind of machine are no evidence for another, and neither are those of a node with more or fewer
neighbours than the plan has processes. Then a run belongs to no machine. A node that joins later is not asked
what it is: the run belongs to no machine, either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from advisor.plans.placement import most_at_once
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Run, StepRecord
from cli.workflows.forecast.cluster.kinds import Cluster, ClusterKinds
from cli.workflows.runs.steps.accounting import belongs_elsewhere, keep_machines
from db.queries import Store
from trainer.data.loading import Data
from trainer.events import Tell
from trainer.execution.execute import execute
from trainer.run_files import RunFiles


@dataclass(frozen=True, slots=True)
class OnCluster:
    """Executes the steps of runs on the nodes of a cluster.

    Attributes:
        cluster: the cluster.
    """

    cluster: Cluster

    def of_run(
        self, run: Run, store: Store
    ) -> Callable[[TrainingPlan, RunFiles, Data, Tell, Callable[[], bool]], dict[str, StepRecord]]:
        """Return what executes the steps of a run, and store to which machine its seconds belong.

        Args:
            run: the run.
            store: its database.

        Raises:
            UsageError: Ray is not installed, or the address is of a kind that cannot be used.
            RunError: there is no such cluster, or a node may not train.
            StorageError: the database refuses.
        """
        nodes = self.cluster.kinds_to_train(run.plan.execution.device)
        keep_machines(run, store, {kind.machine(run.plan.execution).digest for kind in nodes.kinds})
        if not train_alike(nodes, run.plan):
            belongs_elsewhere(run, store)

        def executing(
            plan: TrainingPlan, files: RunFiles, data: Data, tell: Tell, stop: Callable[[], bool]
        ) -> dict[str, StepRecord]:
            # The import of Ray was checked when the nodes were asked.
            from trainer.execution.cluster.survey import Newcomers

            newcomers, elsewhere = Newcomers(nodes.seen), False

            def stop_or_notice() -> bool:
                nonlocal elsewhere
                if not elsewhere and newcomers.any():
                    elsewhere = True
                    belongs_elsewhere(run, store)
                return stop()

            return execute(plan, files, data, tell, stop_or_notice, self.cluster.address)

        return executing


def train_alike(nodes: ClusterKinds, plan: TrainingPlan) -> bool:
    """Return whether every node trains as many networks at a time as the processes of a plan.

    Where the nodes together have more slots than there are networks to train, nobody knows how many each has.

    Args:
        nodes: the nodes.
        plan: the plan.
    """
    counts = [count for kind in nodes.kinds for count in kind.slots(plan.execution)]
    at_once = most_at_once(plan)
    known = len(counts) == 1 or 0 < sum(counts) <= at_once
    return known and all(min(count, at_once) == plan.execution.processes for count in counts)
