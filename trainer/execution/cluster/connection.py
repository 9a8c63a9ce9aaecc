"""The connection to a Ray cluster, and which of its nodes may train.

A cluster that demands no token lets whoever reaches it run code on all of its nodes (CVE-2023-48022). It is
refused, unless the user insists. Nodes must agree in their versions (`node_facts`).
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from advisor.errors import RunError, StorageError, UsageError
from trainer.execution.cluster.address import ClusterAddress
from trainer.execution.cluster.node_facts import NodeFacts, difference, facts_of_this_node, versions

# Before Ray is imported: nothing is reported to its makers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Nor is every attempt to reach a node told on stderr.
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

NAMESPACE = "advisor"
# Seconds that a node has to tell what it is.
ANSWER_SECONDS = 60.0
# Seconds after which a node that gives no answer is thought to be alive.
LEAVING_SECONDS, POLL_SECONDS = 5.0, 0.1
INSTALL = "install the same version of the program on every node"
TOKEN = (
    "start every node with RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or accept the risk with --insecure-cluster"
)


@dataclass
class Nodes:
    """Which nodes may train.

    Attributes:
        folder: folder of the run.
        proof: name of a file in it, by which a node knows whether it sees the folder.
        insecure: whether a node that demands no token is accepted.
        hosts: names of the machines of the nodes that were asked, by their ids.
        refused: ids of the nodes that may not train.
    """

    folder: Path
    proof: str
    insecure: bool
    hosts: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def left(self) -> bool:
        """Return whether a node is left that offers a core and may train."""
        return bool(set(alive_nodes(with_cores=True)) - self.refused)

    def ask_all(self) -> list[str]:
        """Ask every node what it is; return why some of them may not train."""
        # All at once: each starts a process, which takes a second or two.
        asked = {node: self._asked(node) for node in set(alive_nodes()) - self.refused}
        return [reason for node, answer in asked.items() if (reason := self._refusal(node, answer))]

    def objection(self, node: str, facts: NodeFacts, problem: str = "") -> str:
        """Return why a node may not train, empty if it may; one that may not is refused from now on.

        Args:
            node: id of the node.
            facts: what it says of itself.
            problem: why it cannot train, as it says itself.
        """
        self.hosts[node] = facts.host
        reason = ""
        if other := difference(versions(), facts.versions):
            reason = f"{self.name(node)} has {other}: {INSTALL}"
        elif not facts.demands_token and not self.insecure:
            reason = f"{self.name(node)} demands no token, so whoever reaches it can run code on it: {TOKEN}"
        elif problem:
            reason = f"{self.name(node)}: {problem}"
        if reason:
            self.refused.add(node)
        return reason

    def name(self, node: str) -> str:
        """Return a node as a message names it: the beginning of its id, and its machine."""
        return f"node {node[:8]}" + (f" ({self.hosts[node]})" if node in self.hosts else "")

    def _asked(self, node: str) -> Any:
        ask = ray.remote(num_cpus=0, max_retries=0)(_facts).options(scheduling_strategy=on_node(node))
        return ask.remote(str(self.folder), self.proof)

    def _refusal(self, node: str, answer: Any) -> str:
        """Return why a node may not train, by its answer; empty if it may, or is gone."""
        try:
            plain = ray.get(answer, timeout=ANSWER_SECONDS)
        except ray.exceptions.GetTimeoutError:
            return f"{self.name(node)} gave no answer within {ANSWER_SECONDS:.0f} s: restart it"
        except ray.exceptions.RayError as error:
            if _has_left(node):
                return ""
            return f"{self.name(node)} cannot run the program ({reason_of(error)}): {INSTALL}"
        return self.objection(node, NodeFacts(**plain))


@contextmanager
def proof_in(folder: Path) -> Iterator[str]:
    """Keep a file in the folder of the run as long as the context lasts.

    Yields:
        Its name.

    Raises:
        StorageError: the disk refuses.
    """
    path = folder / f".shared-{secrets.token_hex(8)}"
    try:
        path.touch()
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}; make room and resume") from None
    try:
        yield path.name
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _has_left(node: str) -> bool:
    """Return whether a node that gave no answer is gone, which the cluster notices after a while."""
    ends = time.monotonic() + LEAVING_SECONDS
    while node in alive_nodes():
        if time.monotonic() > ends:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _facts(folder: str, proof: str) -> dict[str, Any]:
    return asdict(facts_of_this_node(folder, proof))


def reason_of(error: Exception) -> str:
    """Return the last line of an error of Ray that says something; its errors have dozens."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def on_node(node: str) -> Any:
    """Return the strategy that places work on a node and nowhere else."""
    return NodeAffinitySchedulingStrategy(node, soft=False)


def alive_nodes(*, with_cores: bool = False) -> list[str]:
    """Return the ids of the nodes that are alive.

    Args:
        with_cores: only of those that offer a core.
    """
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node for node in nodes if node["Alive"]]
    return [node["NodeID"] for node in alive if not with_cores or node["Resources"].get("CPU", 0) >= 1]


def resources() -> dict[str, float]:
    """Return what the cluster has free, by the names that Ray gives it."""
    found: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    return found


@contextmanager
def connected(address: ClusterAddress) -> Iterator[str]:
    """Be the driver of a cluster, as long as the context lasts.

    Args:
        address: the cluster.

    Yields:
        Id of the node that this process runs on.

    Raises:
        UsageError: the address is of another kind, or this process is the driver of a cluster already.
        RunError: there is no such cluster, or it demands another token.
    """
    address.check()
    if ray.is_initialized():
        raise UsageError("this process is connected to a Ray cluster already: call ray.shutdown() before")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _initialise(address.address)
        _restore(handlers)
        yield ray.get_runtime_context().get_node_id()
    finally:
        ray.shutdown()
        _restore(handlers)


def _initialise(address: str) -> None:
    try:
        with warnings.catch_warnings(), _silent_stderr():
            warnings.simplefilter("ignore")
            # Some forty lines are printed about every node that is lost, whatever `log_to_driver` says.
            ray._private.worker._worker_logs_enabled = False
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.CRITICAL,
            )
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise RunError(
            f"cannot join the cluster {address}: {reason_of(error)}; is it running, is its version of Ray "
            f"{ray.__version__}, and is RAY_AUTH_TOKEN the one of its nodes?"
        ) from None


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drop what is written to stderr meanwhile, by C++ too: Ray says there how much it is going to say."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    """Give signals the handlers back that Ray replaces; only the main thread can."""
    with suppress(ValueError):
        for number, handler in handlers.items():
            signal.signal(number, handler)
