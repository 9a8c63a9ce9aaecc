"""The one training step of the project, and the one way to get probabilities from a network.

Both the training loop and the profiler's workload call these functions. The profiler therefore times exactly
the code that trains. A step reports the end of each phase to a `Mark`: ``data``, ``forward``, ``backward``
and ``optimizer``, in this order; ``forward`` and ``backward`` once a micro-batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from advisor.cost.measurement import CUDA_PRECISION, CUDNN_BENCHMARK
from advisor.plans.execution import Execution
from trainer.data.batches import normalised
from trainer.data.preparation import Preparation
from trainer.training.heap import keep_freed_memory
from trainer.training.optimizer import SGD

# Receiver of the names of finished phases.
Mark = Callable[[str], None]
# Summed loss of a batch as a function of inputs, logits and labels.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
# Descent on images and shifts, as `Preparation.drawn` returns them, and on classes: sum of the losses and
# number of wrong answers.
Descent = Callable[[Tensor, Tensor, Tensor, Mark], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Share:
    """Slice of every batch that a process computes; the sizes of slices differ by one image at most.

    Attributes:
        rank: number of the slice, 0, 1, …
        count: number of slices.
    """

    rank: int = 0
    count: int = 1

    def of(self, batch: Tensor) -> Tensor:
        """Return the slice of a tensor (batch, …)."""
        return batch.tensor_split(self.count)[self.rank]


WHOLE = Share()


def unmarked(phase: str) -> None:
    """Ignore the end of a phase."""


def label_loss(inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Return the summed cross-entropy of a batch, a scalar.

    Args:
        inputs: images, which this loss does not use.
        logits: outputs of the network, (batch, classes); of a joint network (batch, members, classes), whose
            members' losses are summed.
        labels: true classes, int64 (batch,).
    """
    if logits.dim() == 3:
        labels = labels.repeat_interleave(logits.shape[1])
        logits = logits.flatten(0, 1)
    return functional.cross_entropy(logits, labels, reduction="sum")


def predicted_classes(logits: Tensor) -> Tensor:
    """Return the most probable classes.

    Args:
        logits: outputs of a network, (batch, classes); of a joint network (batch, members, classes), whose
            members' probabilities are averaged.

    Returns:
        Classes, int64 (batch,).
    """
    if logits.dim() == 3:
        logits = functional.softmax(logits.float(), dim=-1).mean(dim=1)
    return logits.argmax(dim=1)


def autocast(execution: Execution) -> AbstractContextManager[object]:
    """Return the autocast context of a plan."""
    return torch.autocast(
        execution.device, dtype=torch.bfloat16, enabled=execution.dtype == "bfloat16", cache_enabled=True
    )


def prepare_module(network: nn.Module, execution: Execution) -> nn.Module:
    """Move a network to the device and memory format of a plan.

    The allocator, cuDNN and the precision of products on CUDA are set for the whole process.

    Args:
        network: network to move.
        execution: device and memory format.

    Returns:
        The same network.
    """
    if execution.device == "cpu":
        keep_freed_memory()
    else:
        torch.backends.cudnn.benchmark = CUDNN_BENCHMARK
        for products in (torch.backends.cudnn.conv, torch.backends.cuda.matmul):  # type: ignore[attr-defined]
            products.fp32_precision = CUDA_PRECISION
    network.to(execution.device)
    if execution.memory_format == "channels_last":
        network.to(memory_format=torch.channels_last)
    return network


