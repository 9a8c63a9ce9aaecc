"""How a process that trains on a CPU has its memory: it keeps what is freed, in large pages.

The allocator of glibc maps new pages for every large tensor and unmaps them when it is freed. A training
step then takes thousands of page faults, a different number every time. Three settings (mallopt(3)) let all
tensors come from the heap, and keep freed pages for the next layer. Peak memory does not change, because a
step needs the same tensors at the same time. Memory between two steps is higher.

Many Linux systems give pages of 4 KiB unless a process asks for large ones of 2 MiB (madvise(2)). A heap in
large pages is read faster (`benchmarks/cost/heap.py`). Moving it takes some seconds a GiB, once, so small
heaps stay as they are.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

# Parameters of mallopt in malloc.h, and the largest value that glibc accepts for the second on 64 bits.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024
_NEVER = 2**31 - 1
# Kinds of advice in mman.h: large pages for what is touched from now on (Linux 2.6.38), and for what is there
# already (Linux 6.1).
_HUGE_PAGES, _COLLAPSE = 14, 25
_HUGE_PAGE = 2 * 1024 * 1024
_MAPS = Path("/proc/self/maps")
# Steps of a network after which the heap has its size; the first has no momentum yet.
STEPS = 2
# Bytes by which a heap has to have grown before it is moved.
LEAST_GROWTH = 64 * 1024 * 1024


@cache
def keep_freed_memory() -> bool:
    """Change the allocator of this process, at the first call only.

    Returns:
        Whether the allocator has these settings, which is so with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(
        mallopt(*setting)
        for setting in (
            (_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD),
            (_TRIM_THRESHOLD, _NEVER),
            # Larger tensors than the threshold too.
            (_MMAP_MAX, 0),
        )
    )


class LargePages:
    """Large pages for the heap of a process that trains a network on a CPU.

    Args:
        device: device of the network; on another than ``cpu`` nothing happens.
    """

    # Of all networks in this process: bytes of the heap before the first one, or when it was last moved.
    _size: int | None = None

    def __init__(self, device: str) -> None:
        self._wanted = device == "cpu" and keep_freed_memory()
        self._steps = 0
        if self._wanted and LargePages._size is None:
            LargePages._size = _bytes_of(_heap())

    def after_step(self) -> None:
        """Move the heap into large pages where it has grown much; call it after every training step."""
        self._steps += 1
        if self._wanted and self._steps == STEPS:
            heap = list(_heap())
            if _bytes_of(heap) - (LargePages._size or 0) >= LEAST_GROWTH:
                _move(heap)
                LargePages._size = _bytes_of(heap)


def _heap() -> Iterator[tuple[int, int]]:
    """Yield the first and the last address of every part of the heap."""
    try:
        lines = _MAPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.endswith("[heap]"):
            start, _, end = line.split()[0].partition("-")
            yield int(start, 16), int(end, 16)


def _bytes_of(parts: Iterable[tuple[int, int]]) -> int:
    return sum(end - start for start, end in parts)


def _move(parts: list[tuple[int, int]]) -> None:
    """Ask for large pages; a system that has none is left as it is."""
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in parts:
        first, last = -(-start // _HUGE_PAGE) * _HUGE_PAGE, end // _HUGE_PAGE * _HUGE_PAGE
        if first < last:
            madvise(first, last - first, _HUGE_PAGES)
            madvise(first, last - first, _COLLAPSE)
