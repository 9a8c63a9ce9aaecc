"""Which cluster trains a plan; importing this module imports nothing of Ray."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from importlib.util import find_spec

from advisor.errors import RunError, UsageError

# The cluster that this machine belongs to.
AUTO = "auto"
# Prefix of an address of the Ray Client, through which nothing of ours goes.
CLIENT = "ray://"
# Seconds that the head node has to take a connection.
REACH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """The cluster that trains a plan.

    Attributes:
        address: ``auto`` for the one that this machine belongs to, else host and port of its head node.
        insecure: whether a cluster that demands no token is accepted.
    """

    address: str
    insecure: bool = False

    def check(self) -> None:
        """Refuse an address that cannot be of a cluster, or at which nothing answers, within seconds.

        Ray itself tries to reach a head node for minutes.

        Raises:
            UsageError: Ray is not installed, or the address is of another kind.
            RunError: nothing answers.
        """
        if find_spec("ray") is None:
            raise UsageError("--cluster needs Ray: pip install 'ensemble-advisor[cluster]'")
        if self.address.startswith(CLIENT):
            raise UsageError(
                f"--cluster takes auto, or host and port (6379 by default) of the head node: leave out "
                f"{CLIENT}, which is for the Ray Client, and give the other port, got {self.address}"
            )
        if self.address == AUTO:
            return
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdecimal():
            raise UsageError(f"--cluster takes auto, or host:port of the head node, got {self.address}")
        try:
            socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
        except (OSError, OverflowError, UnicodeError) as error:
            raise RunError(
                f"no cluster answers at {self.address} ({error}): give auto, or host:port of a head node"
            ) from None
