"""A network as a graph of operations: the one place where parameters, MACs and shapes are counted.

A `Graph` is a list of `Node`s in execution order. Every node applies one operation to the outputs of earlier
nodes. Shapes leave out the batch: ``(channels, height, width)`` for maps and ``(units,)`` for vectors.
`trainer.networks.network` builds the same nodes as torch modules, so these counts are those of the trained
network.

An operation has three counts: `parameters` (trainable scalars), `output_shape` (a function of the shapes of
its inputs) and `macs` (multiply-adds for one image, a function of the output's shape). Only convolutions and
linear layers have MACs; the cost of every other operation is in the bytes that it moves.
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
    """An operation without weights and without multiply-adds."""

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
    """Mean over the pixels of each channel."""

    def output_shape(self, *shapes: Shape) -> Shape:
        return (shapes[0][0],)


@dataclass(frozen=True, slots=True)
class Flatten(_WithoutParameters):
    """A map as one vector, channel by channel."""

    def output_shape(self, *shapes: Shape) -> Shape:
        return (prod(shapes[0]),)


@dataclass(frozen=True, slots=True)
class Concat(_WithoutParameters):
    """Concatenation of the channels of several maps of one size."""

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
    """One operation with its name, the names of its inputs, and the shape of its output."""

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
        input_shape: shape of an image, (channels, height, width).
        nodes: operations.
        outputs: names of the nodes whose outputs are logits: one, or one a member of a joint network.
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
        """Shape of the input and of every node's output, by name."""
        return {INPUT: self.input_shape} | {node.name: node.shape for node in self.nodes}


@dataclass(slots=True)
class GraphBuilder:
    """Builds a graph node by node and infers the shapes.

    Attributes:
        input_shape: shape of an image, (channels, height, width).
        nodes: nodes so far.
        shapes: shape of the input and of every node's output so far, by name.
    """

    input_shape: Shape
    nodes: list[Node] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shapes[INPUT] = self.input_shape

    def add(self, name: str, operation: Operation, *inputs: str) -> str:
        """Append an operation and return the name of its output.

        Args:
            name: name of the new node.
            operation: operation of the new node.
            inputs: names of the outputs that it reads.
        """
        shape = operation.output_shape(*(self.shapes[source] for source in inputs))
        self.nodes.append(Node(name, operation, inputs, shape))
        self.shapes[name] = shape
        return name

    def conv(self, name: str, source: str, filters: int, kernel: int, stride: int = 1) -> str:
        """Append a convolution of the output of `source`."""
        return self.add(name, Conv(self.shapes[source][0], filters, kernel, stride), source)

    def linear(self, name: str, source: str, units: int) -> str:
        """Append an affine layer on the output of `source`."""
        return self.add(name, Linear(self.shapes[source][0], units), source)

    def norm(self, name: str, source: str) -> str:
        """Append a batch normalisation of the output of `source`."""
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
        """Return the finished graph.

        Args:
            outputs: names of the nodes whose outputs are logits; empty: the last node.
        """
        return Graph(self.input_shape, tuple(self.nodes), outputs or (self.nodes[-1].name,))
