"""Memory that a device has left, before anything is started on it."""

from __future__ import annotations

from pathlib import Path

import torch

_MEMORY = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def free_bytes(device: str) -> float:
    """Return the bytes that new processes may take; infinity where the system does not say.

    On CUDA that is the memory of the first GPU, because asking for its free part would itself take some.

    Args:
        device: ``cpu`` or ``cuda``.
    """
    if device == "cuda":
        return float(torch.cuda.get_device_properties(0).total_memory)
    return min(_of_the_system(), _of_the_container())


def _of_the_system() -> float:
    try:
        lines = _MEMORY.read_text().splitlines()
        return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return float("inf")


def _of_the_container() -> float:
    """Return the limit of a container less what it uses; the kernel gives file pages back when needed."""
    try:
        limit, used = (int((_CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        stat = (line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        pages = next((int(value) for name, value in stat if name == "inactive_file"), 0)
    # The files are missing, or there is no limit: "max".
    except (OSError, ValueError):
        return float("inf")
    return max(float(limit - used + pages), 0.0)
