"""Liveness analysis of a training step: the bytes of tensors alive after every allocation.

Nothing is built for it. The walk allocates and frees sizes in the order in which torch allocates and frees
tensors:

1. The forward pass keeps the tensors that gradients need and drops a value after its last reader.
2. The loss is computed.
3. The backward pass frees kept tensors as it goes on.
4. The update is in place.

A walk begins like a second step, with momentum and the gradients of the step before.

Notation:

    b           images in the batch
    c           bytes whatever the batch
    m           bytes an image
    (c, m)      a size: c + b·m bytes in all
    moment      size of all tensors alive, noted after an allocation

Not counted: memory that libraries and kernels allocate for themselves, rounding by allocators, and stored
images beyond one batch. Two gradients of one value are added out of place, as torch does while a dispatch
mode or a hook watches its operations. Otherwise torch may add in place and save that map, which is hardly
ever alive at the peak.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

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
    Node,
    PadShortcut,
    Relu,
)
from advisor.plans.dataset import PAD_SHARE

FLOAT_BYTES = 4
INTEGER_BYTES = 8  # labels, positions of maxima, and the steps that batch normalisation counts
ACTIVATION_BYTES = {"float32": 4, "bfloat16": 2}
SCALAR_BYTES = 4  # the loss, and the gradient that the backward pass starts from


class Moment(NamedTuple):
    """Bytes alive at one time: c whatever the batch and m an image."""

    constant: int
    image: int


@dataclass(slots=True)
class Storage:
    """An allocated tensor with a reference count.

    Attributes:
        constant: bytes whatever the batch.
        image: bytes an image.
        holders: number of values, saved tensors and gradients that refer to it.
    """

    constant: int
    image: int
    holders: int = 1

    def retain(self) -> Storage:
        """Add a reference and return the same storage."""
        self.holders += 1
        return self


@dataclass(slots=True)
class _Ledger:
    """Bytes alive now, and the moments so far."""

    constant: int = 0
    image: int = 0
    moments: list[Moment] = field(default_factory=list)

    def new(self, constant: int = 0, image: int = 0) -> Storage:
        """Allocate a tensor with one reference."""
        self.constant += constant
        self.image += image
        self.moments.append(Moment(self.constant, self.image))
        return Storage(constant, image)

    def drop(self, *tensors: Storage) -> None:
        """Remove a reference to each tensor; without references its bytes are free."""
        for tensor in tensors:
            tensor.holders -= 1
            if not tensor.holders:
                self.constant -= tensor.constant
                self.image -= tensor.image


class ForwardWalk:
    """A forward pass without gradients, on images that the caller keeps.

    Args:
        graph: network to walk.
        dtype: ``float32`` or ``bfloat16`` (autocast).
        memory_format: ``contiguous`` or ``channels_last``.

    Attributes:
        values: storage of each value that a later node reads, by node.
        width: bytes of an element of each value, by node.
        flows: nodes whose output depends on weights; no gradient reaches the others.
    """

    def __init__(self, graph: Graph, dtype: str, memory_format: str) -> None:
        self.graph = graph
        self.activation = ACTIVATION_BYTES[dtype]
        self.channels_last = memory_format == "channels_last"
        self.pixels = prod(graph.input_shape)
        self.ledger = _Ledger()
        self.values: dict[str, Storage] = {}
        # Autocast leaves the input in float32 until the first layer with weights.
        self.width = {INPUT: FLOAT_BYTES}
        self._last = {source: node.name for node in graph.nodes for source in node.inputs}
        self.flows: set[str] = set()
        for node in graph.nodes:
            if node.parameters or not self.flows.isdisjoint(node.inputs):
                self.flows.add(node.name)
        norms = [n.operation.channels for n in graph.nodes if isinstance(n.operation, BatchNorm)]
        buffers = sum(2 * FLOAT_BYTES * channels + INTEGER_BYTES for channels in norms)
        self.ledger.new(FLOAT_BYTES * graph.parameters + buffers)

    def run(self) -> list[Moment]:
        """Walk the pass and return its moments."""
        self.pass_forward(self.ledger.new(image=FLOAT_BYTES * self.pixels))
        return self.ledger.moments

    def pass_forward(self, images: Storage) -> None:
        """Apply all nodes and drop every value after its last reader."""
        self.values[INPUT] = images.retain()
        for node in self.graph.nodes:
            multiplies = isinstance(node.operation, Conv | Linear)
            self.width[node.name] = self.activation if multiplies else self.width[node.inputs[0]]
            self.values[node.name] = self.apply(node)
            for source in dict.fromkeys(node.inputs):
                if self._last[source] == node.name:
                    self.ledger.drop(self.values.pop(source))

    def apply(self, node: Node) -> Storage:
        """Return the output of a node."""
        match node.operation:
            case Conv() | Linear():
                return self._multiplied(node)
            case BatchNorm():
                return self.normalised(node)
            case MaxPool():
                positions = self.ledger.new(image=INTEGER_BYTES * node.elements)
                self.keep(node, positions)
                out = self._output(node)
                self.ledger.drop(positions)
                return out
            case PadShortcut(stride=stride) if stride > 1:
                picked = self.ledger.new(image=self._picked(node))
                out = self._output(node)
                self.ledger.drop(picked)
                return out
            case Relu():
                return self.values[node.inputs[0]].retain()
            case Flatten() if not (self.channels_last and _interleaves(self.graph.shapes[node.inputs[0]])):
                return self.values[node.inputs[0]].retain()
        return self._output(node)

    def normalised(self, node: Node) -> Storage:
        """Return the output of a batch normalisation."""
        return self._output(node)

    def keep(self, node: Node, *tensors: Storage) -> None:
        """Keep tensors for the gradient of a node; a pass without gradients keeps none."""

    def release(self, casts: list[Storage]) -> None:
        """Drop the cast copies of a layer's weights; torch caches them only where there are gradients."""
        self.ledger.drop(*casts)

    def _picked(self, node: Node) -> int:
        """Return the bytes an image of the pixels that a shortcut picks, before channels are added."""
        source = node.inputs[0]
        return self.width[source] * self.graph.shapes[source][0] * prod(node.shape[1:])

    def _output(self, node: Node) -> Storage:
        return self.ledger.new(image=node.elements * self.width[node.name])

    def _multiplied(self, node: Node) -> Storage:
        read = self.values[node.inputs[0]].retain()
        casts: list[Storage] = []
        if self.activation != FLOAT_BYTES:
            casts = [self.ledger.new(self.activation * count) for count in _weights(node)]
            if self.width[node.inputs[0]] == FLOAT_BYTES:
                self.ledger.drop(read)
                read = self.ledger.new(image=self.activation * prod(self.graph.shapes[node.inputs[0]]))
        out = self._output(node)
        self.keep(node, read)
        # The gradient of the input needs the weight; a convolution keeps it even if no such gradient is
        # needed.
        if isinstance(node.operation, Conv) or node.inputs[0] in self.flows:
            self.keep(node, *casts[:1])
        self.ledger.drop(read)
        self.release(casts)
        return out


