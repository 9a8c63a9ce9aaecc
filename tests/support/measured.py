"""A made-up machine and measurements on it, of which a test gives what matters to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from advisor.cost.measurement import Fingerprint, LayerTime, Measurement
from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task
from advisor.plans.execution import Execution
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.home import Home
from db.session import open_store
from profiler.device import fingerprint

MACHINE = Fingerprint(
    device="cpu",
    device_name="one",
    driver="",
    torch="2",
    threads=1,
    dtype="float32",
    memory_format="contiguous",
)
EXECUTION = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")


def measurement(network: str, task: Task, batch: int, **given: object) -> Measurement:
    """What a step came to: on `MACHINE`, in no time and with a peak that cannot be read, unless given."""
    usual = {
        "fingerprint": MACHINE,
        "forward_seconds": 0.0,
        "backward_seconds": 0.0,
        "optimizer_seconds": 0.0,
        "step_seconds": 0.0,
        "step_iqr_seconds": 0.0,
        "inference_seconds": 0.0,
        "peak_bytes": None,
        "spent_seconds": 1.0,
        "measured_at": "2026-01-01T00:00:00+00:00",
    }
    return Measurement(network=network, task=task, batch=batch, **(usual | given))


def step_of(network: str, task: Task, batch: int, machine: Fingerprint) -> Measurement:
    """A step whose time is that of its MACs and of its layers."""
    nodes = lower(parse_network(network), task).nodes
    seconds = {node.name: 1e-4 + batch * node.macs / 1e9 for node in nodes} | {"loss": 1e-4}
    layers = tuple(
        LayerTime(name=name, forward_seconds=s, backward_seconds=2 * s, inference_seconds=s)
        for name, s in seconds.items()
    )
    forward = sum(seconds.values())
    return measurement(
        network,
        task,
        batch,
        fingerprint=machine,
        forward_seconds=forward,
        backward_seconds=2 * forward,
        optimizer_seconds=0.003,
        step_seconds=3 * forward + 0.005,
        inference_seconds=forward,
        layers=layers,
        peak_bytes=10_000_000,
    )


def home_with_steps(
    path: Path, task: Task, networks: Sequence[str], batches: Sequence[int] = (16, 32)
) -> Home:
    """A home with steps of networks, measured under the plain settings of the machine at hand."""
    home, machine = Home(path), fingerprint(plain_execution("cpu"))
    with open_store(home.database) as store:
        for network in networks:
            for batch in batches:
                store.add_measurement(step_of(network, task, batch, machine))
    return home
