"""Which cluster trains a plan; importing this module imports nothing of Ray."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """The cluster that trains a plan.

    Attributes:
        address: ``auto`` for the one that this machine belongs to, else host and port of its head node.
        insecure: whether a cluster that demands no token is accepted.
    """

    address: str
    insecure: bool = False
