"""What a measurement is and on which machine it holds.

Measurements of different fingerprints are never mixed: time depends on the device, its driver, torch's
version, the threads of a process, the arithmetic and the memory format.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from advisor.errors import UnknownNameError, UsageError
from advisor.layers import Task

MOST_WORKERS = 1024
_CHOICES = {
    "device": ("cpu", "cuda"),
    "dtype": ("float32", "bfloat16"),
    "memory_format": ("contiguous", "channels_last"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How one network is trained on a device; time and memory depend on nothing else of the plan.

    Attributes:
        device: ``cpu`` or ``cuda``.
        processes: networks that train at the same time.
        threads: intra-operator threads of each (CPU).
        dtype: ``float32`` or ``bfloat16`` (autocast).
        memory_format: ``contiguous`` or ``channels_last``.
    """

    device: str
    processes: int
    threads: int
    dtype: str
    memory_format: str

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise UnknownNameError(name.replace("_", " "), getattr(self, name), choices)
        for name in ("processes", "threads"):
            if not 1 <= getattr(self, name) <= MOST_WORKERS:
                raise UsageError(f"{name} must be between 1 and {MOST_WORKERS}, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The machine and the settings under which a measurement holds."""

    device: str
    device_name: str
    driver: str
    torch: str
    threads: int
    dtype: str
    memory_format: str

    @property
    def digest(self) -> str:
        """Short hash of every field."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Times of one training step and one inference step of a network.

    Attributes:
        network: short name.
        task: what the network was built for.
        batch: images in a step.
        processes: copies that ran at the same time; 1 unless contention was measured.
        forward_seconds, backward_seconds, optimizer_seconds: medians of the phases of a step.
        step_seconds: median of whole steps, batch preparation included.
        step_iqr_seconds: interquartile range of whole steps.
        inference_seconds: median of a forward pass of a batch without gradients.
        peak_bytes: peak memory of training beyond the idle process, or None where it cannot be read.
        spent_seconds: what the measurement itself took.
        measured_at: UTC time, ISO 8601.
    """

    network: str
    task: Task
    batch: int
    fingerprint: Fingerprint
    processes: int = 1
    forward_seconds: float
    backward_seconds: float
    optimizer_seconds: float
    step_seconds: float
    step_iqr_seconds: float
    inference_seconds: float
    peak_bytes: int | None
    spent_seconds: float
    measured_at: str
