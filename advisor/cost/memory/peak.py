"""Peak memory of training and inference, computed from the specification without building anything.

Notation:

    (c, m)      moment of a step (`advisor.cost.memory.liveness`): c bytes whatever the batch and m bytes an
    image b           images in the batch

The peak is the maximum of c + b·m over all moments. Only moments that can be the maximum for some b are kept,
so one walk serves every batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from advisor.cost.memory.liveness import ForwardWalk, Moment, TrainingWalk
from advisor.networks.graph import Graph
from advisor.networks.layers import Task
from advisor.networks.shared_layers import graph_of


@dataclass(frozen=True, slots=True)
class GraphMemory:
    """Moments that can be the peak of one network in one arithmetic, of training and of inference."""

    training: tuple[Moment, ...]
    inference: tuple[Moment, ...]

    def training_bytes(self, batch: int) -> int:
        """Return the peak bytes of a training step of `batch` images."""
        return _peak(self.training, batch)

    def inference_bytes(self, batch: int) -> int:
        """Return the peak bytes of a forward pass of `batch` images without gradients."""
        return _peak(self.inference, batch)


def training_bytes(
    network: str, task: Task, batch: int, dtype: str, memory_format: str = "contiguous"
) -> int:
    """Return the peak bytes of tensors while a named network is trained.

    Args:
        network: short name, joint or not.
        task: images and classes.
        batch: images in a step.
        dtype: ``float32`` or ``bfloat16`` (autocast).
        memory_format: ``contiguous`` or ``channels_last``.
    """
    return _memory_of(network, task, dtype, memory_format).training_bytes(batch)


def inference_bytes(
    network: str, task: Task, batch: int, dtype: str, memory_format: str = "contiguous"
) -> int:
    """Return the peak bytes of tensors of a forward pass without gradients; arguments as for training."""
    return _memory_of(network, task, dtype, memory_format).inference_bytes(batch)


@lru_cache(maxsize=65536)
def _memory_of(network: str, task: Task, dtype: str, memory_format: str) -> GraphMemory:
    return graph_memory(graph_of(network, task), dtype, memory_format)


def graph_memory(graph: Graph, dtype: str, memory_format: str = "contiguous") -> GraphMemory:
    """Walk a training step and a forward pass of a graph.

    Args:
        graph: network to walk.
        dtype: ``float32`` or ``bfloat16`` (autocast).
        memory_format: ``contiguous`` or ``channels_last``; in the latter, flattening a map copies it.
    """
    return GraphMemory(
        _deciding(TrainingWalk(graph, dtype, memory_format).run()),
        _deciding(ForwardWalk(graph, dtype, memory_format).run()),
    )


def saved_bytes(graph: Graph, dtype: str) -> dict[str, int]:
    """Return the bytes an image that each node keeps for the backward pass, by node.

    A tensor that several nodes keep counts for the first of them; the network's input is such a tensor.
    Tensors that do not grow with the batch are left out: weights, their copies, statistics of batch
        normalisation.
    """
    walk = TrainingWalk(graph, dtype, "contiguous")
    walk.run()
    counted: set[int] = set()
    found = {}
    for node in graph.nodes:
        first = {id(tensor): tensor.image for tensor in walk.saved[node.name] if id(tensor) not in counted}
        counted |= first.keys()
        found[node.name] = sum(first.values())
    return found


def _peak(moments: Iterable[Moment], batch: int) -> int:
    return max(moment.constant + batch * moment.image for moment in moments)


def _deciding(moments: Iterable[Moment]) -> tuple[Moment, ...]:
    """Return the moments that no other moment exceeds in both parts."""
    kept: list[Moment] = []
    for moment in sorted(set(moments), key=lambda m: (-m.image, -m.constant)):
        if not kept or moment.constant > kept[-1].constant:
            kept.append(moment)
    return tuple(kept)
