"""What the tests of the profiler share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from advisor.dataset import Augmentation
from advisor.layers import Task
from advisor.measurement import Execution
from trainer.workload import StepWorkload


@pytest.fixture(autouse=True)
def one_thread():
    """One thread for small networks, as plans choose."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def execution() -> Execution:
    return Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")


@pytest.fixture(scope="session")
def workload(execution: Execution) -> Callable[..., StepWorkload]:
    """The trainer's own step on a network, for images of 3×16×16 in 10 classes."""

    def make(network: str, *, batch: int = 8, **changes: object) -> StepWorkload:
        settings = {
            "task": Task(channels=3, height=16, width=16, classes=10),
            "augmentation": Augmentation.CROP,
            "execution": execution,
        } | changes
        return StepWorkload(network=network, batch=batch, **settings)

    return make
