"""Which cluster trains a plan; importing this module imports nothing of Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from advisor.errors import UsageError


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """The cluster that trains a plan.

    Attributes:
        address: ``auto`` for the one that this machine belongs to, else host and port of its head node.
        insecure: whether a cluster that demands no token is accepted.
    """

    address: str
    insecure: bool = False


@contextmanager
def needing_ray() -> Iterator[None]:
    """Import modules that import Ray meanwhile.

    Raises:
        UsageError: Ray is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UsageError("--cluster needs Ray: pip install 'ensemble-advisor[cluster]'") from None
