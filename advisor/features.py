"""What time and memory of a network depend on, read from its graph.

All figures are for one image, in elements rather than bytes, since the arithmetic of a fingerprint is
fixed. MACs are counted raw and with channels padded to 8 and 16, the widths of vector units and tensor
cores, because a layer with 5 channels costs as much as one with 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from advisor.architecture import Task, lower, parse_network
from advisor.graph import AveragePool, BatchNorm, Conv, Flatten, Graph, Linear, MaxPool, Node, Relu


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFeatures:
    """Size of a network for one image of a task.

    Attributes:
        macs, macs_8, macs_16: multiply-adds with raw and padded channels.
        dense_elements: read and written by convolutions and linear layers.
        other_elements: read and written by everything else.
        saved_elements: activations that training keeps for the backward pass, the images left out.
        saved_positions: of maxima, which max-pooling keeps besides, an integer each.
        largest_elements: of the largest activation.
        operations: launches of a forward pass.
        parameters: trainable scalars.
        tensors: trainable tensors.
        input_elements: of an image.
    """

    macs: float
    macs_8: float
    macs_16: float
    dense_elements: float
    other_elements: float
    saved_elements: float
    saved_positions: float
    largest_elements: float
    operations: float
    parameters: float
    tensors: float
    input_elements: float


@lru_cache(maxsize=65536)
def features_of(network: str, task: Task) -> NetworkFeatures:
    """Return the features of a named network on a task."""
    return graph_features(lower(parse_network(network), task))


def graph_features(graph: Graph) -> NetworkFeatures:
    """Return the features of a graph."""
    shapes = graph.shapes
    dense = other = 0
    for node in graph.nodes:
        moved = node.elements + sum(_count(shapes[source]) for source in node.inputs)
        if isinstance(node.operation, Conv | Linear):
            dense += moved
        else:
            other += moved
    return NetworkFeatures(
        macs=graph.macs,
        macs_8=sum(_padded_macs(node, 8) for node in graph.nodes),
        macs_16=sum(_padded_macs(node, 16) for node in graph.nodes),
        dense_elements=dense,
        other_elements=other,
        saved_elements=_saved_elements(graph),
        saved_positions=sum(n.elements for n in graph.nodes if isinstance(n.operation, MaxPool)),
        largest_elements=max(node.elements for node in graph.nodes),
        operations=len(graph.nodes),
        parameters=graph.parameters,
        tensors=sum(2 - isinstance(n.operation, Conv) for n in graph.nodes if n.parameters),
        input_elements=_count(graph.input_shape),
    )


def _saved_elements(graph: Graph) -> int:
    """Maps that a reader needs for its gradient, and outputs of rectifiers (they overwrite theirs).

    Flattening is a view of the map that it reads, so both are one.
    """
    needs_input = (Conv, Linear, BatchNorm, MaxPool, AveragePool)
    viewed = {node.name: node.inputs[0] for node in graph.nodes if isinstance(node.operation, Flatten)}
    kept = {node.name for node in graph.nodes if isinstance(node.operation, Relu)}
    for node in graph.nodes:
        if isinstance(node.operation, needs_input):
            kept |= {viewed.get(source, source) for source in node.inputs}
    return sum(node.elements for node in graph.nodes if node.name in kept)


def _padded_macs(node: Node, multiple: int) -> int:
    match node.operation:
        case Conv(inputs, filters, kernel, _):
            pixels = node.shape[1] * node.shape[2]
            return _ceil(inputs, multiple) * _ceil(filters, multiple) * kernel * kernel * pixels
        case Linear(inputs, units):
            return _ceil(inputs, multiple) * _ceil(units, multiple)
        case _:
            return 0


def _ceil(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
