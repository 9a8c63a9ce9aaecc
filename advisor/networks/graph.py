"""A network lowered to operations: the one place where parameters, MACs and shapes are counted.

A `Graph` is a list of `Node`s in execution order. Every node applies one operation to the outputs of earlier
nodes. Shapes leave out the batch: ``(channels, height, width)`` for maps and ``(units,)`` for vectors.
`trainer.networks.network` builds the same nodes as torch modules, so a count made here is a count of what is
trained.

An operation answers three questions: `parameters` (trainable scalars), `output_shape` (from the shapes of
what it reads) and `macs` (for one image, from its output's shape). MACs are multiply-adds of convolutions
and linear layers only; everything else counts as bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import prod

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Conv:
    """Square convolution without bias, padded by half its kernel."""

    inputs: int
    filters: int
    kernel: int
    stride: int = 1

    @property
    def parameters(self) -> int:
        return self.inputs * self.filters * self.kernel * self.kernel

    def output_shape(self, *shapes: Shape) -> Shape:
        _, height, width = shapes[0]
        return self.filters, -(-height // self.stride), -(-width // self.stride)

    def macs(self, output: Shape) -> int:
        return self.parameters * output[1] * output[2]


@dataclass(frozen=True, slots=True)
class Linear:
    """Affine layer with bias."""

    inputs: int
    units: int

    @property
    def parameters(self) -> int:
        return (self.inputs + 1) * self.units

    def output_shape(self, *shapes: Shape) -> Shape:
        return (self.units,)

    def macs(self, output: Shape) -> int:
        return self.inputs * self.units


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """Batch normalisation with scale and shift; running mean and variance are buffers."""

    channels: int

    @property
    def parameters(self) -> int:
        return 2 * self.channels

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def macs(self, output: Shape) -> int:
        return 0


class _WithoutParameters:
    """Operations that own no weights and do no multiply-adds."""

    __slots__ = ()

    @property
    def parameters(self) -> int:
        return 0

    def macs(self, output: Shape) -> int:
        return 0

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]


@dataclass(frozen=True, slots=True)
class Relu(_WithoutParameters):
    """Rectifier."""


@dataclass(frozen=True, slots=True)
class Add(_WithoutParameters):
    """Elementwise sum of two maps of one shape."""


@dataclass(frozen=True, slots=True)
class PadShortcut(_WithoutParameters):
    """Parameter-free shortcut (He et al. 2016, option A): subsample, then zero channels at the end."""

    channels: int
    stride: int

    def output_shape(self, *shapes: Shape) -> Shape:
        _, height, width = shapes[0]
        return self.channels, -(-height // self.stride), -(-width // self.stride)


@dataclass(frozen=True, slots=True)
class MaxPool(_WithoutParameters):
    """2×2 maximum with stride 2; an odd last row or column is dropped."""

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        return channels, height // 2, width // 2


@dataclass(frozen=True, slots=True)
class AveragePool(_WithoutParameters):
    """2×2 mean with stride 2; an odd last row or column is dropped."""

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        return channels, height // 2, width // 2


@dataclass(frozen=True, slots=True)
class GlobalAveragePool(_WithoutParameters):
    """Mean over the map: one value a channel."""

    def output_shape(self, *shapes: Shape) -> Shape:
        return (shapes[0][0],)


@dataclass(frozen=True, slots=True)
class Flatten(_WithoutParameters):
    """A map as one vector, channel by channel."""

    def output_shape(self, *shapes: Shape) -> Shape:
        return (prod(shapes[0]),)


@dataclass(frozen=True, slots=True)
class Concat(_WithoutParameters):
    """Channels of several maps of one size, one after the other."""

    def output_shape(self, *shapes: Shape) -> Shape:
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])


Operation = (
    Conv
    | Linear
    | BatchNorm
    | Relu
    | Add
    | PadShortcut
    | MaxPool
    | AveragePool
    | GlobalAveragePool
    | Flatten
    | Concat
)

INPUT = "input"


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: what it is called, what it reads, and the shape of what it gives."""

    name: str
    operation: Operation
    inputs: tuple[str, ...]
    shape: Shape

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return self.operation.macs(self.shape)

    @property
    def parameters(self) -> int:
        """Trainable scalars."""
        return self.operation.parameters

    @property
    def elements(self) -> int:
        """Scalars in the output for one image."""
        return prod(self.shape)


@dataclass(frozen=True)
class Graph:
    """A network as nodes in execution order.

    Attributes:
        input_shape: of an image.
        nodes: operations.
        outputs: nodes that give logits: one, or one for each member of a joint network.
    """

    input_shape: Shape
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    @cached_property
    def parameters(self) -> int:
        """Trainable scalars of the whole network."""
        return sum(node.parameters for node in self.nodes)

    @cached_property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return sum(node.macs for node in self.nodes)

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Output shape by node name, the input's included."""
        return {INPUT: self.input_shape} | {node.name: node.shape for node in self.nodes}


@dataclass(slots=True)
class GraphBuilder:
    """Appends nodes one by one and infers their shapes."""

    input_shape: Shape
    nodes: list[Node] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shapes[INPUT] = self.input_shape

    def add(self, name: str, operation: Operation, *inputs: str) -> str:
        """Append `operation` reading `inputs`; return the name of its output."""
        shape = operation.output_shape(*(self.shapes[source] for source in inputs))
        self.nodes.append(Node(name, operation, inputs, shape))
        self.shapes[name] = shape
        return name

    def conv(self, name: str, source: str, filters: int, kernel: int, stride: int = 1) -> str:
        """Append a convolution of what `source` gives."""
        return self.add(name, Conv(self.shapes[source][0], filters, kernel, stride), source)

    def linear(self, name: str, source: str, units: int) -> str:
        """Append an affine layer on what `source` gives."""
        return self.add(name, Linear(self.shapes[source][0], units), source)

    def norm(self, name: str, source: str) -> str:
        """Append a batch normalisation of what `source` gives."""
        return self.add(name, BatchNorm(self.shapes[source][0]), source)

    def conv_norm_relu(self, name: str, source: str, filters: int, kernel: int, stride: int = 1) -> str:
        """Append convolution, batch normalisation and rectifier."""
        out = self.conv(f"{name}.conv", source, filters, kernel, stride)
        return self.add(f"{name}.relu", Relu(), self.norm(f"{name}.norm", out))

    def norm_relu_conv(self, name: str, source: str, filters: int, kernel: int, stride: int = 1) -> str:
        """Append batch normalisation, rectifier and convolution (pre-activation)."""
        out = self.add(f"{name}.relu", Relu(), self.norm(f"{name}.norm", source))
        return self.conv(f"{name}.conv", out, filters, kernel, stride)

    def pooled_classifier(self, source: str, classes: int) -> None:
        """Append global average pooling and the classifier."""
        self.linear("classifier", self.add("pool", GlobalAveragePool(), source), classes)

    def build(self, outputs: tuple[str, ...] = ()) -> Graph:
        """Return the finished graph; unless said otherwise its last node gives the logits."""
        return Graph(self.input_shape, tuple(self.nodes), outputs or (self.nodes[-1].name,))