def training_step(
    network: nn.Module,
    optimizer: SGD,
    images: Tensor,
    labels: Tensor,
    *,
    preparation: Preparation,
    seed: int,
    execution: Execution,
    micro_batch: int = 0,
    loss_of: Loss = label_loss,
    share: Share = WHOLE,
    mark: Mark = unmarked,
    descent: Descent | None = None,
) -> tuple[Tensor, Tensor]:
    """Do one step of SGD on a batch.

    Args:
        network: network in training mode.
        optimizer: optimizer of the network's parameters.
        images: stored images of the whole batch, uint8 (batch, channels, height, width).
        labels: true classes, int64 (batch,).
        preparation: augmentation and normalisation.
        seed: random seed of the augmentation.
        execution: arithmetic and memory format.
        micro_batch: largest number of images at once, 0 for the whole batch; gradients of the parts add up to
            those of the batch.
        loss_of: loss function to minimise.
        share: slice of the batch that this process computes. Gradients are scaled so that their mean over all
            processes is the gradient of the batch.
        mark: receiver of the names of finished phases.
        descent: another way of executing all phases on a whole batch (`trainer.training.step_modes`); None
            for the eager way.

    Returns:
        Sum of the losses and number of wrong answers in the slice, two scalars on the device.
    """
    if descent is not None and not micro_batch:
        return descent(*preparation.drawn(images, seed), labels, mark)
    # Shifts are drawn for the whole batch, so that an image looks the same however the batch is shared. They
    # have no name, because a name would keep them in memory for the whole step.
    inputs = preparation.inputs(*map(share.of, preparation.drawn(images, seed)))
    mark("data")
    return descend(
        network,
        optimizer,
        inputs,
        share.of(labels),
        len(labels) / share.count,
        execution,
        micro_batch=micro_batch,
        loss_of=loss_of,
        mark=mark,
    )


def descend(
    network: Callable[[Tensor], Tensor],
    optimizer: SGD,
    inputs: Tensor,
    labels: Tensor,
    divisor: float,
    execution: Execution,
    *,
    micro_batch: int = 0,
    loss_of: Loss = label_loss,
    mark: Mark = unmarked,
) -> tuple[Tensor, Tensor]:
    """Do forward pass, backward pass and update.

    Args:
        network: network in training mode.
        optimizer: optimizer of the network's parameters.
        inputs: prepared images, float32 (batch, channels, height, width).
        labels: true classes, int64 (batch,).
        divisor: number by which summed gradients are divided.
        execution: arithmetic.
        micro_batch: as in `training_step`.
        loss_of: loss function to minimise.
        mark: receiver of the names of finished phases.

    Returns:
        Sum of the losses and number of wrong answers, two scalars on the device.
    """
    optimizer.zero_grad()
    loss_sum = torch.zeros((), device=labels.device)
    wrong = torch.zeros((), dtype=torch.int64, device=labels.device)
    # The parts are nearly equal, because a part of a single image has no batch statistics.
    parts = math.ceil(len(labels) / (micro_batch or len(labels)))
    for part, right in zip(inputs.tensor_split(parts), labels.tensor_split(parts), strict=True):
        loss, errors = _accumulate(network, part, right, divisor, execution, loss_of, mark)
        loss_sum += loss
        wrong += errors
    optimizer.step()
    mark("optimizer")
    return loss_sum, wrong


def _accumulate(
    network: Callable[[Tensor], Tensor],
    inputs: Tensor,
    labels: Tensor,
    divisor: float,
    execution: Execution,
    loss_of: Loss,
    mark: Mark,
) -> tuple[Tensor, Tensor]:
    """Add the gradients of a micro-batch, and return the sum of its losses and number of wrong answers."""
    with autocast(execution):
        logits = network(inputs)
    loss = loss_of(inputs, logits.float(), labels)
    mark("forward")
    (loss / divisor).backward()
    mark("backward")
    return loss.detach(), (predicted_classes(logits.detach()) != labels).sum()


def ran_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error is for want of memory; on a CPU torch has no class for it, only a text."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def probabilities(
    network: nn.Module, images: Tensor, mean: Tensor, deviation: Tensor, batch: int, execution: Execution
) -> NDArray[np.float32]:
    """Return class probabilities of stored images; the network is put into evaluation mode.

    Args:
        network: network on the device of the images.
        images: stored images, uint8 (images, channels, height, width).
        mean: mean of the training pixels between 0 and 1, (channels,).
        deviation: standard deviation of the training pixels between 0 and 1, (channels,).
        batch: number of images at once.
        execution: arithmetic and memory format.

    Returns:
        Probabilities, float32 (images, classes); of a joint network (images, members, classes).
    """
    network.eval()
    parts = list(_softmax_batches(network, images, mean, deviation, batch, execution))
    # One copy from the device: each waits for its work.
    return torch.cat(parts).cpu().numpy()


def _softmax_batches(
    network: nn.Module, images: Tensor, mean: Tensor, deviation: Tensor, batch: int, execution: Execution
) -> Iterator[Tensor]:
    with torch.inference_mode():
        for part in images.split(batch):
            with autocast(execution):
                logits = network(normalised(part, mean, deviation, execution.memory_format))
            yield functional.softmax(logits.float(), dim=-1)
