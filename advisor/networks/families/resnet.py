"""ResNet for small images (He et al. 2016): 6n+2 layers, stages of w, 2w, 4w channels.

Shortcuts are parameter-free (option A). With that choice resnet-38-32, resnet-26-48 and resnet-38-48
have 2.24M, 3.28M and 5.03M parameters, the figures that "More or Less" prints.
"""

from __future__ import annotations

from advisor.networks.families.residual import ResidualFamily
from advisor.networks.graph import Add, Graph, GraphBuilder, PadShortcut, Relu
from advisor.networks.layers import Blocks, Layer, Task


class ResNet(ResidualFamily):
    """Post-activation residual units: conv-BN-ReLU-conv-BN, add, ReLU."""

    name = "resnet"
    usual_depth = 44.0
    extra_depth = 2

    def streams(self, width: int) -> tuple[int, int, int]:
        """Return w, 2w and 4w channels."""
        return width, 2 * width, 4 * width

    def lower(self, width: int, blocks: Blocks, task: Task) -> Graph:
        """Return the operations: stem, three stages, global average pooling, classifier."""
        build = GraphBuilder((task.channels, task.height, task.width))
        out = build.conv_norm_relu("stem", "input", width, 3)
        for b, block in enumerate(blocks, 1):
            for u in range(len(block) // 2):
                stride = 2 if b > 1 and u == 0 else 1
                out = _unit(build, f"block{b}.unit{u + 1}", out, block[2 * u], block[2 * u + 1], stride)
        build.pooled_classifier(out, task.classes)
        return build.build()


def _unit(build: GraphBuilder, name: str, source: str, inner: Layer, outer: Layer, stride: int) -> str:
    out = build.conv_norm_relu(f"{name}.inner", source, inner.filters, inner.kernel, stride)
    out = build.conv(f"{name}.outer.conv", out, outer.filters, outer.kernel)
    out = build.norm(f"{name}.outer.norm", out)
    shortcut = source
    if stride != 1 or build.shapes[source][0] != outer.filters:
        shortcut = build.add(f"{name}.shortcut", PadShortcut(outer.filters, stride), source)
    out = build.add(f"{name}.add", Add(), out, shortcut)
    return build.add(f"{name}.relu", Relu(), out)
