"""From a specification to an `nn.Module`: one torch module a node of the graph.

`SpecNetwork` executes the very nodes that `advisor.networks.graph` counts, so parameters, MACs and shapes
agree by construction. Names of modules are the names of nodes with dots replaced by underscores, since torch
forbids dots in them and fvcore reads slashes as scopes.
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
from advisor.networks.joint import shared_nodes


class Sum(nn.Module):
    """Elementwise sum of two maps."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return left + right, both (batch, channels, height, width)."""
        return left + right


class Subsample(nn.Module):
    """Parameter-free shortcut: every stride-th pixel, missing channels zero at the end."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c, h, w) → (batch, channels, ⌈h/stride⌉, ⌈w/stride⌉)."""
        if self.stride > 1:
            # A window of one pixel picks pixels as slicing does, but its gradient keeps the maps' memory
            # format. After slices, layers further back read two formats at once, ten times slower on a CPU.
            x = functional.avg_pool2d(x, 1, self.stride)
        return functional.pad(x, (0, 0, 0, 0, 0, self.channels - x.shape[1]))


class SpatialMean(nn.Module):
    """Global average pooling, by windows, whose gradient keeps the memory format of the maps."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) → (batch, channels)."""
        return functional.avg_pool2d(x, x.shape[2:]).flatten(1)


class Join(nn.Module):
    """Channels of several maps, one after the other."""

    def forward(self, *maps: Tensor) -> Tensor:
        """(batch, a, h, w), (batch, b, h, w), … → (batch, a + b + …, h, w)."""
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
            # Every rectifier is the only reader of its input, so it may overwrite it.
            return nn.ReLU(inplace=True)
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
        graph: what to build.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.layers = nn.ModuleDict({module_name(n.name): _module_of(n.operation) for n in graph.nodes})
        last_use = {source: node.name for node in graph.nodes for source in node.inputs}
        # A value is dropped after its last reader, so that inference keeps no dead maps.
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
            images: (batch, channels, height, width).

        Returns:
            (batch, classes); of a joint network (batch, members, classes).
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
    """Let layers that members share learn from the mean of the members' losses.

    The loss of a joint network is the sum over its members, so that their own layers learn as they would
    alone; for the shared layers a sum would multiply the learning rate by the number of members.
    """
    members = len(network.graph.outputs)
    for node in shared_nodes(network.graph):
        for parameter in network.layer(node.name).parameters():
            parameter.register_hook(lambda gradient: gradient / members)


def build_network(graph: Graph, seed: int) -> SpecNetwork:
    """Return a network with random weights that depend on `seed` alone.

    Convolutions and hidden layers start as in He et al. 2015 (normal, fan-out for convolutions, fan-in
    for linear layers); the classifier keeps torch's default.
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
