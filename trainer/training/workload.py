"""The trainer's own step on synthetic images: the workload that the profiler measures.

Its description can be pickled, so that it can be measured in a new process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advisor.networks.layers import Task
from advisor.networks.shared_layers import graph_of
from advisor.plans.dataset import Augmentation
from advisor.plans.execution import EAGER, Execution
from trainer.data.preparation import Preparation
from trainer.networks.network import build_network
from trainer.training.optimizer import SGD
from trainer.training.step import Descent, Mark, autocast, prepare_module, training_step, unmarked
from trainer.training.step_modes import descent_in_mode


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWorkload:
    """A training step that is described but not yet built.

    Attributes:
        network: short name of the network.
        task: image shape and number of classes.
        batch: number of images in a step.
        augmentation: kind of augmentation.
        execution: device, arithmetic and memory format.
        copies: number of networks that do the step at the same time in one process, on CUDA on streams.
    """

    network: str
    task: Task
    batch: int
    augmentation: Augmentation
    execution: Execution
    copies: int = 1

    def prepare(self) -> PreparedStep:
        """Build the network and synthetic images, and what the mode of steps needs.

        Raises:
            StepModeError: the mode is not possible on this machine.
        """
        prepared = PreparedStep(self) if self.copies == 1 else PreparedCopies(self)
        if self.execution.step_mode != EAGER:
            prepared.train_step(unmarked)
        return prepared


class PreparedStep:
    """A network on its device that can train and infer on synthetic images of the task's shape.

    Args:
        workload: description of the step.
    """

    def __init__(self, workload: StepWorkload) -> None:
        self.workload = workload
        task, device = workload.task, workload.execution.device
        generator = torch.Generator().manual_seed(0)
        shape = (workload.batch, task.channels, task.height, task.width)
        self.module: nn.Module = prepare_module(
            build_network(graph_of(workload.network, task), 0), workload.execution
        )
        self._optimizer = SGD(self.module, 0.9, 1e-4)
        self._images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(device)
        self._labels = torch.randint(0, task.classes, shape[:1], generator=generator).to(device)
        # As in the training loop, the images of a batch are gathered from random places.
        self._order = torch.randperm(workload.batch, generator=generator).to(device)
        self._preparation = Preparation(
            augmentation=workload.augmentation,
            mean=torch.full((task.channels,), 0.5, device=device),
            deviation=torch.full((task.channels,), 0.25, device=device),
            memory_format=workload.execution.memory_format,
        )
        self._descent = descent_in_mode(self.module, self._optimizer, self._preparation, workload.execution)
        memory_format = torch.channels_last if workload.execution.memory_format == "channels_last" else None
        example = torch.randn(shape, generator=generator).to(device)
        self._example = example.contiguous(memory_format=memory_format) if memory_format else example

    @property
    def rate(self) -> float:
        """Learning rate of the next step; 0 at first, which takes as long as any other."""
        return self._optimizer.rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._optimizer.rate = rate

    @property
    def eager(self) -> bool:
        """Whether training steps are executed operator by operator."""
        return self._descent is None

    def train_step(self, mark: Mark) -> None:
        """Do one training step in the mode of the workload.

        Args:
            mark: receiver of the names of finished phases.

        Raises:
            StepModeError: the mode is not possible on this machine.
        """
        self._train_step(mark, self._descent)

    def eager_step(self, mark: Mark) -> None:
        """Do one training step operator by operator, whatever the mode of the workload.

        Args:
            mark: receiver of the names of finished phases.
        """
        self._train_step(mark, None)

    def _train_step(self, mark: Mark, descent: Descent | None) -> None:
        if not self.module.training:
            self.module.train()
        training_step(
            self.module,
            self._optimizer,
            self._images[self._order],
            self._labels[self._order],
            preparation=self._preparation,
            seed=0,
            execution=self.workload.execution,
            mark=mark,
            descent=descent,
        )

    def inference_step(self) -> Tensor:
        """Return the logits of one batch, (batch, classes), without gradients."""
        # Only before the first batch, as in an evaluation, because `eval` visits every module.
        if self.module.training:
            self.module.eval()
        with torch.inference_mode(), autocast(self.workload.execution):
            logits: Tensor = self.module(self._example)
        return logits

    @property
    def example(self) -> Tensor:
        """Normalised images of one batch, float32 (batch, channels, height, width)."""
        return self._example


class PreparedCopies(PreparedStep):
    """Several networks that do a step at the same time; layers and inference are those of one of them.

    Args:
        workload: description of the step, and number of networks.
    """

    def __init__(self, workload: StepWorkload) -> None:
        super().__init__(workload)
        self._others = [PreparedStep(workload) for _ in range(workload.copies - 1)]
        on_cuda = workload.execution.device == "cuda"
        self._streams = [torch.cuda.Stream() for _ in range(workload.copies)] if on_cuda else []

    def train_step(self, mark: Mark) -> None:
        """Do one step of every network, side by side; arguments as `PreparedStep.train_step`."""
        steps = [super().train_step, *(other.train_step for other in self._others)]
        if self._streams:
            self._train_on_streams(steps)
        else:
            for step in steps:
                step(unmarked)
        # Phases of networks that run side by side cannot be told apart.
        for phase in ("data", "forward", "backward", "optimizer"):
            mark(phase)

    def _train_on_streams(self, steps: Sequence[Callable[[Mark], None]]) -> None:
        current = torch.cuda.current_stream()
        for step, stream in zip(steps, self._streams, strict=True):
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                step(unmarked)
        for stream in self._streams:
            current.wait_stream(stream)
