"""What the tests of several rooms share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

# As the command line sets it, before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Tests ask for advice on digits often, and would train for a minute each time. Those of probing say so.
os.environ["ADVISOR_RECOMMEND_PROBE"] = "0"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread for small networks, as plans choose; whatever a test sets is undone."""
    # Here, because most tests of the advisor do without torch, which takes seconds to import.
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may write to, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@pytest.fixture
def without_privileges() -> Callable[[], AbstractContextManager[None]]:
    """Permissions do not bind root, so become somebody else for a moment."""

    @contextmanager
    def become_nobody() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        try:
            os.setresuid(65534, 65534, 0)
        except PermissionError:
            pytest.skip("root that may not change its user")
        try:
            yield
        finally:
            os.setresuid(0, 0, 0)

    return become_nobody


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


# Longest time of a slow test without a limit of its own, on a machine that does much else.
SLOW_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort files by their length, where the order within a file stays; give slow tests more time."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))
