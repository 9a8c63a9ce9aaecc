"""Processes, threads, arithmetic and memory format of a training on a device."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.errors import UnknownNameError, UsageError

MOST_WORKERS = 1024


DEVICES = ("cpu", "cuda")
DTYPES = ("float32", "bfloat16")
_CHOICES = {
    "device": DEVICES,
    "dtype": DTYPES,
    "memory_format": ("contiguous", "channels_last"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Settings of the training of one network; no other part of a plan changes its time and memory.

    Attributes:
        device: ``cpu`` or ``cuda``.
        processes: number of networks that train at the same time.
        threads: intra-operator threads of each process (CPU).
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
