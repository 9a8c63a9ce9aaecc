"""Worker processes of a training, before it begins."""

from __future__ import annotations

from trainer.execution.preloading import worker_context


def let_imports_begin() -> None:
    """Let the imports of worker processes begin; this process goes on with its own meanwhile."""
    worker_context()
