"""What the profiler is handed: a step that is described, and the same step built and in place."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class Mark(Protocol):
    """Told of the end of a phase."""

    def __call__(self, phase: str, /) -> None:
        """Note the time."""


class Prepared(Protocol):
    """A workload that is built and in place."""

    module: nn.Module

    @property
    def example(self) -> Tensor:
        """Prepared input of one batch."""

    def train_step(self, mark: Mark) -> None:
        """Do one training step; phases are data, forward, backward, optimizer."""

    def inference_step(self) -> Tensor:
        """Return the logits of one batch without gradients."""


class Workload(Protocol):
    """A step that is described and can build itself in any process."""

    def prepare(self) -> Prepared:
        """Build it."""
