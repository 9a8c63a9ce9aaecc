"""Processes that start without the program that asked for them.

A process that Python spawns imports the caller's main module again. A script or notebook that uses this
program would then run a second time inside a measuring process, and fail there. Our processes need none of
it: what they execute stands in modules of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# What `multiprocessing.spawn` reads of the main module to find it again.
_TRACES = ("__spec__", "__file__")


@contextmanager
def without_main_module() -> Iterator[None]:
    """Let processes that are spawned meanwhile leave the caller's main module alone."""
    main = sys.modules["__main__"]
    before = {name: getattr(main, name) for name in _TRACES if hasattr(main, name)}
    try:
        for name in before:
            setattr(main, name, None)
        yield
    finally:
        for name, value in before.items():
            setattr(main, name, value)
