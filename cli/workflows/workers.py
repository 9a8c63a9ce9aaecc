"""Worker processes of a training, before it begins."""

from __future__ import annotations

import os

from trainer.execution.preloading import worker_context


def let_imports_begin() -> None:
    """Let the imports of worker processes begin; this process goes on with its own meanwhile.

    On a single core there will be no workers, and both would wait for each other.
    """
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) > 1:
        worker_context()
