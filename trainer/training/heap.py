"""An allocator setting: freed memory stays with the process instead of returning to the system.

The allocator of glibc maps new pages for every large tensor and unmaps them when it is freed. A training step
then takes thousands of page faults, a different number every time. Two settings (mallopt(3)) keep freed pages
for the next layer. Peak memory does not change, because a step needs the same tensors at the same time.
Memory between two steps is higher.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# Parameters of mallopt in malloc.h, and the largest value that glibc accepts for the second on 64 bits.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024
_NEVER = 2**31 - 1


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
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_TRIM_THRESHOLD, _NEVER))
