"""VGG for small images (Simonyan and Zisserman 2015, configurations A, B, D, E) with BN.

Blocks have w, 2w, 4w, 8w, 8w channels and end in max-pooling, until the map is 1×1; the head is one
hidden layer of 8w units and the classifier.
"""

from __future__ import annotations

from collections.abc import Iterator

from advisor.networks.families.base import Family
from advisor.networks.graph import Flatten, Graph, GraphBuilder, MaxPool, Relu
from advisor.networks.layers import Blocks, Layer, Task

CONFIGURATIONS: dict[int, tuple[int, ...]] = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
MULTIPLIERS = (1, 2, 4, 8, 8)
HIDDEN_MULTIPLIER = 8
# The published configurations count three linear layers, two of them hidden. The head here has one hidden
# layer less, but networks keep the published names.
LINEAR_LAYERS = 3


class Vgg(Family):
    """Plain convolutional network: conv-BN-ReLU layers and max-pooling."""

    name = "vgg"
    usual_depth = 16.0

    def depths(self) -> Iterator[int]:
        """Yield 11, 13, 16, 19."""
        return iter(CONFIGURATIONS)

    def depth_of(self, blocks: Blocks) -> int:
        """Return the depth in the published count."""
        return sum(len(block) for block in blocks) + LINEAR_LAYERS

    def regular_blocks(self, depth: int, width: int) -> Blocks:
        """Return the blocks of a configuration."""
        self.check_depth(depth)
        counts = CONFIGURATIONS[depth]
        return tuple((Layer(3, m * width),) * n for m, n in zip(MULTIPLIERS, counts, strict=True))

    def check_filters(self, width: int, regular: Blocks, blocks: Blocks) -> None:
        """Accept any number of filters in every layer."""

    def lower(self, width: int, blocks: Blocks, task: Task) -> Graph:
        """Return the operations: blocks with pooling, flatten, hidden layer, classifier."""
        build = GraphBuilder((task.channels, task.height, task.width))
        out = "input"
        for b, block in enumerate(blocks, 1):
            for i, layer in enumerate(block, 1):
                out = build.conv_norm_relu(f"block{b}.layer{i}", out, layer.filters, layer.kernel)
            if min(build.shapes[out][1:]) > 1:
                out = build.add(f"block{b}.pool", MaxPool(), out)
        out = build.linear("hidden", build.add("flatten", Flatten(), out), HIDDEN_MULTIPLIER * width)
        build.linear("classifier", build.add("hidden.relu", Relu(), out), task.classes)
        return build.build()
