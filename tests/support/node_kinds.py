"""Nodes of a cluster that nobody has to start: this machine, and two other kinds."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace

from measured import step_of

from advisor.cost.measurement import Measurement
from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.methods import make_plan
from cli.workflows.forecast.cluster.kinds import ClusterKinds, KindOfNode
from cli.workflows.forecast.machine import plain_execution
from db.queries import Store
from profiler.device import fingerprint
from trainer.execution.cluster.address import ClusterAddress

DIGITS = DATASETS["digits"]
PLAIN = plain_execution("cpu")
OWN = fingerprint(PLAIN, "")
OTHER, THIRD = (replace(OWN, device_name=name) for name in ("Other, 8 cores", "Third, 8 cores"))
NETWORKS = [f"mlp-{depth}-{width}" for depth in (1, 2) for width in (4, 8, 16)]


def planned(design="2xmlp-1-8"):
    # However many cores the machine at hand has, the plan itself trains one network at a time.
    return make_plan(
        parse_design(design), DIGITS, epochs=4, batch=32, seed=0, execution=replace(PLAIN, processes=1)
    )


def slowed(m: Measurement, factor: float) -> Measurement:
    times = {f.name for f in fields(m) if f.name.endswith("_seconds") and getattr(m, f.name) is not None}
    layers = tuple(
        replace(
            layer,
            forward_seconds=factor * layer.forward_seconds,
            backward_seconds=factor * layer.backward_seconds,
            inference_seconds=factor * layer.inference_seconds,
        )
        for layer in m.layers
    )
    return replace(m, layers=layers, **{name: factor * getattr(m, name) for name in times})


def measure(store: Store, machine, factor: float = 1.0) -> None:
    """Store steps of a machine that take so many times the usual."""
    for network in NETWORKS:
        for batch in (16, 32):
            store.add_measurement(slowed(step_of(network, DIGITS.task, batch, machine), factor))


def node(cores, gpus=0):
    return SimpleNamespace(id=f"{cores}", name=f"node {cores}", cores=cores, gpus=gpus)


def cluster(**nodes):
    """Nodes with so many cores by their kind: own, other or third."""
    machines = {"own": OWN, "other": OTHER, "third": THIRD}
    kinds = tuple(
        KindOfNode(machines[name].device_name, machines[name], tuple(map(node, cores)))
        for name, cores in nodes.items()
    )
    return ClusterKinds(ClusterAddress("head:6379"), kinds, (), frozenset())
