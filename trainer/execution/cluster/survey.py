"""Questions to the nodes of a cluster, before it trains: what they are, and how fast.

A question is a function that every node has, of texts, and answers with a text. So nothing of ours is
executed from what travels (`trainer.execution.cluster.worker`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from trainer.execution.cluster.address import ClusterAddress
from trainer.execution.cluster.connection import (
    ANSWER_SECONDS,
    INSTALL,
    Nodes,
    connected,
    on_node,
    reason_of,
)

# Seconds between two looks at which nodes there are, while a plan is trained.
LOOK_SECONDS = 5.0
Question = Callable[..., str]


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node that may train.

    Attributes:
        id: id that Ray gives it.
        name: beginning of the id, and its machine, as messages have it.
        cores: number of cores that it offers.
        gpus: number of GPUs that it offers.
    """

    id: str
    name: str
    cores: int
    gpus: int


class NodeError(Exception):
    """A node has no answer; the text is the reason, one line that names the node."""


class Survey:
    """The nodes of a cluster that this process is connected to.

    Args:
        address: the cluster.

    Attributes:
        objections: why some nodes may not train, a line each.
        nodes: the nodes that may, in the order of their ids.
        seen: ids of all nodes that there ever were.
    """

    def __init__(self, address: ClusterAddress) -> None:
        asked = Nodes(Path("/"), "", address.insecure)
        self.seen = frozenset(_ids())
        self.objections = asked.ask_all()
        usable = asked.hosts.keys() - asked.refused
        self.nodes = [
            ClusterNode(
                id=node["NodeID"],
                name=asked.name(node["NodeID"]),
                cores=int(node["Resources"].get("CPU", 0)),
                gpus=int(node["Resources"].get("GPU", 0)),
            )
            for node in sorted(_nodes(), key=lambda node: str(node["NodeID"]))
            if node["Alive"] and node["NodeID"] in usable
        ]

    def ask(self, nodes: list[ClusterNode], question: Question, *texts: str) -> dict[str, str | NodeError]:
        """Return the answers of nodes by their ids; they need no free core for it.

        Args:
            nodes: nodes to ask.
            question: function of a module.
            texts: its arguments.
        """
        # The process of an answer does not train afterwards: it may have looked at GPUs.
        remote = ray.remote(num_cpus=0, max_retries=0, max_calls=1)(question)
        answers = {
            node.id: remote.options(scheduling_strategy=on_node(node.id)).remote(*texts) for node in nodes
        }
        ends = time.monotonic() + ANSWER_SECONDS
        return {node.id: _answer(node, answers[node.id], max(ends - time.monotonic(), 1.0)) for node in nodes}

    def ask_alone(
        self,
        node: ClusterNode,
        question: Question,
        *texts: str,
        patience: float,
        say: Callable[[str], None],
    ) -> str | NodeError:
        """Return the answer of a node that has nothing else of ours to do; it waits until that is so.

        Args:
            node: the node.
            question: function of a module.
            texts: its arguments.
            patience: seconds after which a line says what is waited for.
            say: receiver of the line.
        """
        remote = ray.remote(num_cpus=node.cores, num_gpus=node.gpus, max_retries=0, max_calls=1)(question)
        answer = remote.options(scheduling_strategy=on_node(node.id)).remote(*texts)
        ready, _ = ray.wait([answer], timeout=patience)
        if not ready:
            say(f"{node.name} has not answered yet: it is waited for until nothing else runs on it")
        return _answer(node, answer, None)


def _answer(node: ClusterNode, answer: Any, timeout: float | None) -> str | NodeError:
    try:
        text: str = ray.get(answer, timeout=timeout)
    except ray.exceptions.GetTimeoutError:
        return NodeError(f"{node.name} gave no answer within {ANSWER_SECONDS:.0f} s: restart it")
    except ray.exceptions.RayTaskError as error:
        return NodeError(f"{node.name}: {reason_of(error)}")
    except ray.exceptions.RayError as error:
        return NodeError(f"{node.name} cannot run the program ({reason_of(error)}): {INSTALL}")
    return text


@contextmanager
def surveyed(address: ClusterAddress) -> Iterator[Survey]:
    """Be connected to a cluster whose nodes are asked, as long as the context lasts.

    Raises:
        UsageError: the address is of a kind that cannot be used.
        RunError: there is no such cluster, or it demands another token.
    """
    with connected(address):
        yield Survey(address)


class Newcomers:
    """Notices nodes that join while this process is connected.

    Args:
        seen: ids of the nodes that are known.
    """

    def __init__(self, seen: frozenset[str]) -> None:
        self._seen = seen
        self._next_look = 0.0
        self._found = False

    def any(self) -> bool:
        """Return whether a node has joined; most calls look at nothing."""
        if not self._found and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_SECONDS
            self._found = ray.is_initialized() and not self._seen.issuperset(_ids())
        return self._found


def _ids() -> list[str]:
    return [node["NodeID"] for node in _nodes()]


def _nodes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return found
