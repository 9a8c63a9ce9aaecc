"""DenseNet (Huang et al. 2017) without bottleneck or compression: 3n+4 layers, growth rate w, stem 16.

densenet-40-12 has 1.02M parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from advisor.networks.families.base import Family
from advisor.networks.graph import AveragePool, Concat, Graph, GraphBuilder, Relu
from advisor.networks.layers import Blocks, Layer, Task

STEM = 16


class DenseNet(Family):
    """Three dense blocks of n layers; transitions keep the channel count and halve the map."""

    name = "densenet"
    usual_depth = 76.0
    skip_connections = True

    def depths(self) -> Iterator[int]:
        """Yield 3n + 4 for n = 1, 2, …."""
        return (3 * n + 4 for n in count(1))

    def depth_of(self, blocks: Blocks) -> int:
        """Return 3n + 4."""
        return 3 * len(blocks[0]) + 4

    def regular_blocks(self, depth: int, width: int) -> Blocks:
        """Return three blocks of n layers with `width` new channels each."""
        return ((Layer(3, width),) * ((depth - 4) // 3),) * 3

    def check_filters(self, width: int, regular: Blocks, blocks: Blocks) -> None:
        """Accept any number of new channels in every layer."""

    def lower(self, width: int, blocks: Blocks, task: Task) -> Graph:
        """Return the operations: stem, dense blocks, transitions, BN-ReLU, global pooling, classifier."""
        build = GraphBuilder((task.channels, task.height, task.width))
        out = build.conv("stem.conv", "input", STEM, 3)
        for b, block in enumerate(blocks, 1):
            for i, layer in enumerate(block, 1):
                name = f"block{b}.layer{i}"
                new = build.norm_relu_conv(name, out, layer.filters, layer.kernel)
                out = build.add(f"{name}.concat", Concat(), out, new)
            if b < len(blocks):
                name = f"transition{b}"
                out = build.norm_relu_conv(name, out, build.shapes[out][0], 1)
                out = build.add(f"{name}.pool", AveragePool(), out)
        out = build.add("final.relu", Relu(), build.norm("final.norm", out))
        build.pooled_classifier(out, task.classes)
        return build.build()
