"""What a node of a cluster answers: its fingerprint, and measurements of its own.

These functions are called on the node (`trainer.execution.cluster.survey`). Texts are JSON.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from advisor.cost.measurement import Measurement
from advisor.designs.space import enumerate_candidates
from advisor.plans.dataset import DatasetFacts
from advisor.serial import from_plain, to_plain
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.forecast.measuring import profile_candidates
from cli.workflows.views import silent
from db.session import open_store
from profiler.device import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTask:
    """What a node measures: designs of a budget, as before advice.

    Attributes:
        budget: parameters of the designs.
        families: names of their families.
        members: their member counts.
        facts: data set.
        batch: images in a step.
        device: ``cpu`` or ``cuda``.
        seconds: length of the session of measuring.
        known: earlier measurements of the kind of node.
    """

    budget: int
    families: tuple[str, ...]
    members: tuple[int, ...]
    facts: DatasetFacts
    batch: int
    device: str
    seconds: float
    known: tuple[Measurement, ...] = ()


def fingerprint_of_node(device: str) -> str:
    """Return the fingerprint of the node under plain settings.

    Args:
        device: ``cpu`` or ``cuda``.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        # Ray hides GPUs from whatever takes none of them. This process ends with its answer.
        del os.environ["CUDA_VISIBLE_DEVICES"]
    return json.dumps(to_plain(fingerprint(plain_execution(device), "")))


def measure_node(task: str) -> str:
    """Measure on the node, in fresh processes, and return the new measurements.

    Args:
        task: a `NodeTask`.
    """
    wanted = from_plain(NodeTask, json.loads(task))
    candidates = enumerate_candidates(wanted.budget, wanted.families, wanted.facts.task, wanted.members)
    with (
        tempfile.TemporaryDirectory(prefix="advisor-") as folder,
        open_store(Path(folder) / "advisor.db") as store,
    ):
        for measurement in wanted.known:
            store.add_measurement(measurement)
        profile_candidates(
            store,
            candidates,
            wanted.facts,
            batch=wanted.batch,
            device=wanted.device,
            seconds=wanted.seconds,
            say=silent,
        )
        found = store.measurements()[len(wanted.known) :]
    return json.dumps([to_plain(measurement) for measurement in found])
