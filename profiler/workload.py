"""The workloads of the profiler: a step that is described, and the same step with its network built."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class Mark(Protocol):
    """Function that a step calls at the end of each phase."""

    def __call__(self, phase: str, /) -> None:
        """Note the end of a phase."""


class Prepared(Protocol):
    """A workload whose network is built and on its device."""

    module: nn.Module

    @property
    def example(self) -> Tensor:
        """Prepared input of one batch, shape (batch, channels, height, width)."""

    @property
    def eager(self) -> bool:
        """Whether `train_step` is executed operator by operator."""

    def train_step(self, mark: Mark) -> None:
        """Do one training step and mark the end of each phase: data, forward, backward, optimizer."""

    def eager_step(self, mark: Mark) -> None:
        """Do one training step operator by operator, so that its layers can be timed."""

    def inference_step(self) -> Tensor:
        """Return the logits of one batch without gradients."""


class Workload(Protocol):
    """A description of a step that can build the step in any process."""

    def prepare(self) -> Prepared:
        """Build the network and the batch."""
