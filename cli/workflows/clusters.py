"""Which cluster trains, from the options of a command."""

from __future__ import annotations

from advisor.errors import UsageError
from trainer.execution.cluster.address import ClusterAddress

__all__ = ["ClusterAddress", "cluster_address"]


def cluster_address(given: str | None, insecure: bool) -> ClusterAddress | None:
    """Return the cluster that was given, which was reached before anything begins; None for this machine.

    Args:
        given: ``auto``, host and port, or None.
        insecure: whether a cluster that demands no token is accepted.

    Raises:
        UsageError: `insecure` without a cluster, no Ray, or an address of another kind.
        RunError: nothing answers at the address.
    """
    if given:
        address = ClusterAddress(given, insecure)
        address.check()
        return address
    if insecure:
        raise UsageError("--insecure-cluster is about a cluster: add --cluster auto|ADDRESS, or leave it out")
    return None
