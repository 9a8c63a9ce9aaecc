"""Peak memory of a process between two moments.

- On CUDA the allocator records the peak.
- On Linux the kernel records the peak of a process's resident memory, and the process can reset it (proc(5),
  clear_refs, value 5).
- Elsewhere there is no figure.

Memory that only the first step of a process takes, such as pages of libraries or the workspace of cuBLAS,
belongs to the idle process. It is allocated before the first watch begins.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch.optim.sgd import sgd

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def watch_peak(device: str) -> Callable[[], int | None]:
    """Start watching the memory of this process.

    Args:
        device: ``cpu`` or ``cuda``.

    Returns:
        A function that returns the growth to the peak since then in bytes, or None where it cannot be read.
    """
    _load_libraries(device)
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        return lambda: torch.cuda.max_memory_allocated() - before
    return _watch_resident()


def reserved_bytes(device: str) -> int | None:
    """Return the most bytes that CUDA's allocator has reserved since the watch began; None on a CPU."""
    return torch.cuda.max_memory_reserved() if device == "cuda" else None


@cache
def _load_libraries(device: str) -> None:
    """Run layers of every kind once a process; on CUDA that is the current stream, not those of graphs."""
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, padding=1, bias=False),
        torch.nn.BatchNorm2d(16),
        torch.nn.ReLU(inplace=True),
        torch.nn.Conv2d(16, 16, 3, padding=1, bias=False),
        torch.nn.Flatten(),
        torch.nn.Linear(16 * 16 * 16, 10),
    ).to(device)
    weights: list[torch.Tensor] = list(layers.parameters())
    images = torch.zeros(16, 3, 16, 16, device=device)
    for dtype in (torch.float32, torch.bfloat16):
        for layout in (torch.contiguous_format, torch.channels_last):
            with torch.autocast(device, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
                loss = layers(images.contiguous(memory_format=layout)).float().square().sum()
            loss.backward()
            _step(weights)


@torch.no_grad()
def _step(weights: list[torch.Tensor]) -> None:
    """Run the kernels of a step of SGD, without the class of torch, which imports a compiler."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    sgd(
        weights,
        gradients,
        [None] * len(weights),
        fused=True,
        weight_decay=0.0,
        momentum=0.9,
        lr=0.0,
        dampening=0.0,
        nesterov=False,
        maximize=False,
    )


def _watch_resident() -> Callable[[], int | None]:
    try:
        _return_free_memory()
        _CLEAR.write_text("5")
        before = _status_bytes("VmRSS")
    except (OSError, ValueError):
        return lambda: None
    return lambda: max(_status_bytes("VmHWM") - before, 0)


def _return_free_memory() -> None:
    """Return freed heap to the system; growth into free heap would not be visible."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """Return the function that trims the heap; finding it starts another process, so it is found once."""
    name = ctypes.util.find_library("c")
    return getattr(ctypes.CDLL(name), "malloc_trim", None) if name else None


def _status_bytes(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"the kernel reports no {field}")
