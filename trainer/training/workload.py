"""What the profiler is handed: the trainer's own step on synthetic images, picklable for a fresh process."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advisor.networks.joint import graph_of
from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation
from advisor.plans.execution import Execution
from trainer.networks.network import build_network
from trainer.training.step import Mark, arithmetic, make_optimizer, prepare_module, training_step


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWorkload:
    """A training step that is described but not yet built.

    Attributes:
        network: short name.
        task: images and classes.
        batch: images a step.
        augmentation: of the batch.
        execution: device and arithmetic.
    """

    network: str
    task: Task
    batch: int
    augmentation: Augmentation
    execution: Execution

    def prepare(self) -> PreparedStep:
        """Build the network and synthetic images."""
        return PreparedStep(self)


class PreparedStep:
    """A network in place, ready to train and to infer on synthetic images of the task's shape."""

    def __init__(self, workload: StepWorkload) -> None:
        self.workload = workload
        task, device = workload.task, workload.execution.device
        generator = torch.Generator().manual_seed(0)
        shape = (workload.batch, task.channels, task.height, task.width)
        self.module: nn.Module = prepare_module(
            build_network(graph_of(workload.network, task), 0), workload.execution
        )
        self._optimizer = make_optimizer(self.module, 0.9, 1e-4)
        self._images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(device)
        self._labels = torch.randint(0, task.classes, shape[:1], generator=generator).to(device)
        # As in the training loop, the images of a batch are gathered from all over the data set.
        self._order = torch.randperm(workload.batch, generator=generator).to(device)
        self._mean = torch.full((task.channels,), 0.5, device=device)
        self._deviation = torch.full((task.channels,), 0.25, device=device)
        memory_format = torch.channels_last if workload.execution.memory_format == "channels_last" else None
        example = torch.randn(shape, generator=generator).to(device)
        self._example = example.contiguous(memory_format=memory_format) if memory_format else example

    def train_step(self, mark: Mark) -> None:
        """Do one training step; `mark` is told of the end of each phase."""
        if not self.module.training:
            self.module.train()
        training_step(
            self.module,
            self._optimizer,
            self._images[self._order],
            self._labels[self._order],
            mean=self._mean,
            deviation=self._deviation,
            augmentation=self.workload.augmentation,
            seed=0,
            execution=self.workload.execution,
            mark=mark,
        )

    def inference_step(self) -> Tensor:
        """Return the logits of one batch, (batch, classes), without gradients."""
        # Once for all batches, as in an evaluation: it visits every module.
        if self.module.training:
            self.module.eval()
        with torch.inference_mode(), arithmetic(self.workload.execution):
            logits: Tensor = self.module(self._example)
        return logits

    @property
    def example(self) -> Tensor:
        """Prepared input of one batch."""
        return self._example
