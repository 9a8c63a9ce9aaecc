"""What the tests of several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

# As the command line sets it, before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread for small networks, as plans choose; whatever a test sets is undone."""
    # Here, because most tests of the advisor do without torch, which takes seconds to import.
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Files that take longest come first, so that no worker begins one of them when the others are done.
LONGEST = (
    "test_train.py",
    "test_processes.py",
    "test_recommend.py",
    "test_predict_export.py",
    "test_hatching.py",
    "test_isolate.py",
    "test_parallel.py",
    "test_tutorial.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort files by their length; the order within a file stays."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))
