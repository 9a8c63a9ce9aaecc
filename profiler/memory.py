"""Peak memory of what happens between two moments.

On CUDA the allocator keeps the peak. On Linux the kernel keeps the peak of resident memory of a process
and lets the process reset it (proc(5), clear_refs, value 5). Elsewhere there is no figure.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from pathlib import Path

import torch

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def watch_peak(device: str) -> Callable[[], int | None]:
    """Start watching; the function returned reads the growth of memory since then in bytes, or None."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        return lambda: torch.cuda.max_memory_allocated() - before
    return _watch_resident()


def _watch_resident() -> Callable[[], int | None]:
    try:
        _return_free_memory()
        _CLEAR.write_text("5")
        before = _status_bytes("VmRSS")
    except (OSError, ValueError):
        return lambda: None
    return lambda: max(_status_bytes("VmHWM") - before, 0)


def _return_free_memory() -> None:
    """Give freed heap back to the system, or growth into it would not be seen."""
    name = ctypes.util.find_library("c")
    trim = getattr(ctypes.CDLL(name), "malloc_trim", None) if name else None
    if trim is not None:
        trim(0)


def _status_bytes(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"the kernel reports no {field}")
