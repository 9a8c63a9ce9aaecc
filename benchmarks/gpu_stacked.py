"""Networks of one shape as a single one: grouped convolutions, one map of all of them in a layer.

Not a part of the program. `gpu_thin.py` measures it beside networks on streams, which may have any shapes,
begin and end when they like, and round as a network alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from advisor.networks.shared_layers import graph_of
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from trainer.data.augmentation import drawn
from trainer.data.preparation import Preparation
from trainer.networks.network import SpecNetwork, Subsample, build_network
from trainer.training.optimizer import SGD
from trainer.training.replay import ReplayedStep
from trainer.training.step import Mark, label_loss, prepare_module, unmarked


class _StackedSubsample(nn.Module):
    """The shortcuts of several networks: channels are padded network by network."""

    def __init__(self, own: Subsample, count: int) -> None:
        super().__init__()
        self.channels, self.stride, self.count = own.channels, own.stride, count

    def forward(self, x: Tensor) -> Tensor:
        """Return the shortcuts: (batch, count × c, h, w) → (batch, count × channels, ⌈h/s⌉, ⌈w/s⌉)."""
        if self.stride > 1:
            x = functional.avg_pool2d(x, 1, self.stride)
        # Channels last, in which the channels of a network can be padded without a copy into another format.
        apart = x.permute(0, 2, 3, 1).unflatten(3, (self.count, -1))
        padded = functional.pad(apart, (0, self.channels - apart.shape[4]))
        return padded.flatten(3).permute(0, 3, 1, 2)


class _StackedLinear(nn.Module):
    """The classifiers of several networks."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, network after network: (batch, count × features) → (count × batch, classes)."""
        apart = x.unflatten(1, (len(self.weight), -1)).transpose(0, 1)
        return torch.baddbmm(self.bias[:, None], apart, self.weight.transpose(1, 2)).flatten(0, 1)


def stacked(networks: Sequence[SpecNetwork]) -> nn.Module:
    """Return residual networks of one shape as one network; the given ones are no longer usable.

    Args:
        networks: networks whose layers convolve, normalise, rectify, add, shorten and pool. The first is
            changed into the result.

    Returns:
        Network from (batch, count × channels, height, width) to logits (count × batch, classes).
    """
    count, result = len(networks), networks[0]
    for name in list(result.layers):
        own = [network.layers[name] for network in networks]
        result.layers[name] = _stacked_layer(own, count)
    return result


def _stacked_layer(own: list[nn.Module], count: int) -> nn.Module:
    first = own[0]
    if isinstance(first, nn.Conv2d):
        joint: nn.Module = nn.Conv2d(
            count * first.in_channels,
            count * first.out_channels,
            first.kernel_size,
            first.stride,
            first.padding,
            groups=count,
            bias=False,
        )
    elif isinstance(first, nn.BatchNorm2d):
        joint = nn.BatchNorm2d(count * first.num_features)
    elif isinstance(first, nn.Linear):
        return _StackedLinear([layer for layer in own if isinstance(layer, nn.Linear)])
    elif isinstance(first, Subsample):
        return _StackedSubsample(first, count)
    else:
        return first
    states = [layer.state_dict() for layer in own]
    # The number of batches seen has no dimension, and is the same for all.
    joint.load_state_dict(
        {k: torch.cat([s[k] for s in states]) if v.dim() else v for k, v in states[0].items()}
    )
    return joint


class StackedStep:
    """A recorded step of several residual networks of one shape, each on a batch of its own.

    Args:
        network: short name of the networks.
        facts: data set whose images they see, here random ones.
        execution: settings, of the mode ``graph``.
        count: number of networks.

    Attributes:
        network: the networks as one.
        images: stored images, uint8 (count × batch, channels, height, width).
        labels: true classes, int64 (count × batch,).
        order: indices of the images of the first network's batch, then of the second's, and so on.
        preparation: augmentation and normalisation of a batch.
        optimizer: optimizer of all of them.
    """

    def __init__(self, network: str, facts: DatasetFacts, execution: Execution, count: int) -> None:
        task, device, generator = facts.task, execution.device, torch.Generator().manual_seed(0)
        self._augmentation, self._count = facts.augmentation, count
        networks = [build_network(graph_of(network, task), seed) for seed in range(count)]
        self.network = prepare_module(stacked(networks), execution).train()
        self.optimizer = SGD(self.network, 0.9, 1e-4)
        self.optimizer.fill_momentum()
        mean, deviation = (torch.full((task.channels,), v, device=device) for v in (0.5, 0.25))
        self.preparation = Preparation(facts.augmentation, mean, deviation, execution.memory_format)
        shape = (count * facts.batch, task.channels, task.height, task.width)
        self.images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(device)
        self.labels = torch.randint(0, task.classes, shape[:1], generator=generator).to(device)
        self.order = torch.randperm(len(self.labels), generator=generator).to(device)
        self._step = ReplayedStep(
            self.network,
            self.optimizer,
            _Stacking(self.preparation, count),  # type: ignore[arg-type]
            # The mean over all networks, times their number: every network has the gradient of its own loss.
            lambda inputs, logits, labels: count * label_loss(inputs, logits, labels),
            execution,
            (self.images, self._shifts(), self.labels),
        )

    def train_step(self, mark: Mark = unmarked) -> None:
        self._step(self.images[self.order], self._shifts(), self.labels[self.order], mark)

    def _shifts(self) -> Tensor:
        batches = self.images.chunk(self._count)
        return torch.cat([drawn(images, self._augmentation, 0)[1] for images in batches])


@dataclass(frozen=True)
class _Stacking:
    """Preparation of a batch a network; their images come one batch after the other."""

    own: Preparation
    count: int

    def inputs(self, images: Tensor, shifts: Tensor) -> Tensor:
        """Return inputs, (batch, count × channels, height, width), of images, (count × batch, …)."""
        apart = self.own.inputs(images, shifts).unflatten(0, (self.count, -1))
        inputs = apart.transpose(0, 1).flatten(1, 2)
        if self.own.memory_format == "channels_last":
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs
