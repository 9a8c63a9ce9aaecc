"""What a node of a cluster says of itself: versions, whether it demands a token, whether it sees the run.

Numbers differ from one version of torch to another, and plans from one version of the program to another. So
all nodes must agree with the node that asks. The sources of both wings that train are compared too, because a
checkout may be older than its version says.
"""

from __future__ import annotations

import hashlib
import os
import platform
import socket
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "ensemble-advisor"
# Packages whose code a node executes.
EXECUTED = ("advisor", "trainer")


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node says of itself.

    Attributes:
        versions: by the name of what has one, in the order of comparison.
        host: name of the machine.
        demands_token: whether its processes were started with tokens demanded.
        shares_home: whether it reads what the asking process wrote into the folder of the run, and may write.
    """

    versions: dict[str, str]
    host: str
    demands_token: bool
    shares_home: bool


def facts_of_this_node(folder: str, proof: str) -> NodeFacts:
    """Return the facts of the node that this process runs on.

    Args:
        folder: folder of the run.
        proof: name of a file in it that the asking process wrote.
    """
    return NodeFacts(
        versions=versions(),
        host=socket.gethostname(),
        demands_token=_demands_token(),
        shares_home=(Path(folder) / proof).is_file() and os.access(folder, os.W_OK),
    )


def _demands_token() -> bool:
    """Return whether the processes of this node demand tokens: what Ray itself goes by, where it tells."""
    try:
        from ray._private.authentication.authentication_utils import is_token_auth_enabled
    except ImportError:
        return os.environ.get("RAY_AUTH_MODE") == "token"
    return bool(is_token_auth_enabled())


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return the versions that all nodes must have."""
    return {
        "Python": platform.python_version(),
        # What follows a plus sign tells for which device torch was built.
        "torch": metadata.version("torch").partition("+")[0],
        DISTRIBUTION: metadata.version(DISTRIBUTION),
        "code": _digest_of_sources(),
    }


def difference(own: dict[str, str], other: dict[str, str]) -> str:
    """Return the first version that differs, in words; empty if none does."""
    for name, version in own.items():
        if other.get(name) != version:
            return f"{name} {other.get(name, 'unknown')}, here it is {version}"
    return ""


def _digest_of_sources() -> str:
    found = hashlib.sha256()
    for package in EXECUTED:
        root = Path(__file__).parents[3] / package
        for path in sorted(root.rglob("*.py")):
            found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]
