"""Worker processes that begin with everything imported.

This module imports nothing slow, so that a command can let the imports of its workers begin before its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.context import ForkServerContext, SpawnContext

from advisor.spawning import forked_context

MODULES = ("trainer.execution.pool",)


def worker_context(also: Sequence[str] = ()) -> ForkServerContext | SpawnContext:
    """Return the context of worker processes; the first call lets their imports begin.

    Args:
        also: names of further modules, which count in the first call.
    """
    return forked_context((*MODULES, *also))
