"""From a specification to an `nn.Module`: one torch module for each node of the graph.

`SpecNetwork` executes the same nodes that `advisor.networks.graph` counts. Parameters, MACs and shapes
therefore agree by construction. The name of a module is the name of its node with underscores for dots: torch
forbids dots in names of modules, and fvcore takes slashes for scopes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from advisor.networks.graph import (
    INPUT,
    Add,
    AveragePool,
    BatchNorm,
    Concat,
    Conv,
    Flatten,
    GlobalAveragePool,
    Graph,
    Linear,
    MaxPool,
    Operation,
    PadShortcut,
    Relu,
)
from advisor.networks.shared_layers import shared_nodes
from trainer.networks.rectifier import ReLU


class Sum(nn.Module):
    """Elementwise sum of two feature maps."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return left + right, both (batch, channels, height, width)."""
        return left + right


class Subsample(nn.Module):
    """Parameter-free shortcut: every stride-th pixel, padded with zero channels at the end.

    Args:
        channels: number of output channels.
        stride: distance of the kept pixels.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the shortcut: (batch, c, h, w) → (batch, channels, ⌈h/stride⌉, ⌈w/stride⌉)."""
        if self.stride > 1:
            # Pooling with a window of one pixel equals slicing, but its gradient keeps the memory format.
            # After slices, earlier layers read two formats at once, which is ten times slower on a CPU.
            x = functional.avg_pool2d(x, 1, self.stride)
        return functional.pad(x, (0, 0, 0, 0, 0, self.channels - x.shape[1]))


class SpatialMean(nn.Module):
    """Global average pooling by a window, whose gradient keeps the memory format of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the means: (batch, channels, height, width) → (batch, channels)."""
        return functional.avg_pool2d(x, x.shape[2:]).flatten(1)


class Join(nn.Module):
    """Concatenation of the channels of several feature maps."""

    def forward(self, *maps: Tensor) -> Tensor:
        """Return the concatenation: (batch, a, h, w), (batch, b, h, w), … → (batch, a + b + …, h, w)."""
        return torch.cat(maps, dim=1)


def _module_of(operation: Operation) -> nn.Module:
    match operation:
        case Conv(inputs, filters, kernel, stride):
            return nn.Conv2d(inputs, filters, kernel, stride, padding=kernel // 2, bias=False)
        case Linear(inputs, units):
            return nn.Linear(inputs, units)
        case BatchNorm(channels):
            return nn.BatchNorm2d(channels)
        case PadShortcut(channels, stride):
            return Subsample(channels, stride)
        case Relu():
            return ReLU()
        case Add():
            return Sum()
        case MaxPool():
            return nn.MaxPool2d(2)
        case AveragePool():
            return nn.AvgPool2d(2)
        case GlobalAveragePool():
            return SpatialMean()
        case Flatten():
            return nn.Flatten()
        case Concat():
            return Join()


def module_name(node: str) -> str:
    """Return the name under which a node's module is registered."""
    return node.replace(".", "_")


class SpecNetwork(nn.Module):
    """A network that executes a graph, node by node.

    Args:
        graph: graph of the network.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.layers = nn.ModuleDict({module_name(n.name): _module_of(n.operation) for n in graph.nodes})
        last_use = {source: node.name for node in graph.nodes for source in node.inputs}
        # A value is dropped after its last use, so that inference keeps no unused feature maps in memory.
        self._steps = [
            (node, [s for s in dict.fromkeys(node.inputs) if last_use[s] == node.name])
            for node in graph.nodes
        ]

    def layer(self, node: str) -> nn.Module:
        """Return the module of a node."""
        return self.layers[module_name(node)]

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: normalised images, (batch, channels, height, width).

        Returns:
            Logits, (batch, classes); of a joint network (batch, members, classes).
        """
        values = {INPUT: images}
        for node, dead in self._steps:
            module = self.layers[module_name(node.name)]
            values[node.name] = module(*(values[source] for source in node.inputs))
            for source in dead:
                del values[source]
        logits = [values[name] for name in self.graph.outputs]
        return logits[0] if len(logits) == 1 else torch.stack(logits, dim=1)


def average_shared(network: SpecNetwork) -> None:
    """Let the shared layers of a joint network learn from the mean of the members' losses.

    The loss of a joint network is the sum over its members, so that the members' own layers learn as in a
    single network. For the shared layers a sum would multiply the learning rate by the number of members.

    Args:
        network: joint network; hooks on its gradients are registered.
    """
    members = len(network.graph.outputs)
    for node in shared_nodes(network.graph):
        for parameter in network.layer(node.name).parameters():
            parameter.register_hook(lambda gradient: gradient / members)


def build_network(graph: Graph, seed: int) -> SpecNetwork:
    """Return a network with random weights.

    Convolutions and hidden linear layers are initialised as in He et al. 2015: normally distributed, scaled
    by the fan-out of convolutions and by the fan-in of linear layers. The classifier has torch's default.

    Args:
        graph: graph of the network.
        seed: random seed of the weights, which depend on nothing else.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SpecNetwork(graph)
        for node in graph.nodes:
            module = network.layer(node.name)
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear) and node.name not in graph.outputs:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
    return network
