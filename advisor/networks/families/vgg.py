"""VGG for small images (Simonyan and Zisserman 2015, configurations A, B, D, E) with BN.

Blocks have w, 2w, 4w, 8w, 8w channels and end in max-pooling, until the map is 1×1. The head is one hidden
layer of 8w units and the classifier.

The regular networks are the published configurations. A network may also have any other number of layers in
its blocks, as in Figure 3 of the MotherNets paper. The hidden layers of the head are its last block, of fully
connected layers. ``vgg-16-64~b4:5,b6:2`` has five layers in block 4 and two hidden layers.
"""

from __future__ import annotations

from collections.abc import Iterator

from advisor.errors import InvalidDesignError
from advisor.networks.families.base import MAXIMUM_DEPTH, Family
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
# The published configurations count three linear layers, two of them hidden. The regular head here has one
# hidden layer less, but networks keep the published names. Depths count three whatever the head has.
LINEAR_LAYERS = 3


class Vgg(Family):
    """Plain convolutional network: conv-BN-ReLU layers and max-pooling; the head is the last block."""

    name = "vgg"
    usual_depth = 16.0

    def depths(self) -> Iterator[int]:
        """Yield 11, 13, 16, 19."""
        return iter(CONFIGURATIONS)

    def depth_of(self, blocks: Blocks) -> int:
        """Return the depth in the published count: three more than the convolutions."""
        return sum(len(block) for block in blocks[: len(MULTIPLIERS)]) + LINEAR_LAYERS

    def regular_blocks(self, depth: int, width: int) -> Blocks:
        """Return the blocks of a configuration, and the head."""
        self.check_depth(depth)
        counts = CONFIGURATIONS[depth]
        convolutions = tuple((Layer(3, m * width),) * n for m, n in zip(MULTIPLIERS, counts, strict=True))
        return (*convolutions, (Layer(1, HIDDEN_MULTIPLIER * width),))

    def regular_near(self, width: int, blocks: Blocks) -> tuple[int, Blocks]:
        """Return the configuration from which the fewest blocks differ in length.

        Among several, the one of the nearest depth is taken, and then the shallowest.
        """
        counts, own = [len(block) for block in blocks], self.depth_of(blocks)

        def difference(depth: int) -> tuple[int, int, int]:
            differing = sum(a != b for a, b in zip(counts, CONFIGURATIONS[depth], strict=False))
            return differing, abs(depth - own), depth

        depth = min(CONFIGURATIONS, key=difference)
        return depth, self.regular_blocks(depth, width)

    def has_units(self, position: int) -> bool:
        """Whether a block is that of the head's hidden layers."""
        return position >= len(MULTIPLIERS)

    def check_lengths(self, width: int, blocks: Blocks) -> None:
        """Refuse another number of blocks, and a block without layers.

        Raises:
            InvalidDesignError: the number of blocks or of layers is out of range.
        """
        counts, wanted = tuple(len(block) for block in blocks), len(MULTIPLIERS) + 1
        if len(counts) != wanted or min(counts) < 1 or sum(counts) > MAXIMUM_DEPTH:
            raise InvalidDesignError(
                f"vgg has {wanted} blocks of at least 1 layer, the last for the hidden layers of the head, "
                f"and at most {MAXIMUM_DEPTH} layers in all, got {counts}"
            )

    def check_filters(self, width: int, regular: Blocks, blocks: Blocks) -> None:
        """Accept any number of filters in every layer."""

    def lower(self, width: int, blocks: Blocks, task: Task) -> Graph:
        """Return the operations: blocks with pooling, flatten, hidden layers, classifier."""
        build = GraphBuilder((task.channels, task.height, task.width))
        *convolutional, head = blocks
        out = "input"
        for b, block in enumerate(convolutional, 1):
            for i, layer in enumerate(block, 1):
                out = build.conv_norm_relu(f"block{b}.layer{i}", out, layer.filters, layer.kernel)
            if min(build.shapes[out][1:]) > 1:
                out = build.add(f"block{b}.pool", MaxPool(), out)
        out = build.add("flatten", Flatten(), out)
        for i, layer in enumerate(head, 1):
            # The first has the name that it has in the weights of earlier runs.
            name = "hidden" if i == 1 else f"hidden{i}"
            out = build.add(f"{name}.relu", Relu(), build.linear(name, out, layer.filters))
        build.linear("classifier", out, task.classes)
        return build.build()
