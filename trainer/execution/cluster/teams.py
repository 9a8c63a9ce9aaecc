"""Teams of workers: one worker, or as many on one node as share the batches of a step."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from advisor.plans.plan import Step, TrainingPlan, plan_to_json
from trainer.execution.cluster.worker import Worker, name_of
from trainer.run_files import RunFiles

# Label that Ray gives every node.
NODE_LABEL = "ray.io/node-id"
# Seconds that idle workers have to remove their own folders.
LEAVING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """A step on a team.

    Attributes:
        number: its number, never used twice.
        step: the step.
        results: references to the answers of the workers, in the order of their ranks.
    """

    number: int
    step: Step
    results: list[Any]


@dataclass(eq=False)
class Team:
    """Workers that are started, idle or busy.

    Attributes:
        workers: handles in the order of their ranks.
        placement: group that holds their resources together; None for one worker.
        loading: references to what they say when the data are loaded; None afterwards.
        node: id of their node; empty until then.
        shares_home: whether they see the folder of the run.
        assignment: what they do; None while idle.
    """

    workers: list[Any]
    placement: Any
    loading: list[Any] | None
    node: str = ""
    shares_home: bool = False
    assignment: Assignment | None = None

    @property
    def size(self) -> int:
        """Number of workers."""
        return len(self.workers)

    @property
    def idle(self) -> bool:
        """Whether it can take a step."""
        return self.loading is None and self.assignment is None

    def awaited(self) -> list[Any]:
        """Return the references whose end means that something is to be done."""
        if self.loading is not None:
            return self.loading
        return self.assignment.results[:1] if self.assignment else []

    def dismiss(self) -> None:
        """End the workers; what they hold is free again."""
        if self.idle:
            with suppress(Exception):
                ray.get([worker.leave.remote() for worker in self.workers], timeout=LEAVING_SECONDS)
        for worker in self.workers:
            with suppress(Exception):
                ray.kill(worker, no_restart=True)
        if self.placement is not None:
            with suppress(Exception):
                remove_placement_group(self.placement)


@dataclass
class Recruiter:
    """Starts teams for one plan.

    Attributes:
        plan: the plan.
        files: folders of the run as this process names them.
        proof: name of a file in the folder of the run, by which a node knows whether it sees the folder.
        mail: handle of the mail actor.
    """

    plan: TrainingPlan
    files: RunFiles
    proof: str
    mail: Any

    def team(self, size: int, refused: Collection[str]) -> Team:
        """Return a team that starts as soon as a node has room for it.

        Args:
            size: number of workers.
            refused: ids of nodes that must not be used.
        """
        options: dict[str, Any] = self._resources() | {"max_restarts": 0, "max_task_retries": 0}
        group = None
        if size > 1:
            bundle = {"CPU": options["num_cpus"]} | ({"GPU": 1} if options["num_gpus"] else {})
            group = placement_group([bundle] * size, strategy="STRICT_PACK")
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(placement_group=group)
        elif refused:
            options["label_selector"] = {NODE_LABEL: f"!in({','.join(sorted(refused))})"}
        actor: Any = ray.remote(**options)(Worker)
        workers = [
            actor.remote(
                plan_to_json(self.plan),
                str(self.files.folder),
                str(self.files.data_root),
                name_of(self.files.watch),
                self.proof,
                self.mail,
            )
            for _ in range(size)
        ]
        return Team(workers, group, [worker.load.remote() for worker in workers])

    def _resources(self) -> dict[str, float]:
        """Return what a worker needs: the threads of the plan, and a GPU on CUDA."""
        execution = self.plan.execution
        return {"num_cpus": execution.threads, "num_gpus": int(execution.device == "cuda")}