class TrainingWalk(ForwardWalk):
    """A training step, from stored images to the update; arguments as for `ForwardWalk`.

    Attributes:
        saved: tensors that each node keeps for the backward pass, by node.
    """

    def __init__(self, graph: Graph, dtype: str, memory_format: str) -> None:
        super().__init__(graph, dtype, memory_format)
        self.saved: dict[str, list[Storage]] = {node.name: [] for node in graph.nodes}
        self._cache: list[Storage] = []
        self._gradients: dict[str, Storage] = {}

    def run(self) -> list[Moment]:
        """Walk the step and return its moments."""
        images = self._prepared()
        self.pass_forward(images)
        self.ledger.drop(*self._cache)
        self._start_backward()
        for node in reversed(self.graph.nodes):
            if node.name in self.flows:
                self._differentiate(node)
        # Predicted classes, and whether each is wrong; the update itself is in place.
        self.ledger.new(image=INTEGER_BYTES + 1)
        return self.ledger.moments

    def _prepared(self) -> Storage:
        """Gather, augment and normalise a batch, then drop the gradients of the step before."""
        ledger, channels = self.ledger, self.graph.input_shape[0]
        ledger.new(FLOAT_BYTES * self.graph.parameters)  # momentum
        ledger.new(2 * FLOAT_BYTES * channels)  # mean and deviation
        gradients = ledger.new(FLOAT_BYTES * self.graph.parameters)
        # Stored images and labels, their order, and the gathered copies.
        ledger.new(image=2 * (self.pixels + INTEGER_BYTES) + INTEGER_BYTES)
        # Row, column and flip of every image.
        shifts = ledger.new(image=3 * INTEGER_BYTES)
        augmented = self._augmented()
        images = ledger.new(image=FLOAT_BYTES * self.pixels)
        if channels > 1 and self.channels_last:
            images = self._replaced(images, image=FLOAT_BYTES * self.pixels)
        ledger.drop(shifts, augmented, gradients)
        ledger.new(SCALAR_BYTES + INTEGER_BYTES)  # sum of losses, number of wrong answers
        return images

    def _augmented(self) -> Storage:
        """Crop and flip the images. Without augmentation a step needs less here, which is not modelled."""
        ledger, (channels, height, width) = self.ledger, self.graph.input_shape
        pad = max(height // PAD_SHARE, 1)
        offsets = ledger.new(image=INTEGER_BYTES * (height + 2 * width))
        padded = ledger.new(image=channels * (height + 2 * pad) * (width + 2 * pad))
        places = ledger.new(image=INTEGER_BYTES * height * width)
        picked = ledger.new(image=self.pixels)
        ledger.drop(offsets, padded, places)
        return picked

    def normalised(self, node: Node) -> Storage:
        """Return the output of a batch normalisation and keep mean and deviation of the batch."""
        statistics = self.ledger.new(2 * FLOAT_BYTES * node.shape[0])
        out = self._output(node)
        self.keep(node, statistics)
        self.ledger.drop(statistics)
        return out

    def apply(self, node: Node) -> Storage:
        """Return the output of a node and keep the tensors that its gradient needs."""
        out = super().apply(node)
        match node.operation:
            case BatchNorm() | MaxPool() | AveragePool() | GlobalAveragePool():
                self.keep(node, self.values[node.inputs[0]])
            case PadShortcut(stride=stride) if stride > 1:
                self.keep(node, self.values[node.inputs[0]])
            case Relu():
                self.keep(node, out)
        return out

    def keep(self, node: Node, *tensors: Storage) -> None:
        """Keep tensors for the gradient of a node, if a gradient reaches it."""
        if node.name in self.flows:
            self.saved[node.name] += [tensor.retain() for tensor in tensors]

    def release(self, casts: list[Storage]) -> None:
        """Keep the cast copies until the end of the forward pass, in autocast's cache."""
        self._cache += casts

    def _start_backward(self) -> None:
        """Compute the loss and the gradient of the logits; the logits themselves stay alive."""
        for name in self.graph.outputs:
            self._loss_of(name)

    def _loss_of(self, output: str) -> None:
        """Compute the loss at one output and start its backward pass."""
        elements = prod(self.graph.shapes[output])
        image = FLOAT_BYTES * elements
        narrow = self.width[output] != FLOAT_BYTES
        single = self.ledger.new(image=image) if narrow else self.values[output].retain()
        likelihood = self.ledger.new(image=image)
        total = self.ledger.new(SCALAR_BYTES)
        self.ledger.new(SCALAR_BYTES)  # the loss
        self.ledger.drop(single)
        self.ledger.new(2 * SCALAR_BYTES)  # the mean and its gradient, one
        begin = self.ledger.new(SCALAR_BYTES)
        chosen = self.ledger.new(image=image)
        self.ledger.drop(begin, total)
        gradient = self.ledger.new(image=image)
        self.ledger.drop(chosen, likelihood)
        if narrow:
            gradient = self._replaced(gradient, image=self.activation * elements)
        self._gradients[output] = gradient

    def _differentiate(self, node: Node) -> None:
        """Turn the gradient of a node's output into the gradients of its inputs and of its weights."""
        out = self._gradients.pop(node.name)
        sources = [source for source in node.inputs if source in self.flows]
        # Additions, concatenations and flattening pass on the same storage, whole or as a view of a part.
        passes = isinstance(node.operation, Add | Concat | Flatten)
        found = [out.retain() if passes else self._read_gradient(node, source) for source in sources]
        narrow = self.activation != FLOAT_BYTES and isinstance(node.operation, Conv | Linear)
        width = self.activation if narrow else FLOAT_BYTES
        weights = [self.ledger.new(width * count) for count in _weights(node)]
        self.ledger.drop(out, *self.saved[node.name])
        for source, gradient in zip(sources, found, strict=True):
            self._accumulate(source, gradient)
        if narrow:
            for tensor, count in zip(weights, _weights(node), strict=True):
                self._replaced(tensor, FLOAT_BYTES * count)

    def _read_gradient(self, node: Node, source: str) -> Storage:
        """Return the gradient of an input of a node."""
        whole = self.width[source] * prod(self.graph.shapes[source])
        if not (isinstance(node.operation, PadShortcut) and node.operation.stride > 1):
            return self.ledger.new(image=whole)
        return self._replaced(self.ledger.new(image=self._picked(node)), image=whole)

    def _accumulate(self, source: str, gradient: Storage) -> None:
        """Add a gradient to the sum of those from other readers of the same value."""
        if source in self._gradients:
            both = self.ledger.new(image=self.width[source] * prod(self.graph.shapes[source]))
            self.ledger.drop(self._gradients.pop(source), gradient)
            gradient = both
        self._gradients[source] = gradient

    def _replaced(self, tensor: Storage, constant: int = 0, image: int = 0) -> Storage:
        """Allocate a tensor that is computed from another one, then drop the other one."""
        new = self.ledger.new(constant, image)
        self.ledger.drop(tensor)
        return new


def _weights(node: Node) -> tuple[int, ...]:
    """Return the elements of each weight of a node, in the order of their gradients."""
    match node.operation:
        case Conv():
            return (node.operation.parameters,)
        case Linear(inputs, units):
            return inputs * units, units
        case BatchNorm(channels):
            return channels, channels
    return ()


def _interleaves(shape: tuple[int, ...]) -> bool:
    """Return whether flattening a map in channels-last memory changes the order of its elements."""
    return shape[0] > 1 and prod(shape[1:]) > 1
