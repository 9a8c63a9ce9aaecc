"""`advisor profile --cluster`: one node of each kind is measured, alone, and its kind has the measurements.

A kind is measured for as long as this machine would be before advice (`cli.workflows.forecast.measuring`),
all calls together. One kind after the other is measured, because two nodes may be one machine. If a node
fails, the next one of its kind is tried.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from advisor.cost.measurement import Measurement
from advisor.cost.predictor import LEAST_MEASUREMENTS
from advisor.designs.design import parse_design
from advisor.errors import RunError, UsageError
from advisor.plans.plan import TrainingPlan
from advisor.serial import from_plain, to_plain
from cli.workflows.answers.examine.clusters import ClusterProfile, ProfiledKind
from cli.workflows.forecast.cluster.kinds import KindOfNode, kinds_of
from cli.workflows.forecast.cluster.on_node import NodeTask, measure_node
from cli.workflows.forecast.machine import stored_measurements
from cli.workflows.forecast.measuring import seconds_left
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from cli.workflows.views import Say
from db.queries import Store
from db.session import open_store
from trainer.execution.cluster.address import ClusterAddress

# Seconds beyond the session until a line says that a node is waited for: processes start, torch is imported.
PATIENCE_SECONDS = 60.0
# Measures one node of a kind; returns its name and what it found, None if every node failed.
MeasureOne = Callable[[KindOfNode, NodeTask], tuple[str, list[Measurement]] | None]


def profile_cluster(
    request: PlanRequest, address: ClusterAddress, seconds: float, home: Home, say: Say
) -> ClusterProfile:
    """Measure one node of each kind that has too few measurements, and store them in this home.

    Args:
        request: what names a design and its data; of the design, the number of parameters, the families and
            the number of members count.
        address: the cluster.
        seconds: length of a session of measuring on one node.
        home: home of the measurements.
        say: receiver of progress, and of the nodes that failed, a line each.

    Raises:
        UsageError: the request or the address cannot be understood, or Ray is not installed.
        RunError: there is no such cluster, or no node of it could be measured.
        StorageError: the database cannot be written.
    """
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--profile-seconds must be positive, got {seconds:g}")
    from trainer.execution.cluster.survey import surveyed

    target = planned_target(request, home, say)
    with open_store(home.database) as store:
        plan = target.with_settings(store)
        with surveyed(address) as survey:
            found = kinds_of(survey, address, plan.execution.device)
            for problem in found.problems:
                say(problem)
            if not found.kinds:
                raise RunError(_nothing(found.problems, address, plan.execution.device))

            def on_one(kind: KindOfNode, task: NodeTask) -> tuple[str, list[Measurement]] | None:
                """Return the node that has measured and what it found; None if all have failed."""
                text = json.dumps(to_plain(task))
                for node in kind.nodes:
                    say(f"measuring {kind.name} on {node.name}, for up to {seconds:g} s")
                    patience = seconds + PATIENCE_SECONDS
                    answer = survey.ask_alone(node, measure_node, text, patience=patience, say=say)
                    if isinstance(answer, str):
                        return node.name, [from_plain(Measurement, each) for each in json.loads(answer)]
                    say(str(answer))
                return None

            profiled = tuple(profiled_kind(kind, plan, seconds, store, on_one) for kind in found.kinds)
    if all(kind.failed for kind in profiled):
        raise RunError("no node of the cluster could be measured: the lines above say why")
    return ClusterProfile(
        cluster=address.address, design=plan.design, dataset=plan.dataset.name, kinds=profiled
    )


def profiled_kind(
    kind: KindOfNode, plan: TrainingPlan, seconds: float, store: Store, on_one: MeasureOne
) -> ProfiledKind:
    """Measure a kind of node unless enough is known of it, and store what was found."""
    data, device = plan.dataset, plan.execution.device
    known = stored_measurements(store, device, data.augmentation.key, kind.machine)
    own = [m for m in known if m.task == data.task and m.fingerprint.augmentation == data.augmentation.key]
    began = time.perf_counter()
    found: list[Measurement] = []
    node, failed = None, False
    if not _is_known(own, parse_design(plan.design).families, seconds):
        answer = on_one(kind, _task(plan, seconds, own))
        failed = answer is None
        node, found = answer or (None, [])
    for measurement in found:
        store.add_measurement(measurement)
    return ProfiledKind(
        name=kind.name,
        device=kind.fingerprint,
        nodes=len(kind.nodes),
        measured_on=node,
        measurements_new=sum(not m.given_up for m in found),
        measurements_reused=sum(not m.given_up for m in own),
        seconds=time.perf_counter() - began if node else 0.0,
        failed=failed,
    )


def _is_known(own: Sequence[Measurement], families: Sequence[str], seconds: float) -> bool:
    """Return whether a kind of node needs no further measurements: it has enough, or its time is spent."""
    left = seconds_left(list(own), list(families), seconds)
    enough = sum(m.fits and m.processes == 1 for m in own) >= LEAST_MEASUREMENTS
    # All of the time is left while a family has hardly any measurements.
    return left == 0 or (enough and left < seconds)


def _task(plan: TrainingPlan, seconds: float, known: Sequence[Measurement]) -> NodeTask:
    design = parse_design(plan.design)
    return NodeTask(
        budget=design.parameters(plan.dataset.task),
        families=tuple(design.families),
        members=tuple(sorted({1, len(design.members)})),
        facts=plan.dataset,
        batch=plan.batch,
        device=plan.execution.device,
        seconds=seconds,
        known=tuple(known),
    )


def _nothing(problems: Sequence[str], address: ClusterAddress, device: str) -> str:
    if problems:
        return problems[0]
    what = "GPU" if device == "cuda" else "core"
    return f"no node of the cluster {address.address} offers a {what}: start one with `ray start`"
