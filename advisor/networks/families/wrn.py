"""Wide ResNet (Zagoruyko and Komodakis 2016): 6n+4 layers, stem 16, stages of 16w, 32w, 64w channels.

Units are pre-activation. Where the shape changes, a 1×1 projection of the unit's *raw* input takes the place
of the identity. So growth can turn an identity into a projection.
"""

from __future__ import annotations

from advisor.networks.families.residual import ResidualFamily
from advisor.networks.graph import Add, Graph, GraphBuilder, Relu
from advisor.networks.layers import Blocks, Layer, Task

STEM = 16


class WideResNet(ResidualFamily):
    """BN-ReLU-conv twice, plus identity or projection."""

    name = "wrn"
    usual_depth = 28.0
    minimum_width = 1
    extra_depth = 4

    def streams(self, width: int) -> tuple[int, int, int]:
        """Return 16w, 32w and 64w channels."""
        return 16 * width, 32 * width, 64 * width

    def lower(self, width: int, blocks: Blocks, task: Task) -> Graph:
        """Return the operations: stem, three stages, BN-ReLU, global average pooling, classifier."""
        build = GraphBuilder((task.channels, task.height, task.width))
        out = build.conv("stem.conv", "input", STEM, 3)
        for b, block in enumerate(blocks, 1):
            for u in range(len(block) // 2):
                stride = 2 if b > 1 and u == 0 else 1
                out = _unit(build, f"block{b}.unit{u + 1}", out, block[2 * u], block[2 * u + 1], stride)
        out = build.add("final.relu", Relu(), build.norm("final.norm", out))
        build.pooled_classifier(out, task.classes)
        return build.build()


def _unit(build: GraphBuilder, name: str, source: str, inner: Layer, outer: Layer, stride: int) -> str:
    out = build.norm_relu_conv(f"{name}.inner", source, inner.filters, inner.kernel, stride)
    out = build.norm_relu_conv(f"{name}.outer", out, outer.filters, outer.kernel)
    shortcut = source
    if stride != 1 or build.shapes[source][0] != outer.filters:
        shortcut = build.conv(f"{name}.projection", source, outer.filters, 1, stride)
    return build.add(f"{name}.add", Add(), out, shortcut)
