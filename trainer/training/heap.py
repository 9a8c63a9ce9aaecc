"""Freed memory stays with the process instead of going back to the system after every layer.

glibc serves large tensors by mapping fresh pages and unmaps them when they are freed, so that a training
step takes thousands of page faults, a different number every time. Two settings of its allocator (mallopt(3))
keep freed pages for the next layer. Peak memory does not change, since a step needs the same maps at the same
moment; memory between steps does.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# Parameters of mallopt in malloc.h, and the largest value that glibc takes for the second on 64 bits.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024
_NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Tell the allocator of this process, once; return whether it is one that listens."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_TRIM_THRESHOLD, _NEVER))
