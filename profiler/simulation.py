"""Peak bytes of tensors in a step, counted while the step runs on fake tensors.

A fake tensor has a shape, a type and a storage of known size, but no memory. So two training steps of a
network of any size take seconds, and no memory beyond its weights. `StorageCount` counts every storage that
an operation reads or returns, from its first appearance until it is freed. Memory that kernels allocate and
free inside themselves depends on libraries, not on the network, and is not counted.

torch's own `MemTracker` (`torch.distributed._tools`) counts the same bytes, but does not fit here. It refuses
a network that is called twice unless its statistics are reset in between. It hooks every module and optimizer
of the process. And it needs a list of all existing tensors, which a workload does not show. A dispatch mode
of thirty lines avoids all that.

Only `_fake_copy` uses something that torch does not promise to keep, `torch._subclasses`. It copies a
workload that is already built, because `Module.to` cannot move a network of fake tensors.

Fake tensors differ from kernels in one point. Under autocast, batch normalisation keeps its statistics in
float32 on real tensors, but in the type of the map on fake ones: 4 bytes less a channel and layer.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from profiler.workload import Prepared, Workload


class StorageCount(TorchDispatchMode):
    """Counts the bytes of storages that are alive, and their peak.

    Attributes:
        alive: bytes of all counted storages that are not yet freed.
        peak: most bytes alive at once since the count began or `peak` was last set.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive = 0
        self.peak = 0
        self._seen: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def add(self, tensor: Tensor) -> None:
        """Count the storage of a tensor, once."""
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._seen:
            return

        def freed(_: object) -> None:
            del self._seen[key]
            self.alive -= size

        self._seen[key] = weakref.ref(storage, freed)
        self.alive += size
        self.peak = max(self.peak, self.alive)

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and count the storages that it reads and returns."""
        result = self._in_parts(func, args, kwargs or {})
        if result is NotImplemented:
            result = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, result)):
            if isinstance(value, Tensor):
                self.add(value)
        return result

    def _in_parts(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        """Run a composite operation part by part; in inference mode torch dispatches it as a whole."""
        if func.namespace != "aten":
            return NotImplemented
        with self:
            return func.decompose(*args, **kwargs)


def simulate_training_bytes(workload: Workload) -> int:
    """Return the peak bytes of a training step on fake tensors.

    It is the peak of the second step, because the first one creates the state of the optimizer.
    """
    with _fake_copy(workload.prepare()) as prepared:
        return training_peak(prepared)


def simulate_inference_bytes(workload: Workload) -> int:
    """Return the peak bytes of a forward pass without gradients on fake tensors."""
    with _fake_copy(workload.prepare()) as prepared:
        return inference_peak(prepared)


def training_peak(prepared: Prepared) -> int:
    """Return the peak bytes of the second training step of a prepared workload, fake or not."""
    return _second_peak(prepared, lambda: prepared.eager_step(_ignored))


def inference_peak(prepared: Prepared) -> int:
    """Return the peak bytes of a forward pass of a prepared workload, fake or not."""
    return _second_peak(prepared, prepared.inference_step)


def _second_peak(prepared: Prepared, step: Callable[[], object]) -> int:
    count = StorageCount()
    with count:
        for tensor in (*prepared.module.parameters(), *prepared.module.buffers()):
            count.add(tensor)
        # Earlier tensors, such as images, are counted when they are first read: the peak is that of the
        # second step.
        step()
        count.peak = count.alive
        step()
    return count.peak


@contextmanager
def _fake_copy(prepared: Prepared) -> Iterator[Prepared]:
    """Yield a copy of a prepared workload in which every tensor is fake."""
    mode = FakeTensorMode()
    # Parameters are read while they are copied, which the mode itself would refuse.
    with FakeCopyMode(mode):
        fake = copy.deepcopy(prepared)
    if not all(isinstance(parameter, FakeTensor) for parameter in fake.module.parameters()):
        raise RuntimeError("the copy of a workload is not of fake tensors: has FakeCopyMode changed?")
    with mode:
        yield fake


def _ignored(phase: str, /) -> None:
    """Ignore the end of a phase."""
