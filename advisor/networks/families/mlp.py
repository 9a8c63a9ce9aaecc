"""Fully connected networks (MotherNets, MLSys 2020, section 2): d hidden layers of w units."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from advisor.networks.families.base import Family
from advisor.networks.graph import Flatten, Graph, GraphBuilder, Relu
from advisor.networks.layers import Blocks, Layer, Task


class Mlp(Family):
    """Linear-ReLU layers and a classifier; depth counts the hidden layers."""

    name = "mlp"
    usual_depth = 3.0
    convolutional = False

    def depths(self) -> Iterator[int]:
        """Yield 1, 2, …."""
        return count(1)

    def depth_of(self, blocks: Blocks) -> int:
        """Return the number of hidden layers."""
        return len(blocks[0])

    def regular_blocks(self, depth: int, width: int) -> Blocks:
        """Return one block of d layers."""
        return ((Layer(1, width),) * depth,)

    def check_filters(self, width: int, regular: Blocks, blocks: Blocks) -> None:
        """Accept any number of units in every layer."""

    def lower(self, width: int, blocks: Blocks, task: Task) -> Graph:
        """Return the operations: flatten, hidden layers, classifier."""
        build = GraphBuilder((task.channels, task.height, task.width))
        out = build.add("flatten", Flatten(), "input")
        for i, layer in enumerate(blocks[0], 1):
            hidden = build.linear(f"block1.layer{i}.linear", out, layer.filters)
            out = build.add(f"block1.layer{i}.relu", Relu(), hidden)
        build.linear("classifier", out, task.classes)
        return build.build()
