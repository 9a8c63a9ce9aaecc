"""The one training step of the project, and the one way to ask a network for probabilities.

Both the training loop and the profiler's workload call these functions, so what is timed is what runs.
A step reports its phases to a `Mark`: ``data``, ``forward``, ``backward``, ``optimizer``, in this order.
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
from advisor.plans.dataset import Augmentation
from advisor.plans.execution import Execution
from trainer.data.batches import augmented, normalised
from trainer.training.heap import keep_freed_memory

Mark = Callable[[str], None]
# Summed loss of a batch from inputs, logits and labels.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Share:
    """What a process takes of every batch: slice `rank` of `count`, which differ by one image at most."""

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
        inputs: not looked at.
        logits: (batch, classes); of a joint network (batch, members, classes), whose losses are added up.
        labels: (batch,).
    """
    if logits.dim() == 3:
        labels = labels.repeat_interleave(logits.shape[1])
        logits = logits.flatten(0, 1)
    return functional.cross_entropy(logits, labels, reduction="sum")


def answers(logits: Tensor) -> Tensor:
    """Return the classes (batch,) that logits stand for; members of a joint network are averaged."""
    if logits.dim() == 3:
        logits = functional.softmax(logits.float(), dim=-1).mean(dim=1)
    return logits.argmax(dim=1)


def arithmetic(execution: Execution) -> AbstractContextManager[object]:
    """Return the autocast context of a plan."""
    return torch.autocast(
        execution.device, dtype=torch.bfloat16, enabled=execution.dtype == "bfloat16", cache_enabled=True
    )


def prepare_module(network: nn.Module, execution: Execution) -> nn.Module:
    """Move a network to the device and memory format of a plan, and the process into its settings."""
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


def make_optimizer(network: nn.Module, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """Return SGD with momentum; its rate is set before every step."""
    return torch.optim.SGD(
        network.parameters(), lr=0.0, momentum=momentum, weight_decay=weight_decay, fused=True
    )


def training_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    *,
    mean: Tensor,
    deviation: Tensor,
    augmentation: Augmentation,
    seed: int,
    execution: Execution,
    micro_batch: int = 0,
    loss_of: Loss = label_loss,
    share: Share = WHOLE,
    mark: Mark = unmarked,
) -> tuple[Tensor, Tensor]:
    """Do one step of SGD on a batch.

    Args:
        network: in training mode.
        optimizer: of its parameters.
        images: stored images, uint8 (batch, channels, height, width).
        labels: int64 (batch,).
        mean: of the training pixels, (channels,).
        deviation: of the training pixels, (channels,).
        augmentation: of the batch.
        seed: of the augmentation.
        execution: arithmetic and memory format.
        micro_batch: images at once, at most; gradients add up to those of the batch. 0: all.
        loss_of: what is minimised.
        share: of this process in the batch, of which all processes see all images; gradients are scaled so
            that their mean over the processes is that of the batch.
        mark: told of the end of each phase.

    Returns:
        Sum of the losses and number of wrong answers in the share, tensors on the device.
    """
    # Augmentation is drawn for the whole batch, so that images look the same however they are shared. It has
    # no name, or it would stay in memory for the whole step.
    inputs = normalised(
        share.of(augmented(images, augmentation, seed)), mean, deviation, execution.memory_format
    )
    divisor, labels = len(labels) / share.count, share.of(labels)
    optimizer.zero_grad(set_to_none=True)
    mark("data")
    loss_sum = torch.zeros((), device=labels.device)
    wrong = torch.zeros((), dtype=torch.int64, device=labels.device)
    # Parts of one size as far as possible: a last part of one image has no batch statistics.
    parts = math.ceil(len(labels) / (micro_batch or len(labels)))
    for part, right in zip(inputs.tensor_split(parts), labels.tensor_split(parts), strict=True):
        with arithmetic(execution):
            logits = network(part)
        loss = loss_of(part, logits.float(), right)
        mark("forward")
        (loss / divisor).backward()
        mark("backward")
        loss_sum += loss.detach()
        wrong += (answers(logits.detach()) != right).sum()
    optimizer.step()
    mark("optimizer")
    return loss_sum, wrong


def ran_out_of_memory(error: RuntimeError) -> bool:
    """Whether memory was the reason; torch has a class for that error on CUDA and a text on a CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def probabilities(
    network: nn.Module, images: Tensor, mean: Tensor, deviation: Tensor, batch: int, execution: Execution
) -> NDArray[np.float32]:
    """Return class probabilities of stored images in evaluation mode, `batch` at once.

    Their shape is (images, classes); of a joint network (images, members, classes).
    """
    network.eval()
    parts = list(_softmax_batches(network, images, mean, deviation, batch, execution))
    return torch.cat(parts).numpy()


def _softmax_batches(
    network: nn.Module, images: Tensor, mean: Tensor, deviation: Tensor, batch: int, execution: Execution
) -> Iterator[Tensor]:
    with torch.inference_mode():
        for part in images.split(batch):
            with arithmetic(execution):
                logits = network(normalised(part, mean, deviation, execution.memory_format))
            yield functional.softmax(logits.float(), dim=-1).cpu()
