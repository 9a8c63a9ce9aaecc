"""How networks are trained on a device: processes, threads, arithmetic and memory format."""

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
