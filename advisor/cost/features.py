"""Features of the cost model: sizes that time depends on, of each layer and of the network as a whole.

Notation:

    element     one scalar of a map, a vector or a weight; sizes are in elements, because the arithmetic, and
    so the
                bytes of an element, is fixed within a fingerprint
    MACs        multiply-adds of convolutions and linear layers
    padded      with channels rounded up to 8 or 16, the widths of vector units and tensor cores: a layer with
                5 channels costs as much as one with 8

The features follow the roofline model: arithmetic, bytes moved, and a constant for every launch (Williams,
Waterman and Patterson, "Roofline", CACM 2009).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import get_args

import numpy as np

from advisor.errors import require_entries
from advisor.estimate import Floats
from advisor.networks.graph import INPUT, Conv, Flatten, Graph, Linear, Node, Operation
from advisor.networks.layers import Task
from advisor.networks.shared_layers import graph_of

# Kinds of layers, each with coefficients of its own. Layers that read the images are kinds of their own,
# because images have few channels and need no gradient.
READS_IMAGES = "@images"
KINDS = (
    "Conv",
    "Conv@images",
    "Linear",
    "Linear@images",
    "BatchNorm",
    "Relu",
    "Add",
    "PadShortcut",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Flatten",
    "Concat",
)
require_entries(
    "advisor/cost/features.py: KINDS",
    (kind for kind in KINDS if not kind.endswith(READS_IMAGES)),
    (operation.__name__ for operation in get_args(Operation)),
)
# Kinds that only move and add elements. A kind that was never measured is estimated by the others.
MOVING = KINDS[4:]

# Elements that fit into a core's own cache (1 MiB of float32); further elements cost more to move.
CACHED_ELEMENTS = 2**18


@dataclass(frozen=True, slots=True)
class LayerSizes:
    """Sizes of the layers of one network at one batch.

    Attributes:
        names: names of the n nodes in order.
        kinds: kind of each node as an index into `KINDS`, shape (n,).
        rows: sizes of each node, shape (n, `WORK_FEATURES`), of order one for a layer of a small network. The
            columns are MACs raw, padded to 8, padded to 16 and with filters alone padded; elements read and
            written, raw and padded to 16 channels; weights raw and padded; MACs of strided convolutions;
            elements moved beyond the cache; a constant for the launch.
    """

    names: tuple[str, ...]
    kinds: np.ndarray
    rows: Floats


WORK_FEATURES = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFeatures:
    """Sizes of a network for one image of a task.

    Attributes:
        macs, macs_8, macs_16: multiply-adds with channels raw, padded to 8, padded to 16.
        dense_elements: elements read and written by convolutions and linear layers.
        other_elements: elements read and written by all other operations.
        operations: number of operations in a forward pass.
        parameters: number of trainable scalars.
        tensors: number of trainable tensors.
        input_elements: elements of an image.
    """

    macs: float
    macs_8: float
    macs_16: float
    dense_elements: float
    other_elements: float
    operations: float
    parameters: float
    tensors: float
    input_elements: float


@lru_cache(maxsize=65536)
def features_of(network: str, task: Task) -> NetworkFeatures:
    """Return the features of a named network on a task."""
    return graph_features(graph_of(network, task))


def graph_features(graph: Graph) -> NetworkFeatures:
    """Return the features of a graph."""
    moved = [(node, node.elements + _read(graph, node)) for node in graph.nodes]
    return NetworkFeatures(
        macs=graph.macs,
        macs_8=sum(_padded_macs(node, 8) for node in graph.nodes),
        macs_16=sum(_padded_macs(node, 16) for node in graph.nodes),
        dense_elements=sum(m for node, m in moved if isinstance(node.operation, Conv | Linear)),
        other_elements=sum(m for node, m in moved if not isinstance(node.operation, Conv | Linear)),
        operations=len(graph.nodes),
        parameters=graph.parameters,
        tensors=sum(2 - isinstance(n.operation, Conv) for n in graph.nodes if n.parameters),
        input_elements=prod(graph.input_shape),
    )


@lru_cache(maxsize=16384)
def layer_sizes(network: str, task: Task, batch: int) -> LayerSizes:
    """Return the sizes of the layers of a named network at a batch."""
    graph = graph_of(network, task)
    images = {INPUT} | {
        n.name for n in graph.nodes if isinstance(n.operation, Flatten) and n.inputs == (INPUT,)
    }
    readers = Counter(source for node in graph.nodes for source in set(node.inputs))
    return LayerSizes(
        names=tuple(node.name for node in graph.nodes),
        kinds=np.array([KINDS.index(_kind(node, images)) for node in graph.nodes]),
        rows=np.array([_work(graph, node, batch, readers[node.name]) for node in graph.nodes]),
    )


def _kind(node: Node, images: set[str]) -> str:
    name = type(node.operation).__name__
    dense = isinstance(node.operation, Conv | Linear)
    return name + READS_IMAGES if dense and node.inputs[0] in images else name


def _work(graph: Graph, node: Node, batch: int, readers: int) -> list[float]:
    """Return the row of a node; its gradient is the sum of those of its readers."""
    read, written = batch * _read(graph, node), batch * node.elements
    beyond = max(0, read + written - CACHED_ELEMENTS)
    moving = [read / 1e8, written / 1e8]
    match node.operation:
        case Conv(inputs, filters, kernel, stride):
            pixels = batch * prod(node.shape[1:]) * kernel * kernel
            padded = batch * _padded_macs(node, 16) / 1e9
            macs = [
                batch * node.macs / 1e9,
                batch * _padded_macs(node, 8) / 1e9,
                padded,
                pixels * inputs * _ceil(filters, 16) / 1e9,
            ]
            moving += [read / inputs * _ceil(inputs, 16) / 1e8, written / filters * _ceil(filters, 16) / 1e8]
            weights = [
                node.parameters / 1e8,
                _ceil(inputs, 16) * _ceil(filters, 16) * kernel * kernel / 1e8,
            ]
            strided = padded if stride > 1 else 0.0
            return [*macs, *moving, *weights, strided, beyond / 1e8, 1e-4]
        case Linear(inputs, units):
            rows = _ceil(batch, 16) * inputs * _ceil(units, 16) / 1e9
            macs = [batch * node.macs / 1e9, 0.0, rows, 0.0]
            return [*macs, *moving, 0.0, 0.0, node.parameters / 1e8, 0.0, 0.0, beyond / 1e8, 1e-4]
        case _:
            channels, pixels = node.shape[0], prod(node.shape[1:])
            padding = _ceil(channels, 16) / channels / 1e8
            summed = max(0, readers - 1) * batch * node.elements / 1e8
            rows = batch * pixels / 1e7
            moving += [read * padding, written * padding]
            return [rows, summed, 0.0, 0.0, *moving, 0.0, 0.0, 0.0, beyond / 1e8, 1e-4]


def _read(graph: Graph, node: Node) -> int:
    return sum(prod(graph.shapes[source]) for source in node.inputs)


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
