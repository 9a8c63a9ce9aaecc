"""A made-up machine and measurements on it, of which a test gives what matters to it."""

from __future__ import annotations

from advisor.cost.measurement import Fingerprint, Measurement
from advisor.networks.layers import Task
from advisor.plans.execution import Execution

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
