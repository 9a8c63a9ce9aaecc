"""What the tests of the profiler share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation
from advisor.plans.execution import Execution
from trainer.training.workload import StepWorkload


@pytest.fixture(autouse=True)
def in_one_thread(one_thread: None) -> None:
    """Every test here computes in one thread."""


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
