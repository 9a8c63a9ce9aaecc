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
