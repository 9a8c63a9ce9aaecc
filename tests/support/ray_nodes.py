"""Nodes of a Ray cluster on this machine: started, and killed without a farewell.

Import this module before Ray, which reads once whether tokens are demanded.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

TOKEN = "a" * 64
STORE_BYTES = 80 * 2**20
SECONDS = 60.0
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
os.environ.update(SETTINGS)
# Marks of a test, or a module, that starts nodes.
NEEDS_RAY = [
    pytest.mark.cluster,
    pytest.mark.skipif(find_spec("ray") is None, reason="no clusters: Ray is not installed"),
]


class RayNodes:
    """A head node without cores, and nodes that train; as a context, all end with it and nothing is left.

    Args:
        settings: more environment variables of all nodes.

    Attributes:
        address: host and port of the head node.
        environment: variables that a driver needs.
    """

    def __init__(self, **settings: str) -> None:
        self._before = dict(os.environ)
        # Paths of sockets are short.
        self.folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
        (self.folder / "ray").mkdir()
        self.environment = SETTINGS | {"RAY_TMPDIR": str(self.folder)} | settings
        os.environ.update(self.environment)
        from ray.cluster_utils import Cluster

        self.started: list[subprocess.Popen[bytes]] = []
        self.cluster = Cluster(
            initialize_head=True,
            shutdown_at_exit=False,
            head_node_args={"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False},
        )
        self.address = str(self.cluster.address)

    def add(self, cores: int = 1, **variables: str) -> Any:
        """Add a node, whose processes have some more environment variables."""
        return self.cluster.add_node(
            num_cpus=cores, object_store_memory=STORE_BYTES, env_vars=self.environment | variables
        )

    def add_apart(self, mount: str) -> subprocess.Popen[bytes]:
        """Add a node of a core that sees other files than this process.

        Args:
            mount: arguments of `mount`, which the node alone sees the effect of.
        """
        if (
            shutil.which("unshare") is None
            or subprocess.run(["unshare", "-rm", "true"], check=False).returncode
        ):
            pytest.skip("no node can have files of its own: this system has no mount namespaces for users")
        ray = Path(sys.executable).with_name("ray")
        start = " ".join([str(ray), *self._options()])
        return self._begin(["unshare", "-rm", "sh", "-c", f"mount {mount} && exec {start}"])

    @contextmanager
    def far_away(self) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], None]]]:
        """Add a node of a core behind a network of its own, and yield it with what cuts that network."""
        name, device, here, there = "advisor-far", "advisor0", "10.253.7.1", "10.253.7.2"
        within = ["ip", "netns", "exec", name]
        made = [
            ["ip", "netns", "add", name],
            ["ip", "link", "add", device, "type", "veth", "peer", "name", "far0", "netns", name],
            ["ip", "addr", "add", f"{here}/30", "dev", device],
            ["ip", "link", "set", device, "up"],
            [*within, "ip", "addr", "add", f"{there}/30", "dev", "far0"],
            [*within, "ip", "link", "set", "far0", "up"],
            [*within, "ip", "link", "set", "lo", "up"],
            [*within, "ip", "route", "add", "default", "via", here],
        ]
        if os.geteuid() != 0 or shutil.which("ip") is None or call(made[0]):
            pytest.skip("no node can have a network of its own: this needs root and network namespaces")
        try:
            for command in made[1:]:
                assert call(command) == 0, command
            ray = Path(sys.executable).with_name("ray")
            process = self._begin([*within, str(ray), *self._options(), f"--node-ip-address={there}"])
            yield process, lambda: assert_none(call(["ip", "link", "set", device, "down"]))
        finally:
            call(["ip", "link", "del", device])
            call(["ip", "netns", "del", name])

    def _options(self) -> list[str]:
        return [
            "start",
            f"--address={self.address}",
            "--num-cpus=1",
            f"--object-store-memory={STORE_BYTES}",
            "--block",
        ]

    def _begin(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a node by a command, and wait until the cluster has it."""
        before = len(self.alive())
        process = subprocess.Popen(
            command,
            env=os.environ | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.started.append(process)
        wait_until(lambda: len(self.alive()) > before, "node that was started")
        return process

    def alive(self) -> list[Any]:
        """Return the nodes that are alive."""
        return [node for node in self.cluster.global_state.node_table() if node["Alive"]]

    def kill(self, node: Any) -> None:
        """Kill a node at once: what watches it, its store and its workers."""
        (raylet,) = (process.process.pid for process in node.all_processes["raylet"])
        pids = [raylet, *descendants(raylet)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.cluster.remove_node(node, allow_graceful=False)

    def kill_apart(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a node that sees other files at once."""
        before = len(self.alive())
        for pid in [process.pid, *descendants(process.pid)]:
            with_suppressed_kill(pid)
        process.wait()
        wait_until(lambda: len(self.alive()) < before, "end of a node")

    def remove(self, node: Any) -> None:
        """Let a node leave, and wait until the cluster knows."""
        before = len(self.alive())
        self.cluster.remove_node(node)
        wait_until(lambda: len(self.alive()) < before, "end of a node")

    def __enter__(self) -> RayNodes:
        return self

    def __exit__(self, *error: object) -> None:
        """End all nodes, remove what they wrote, and undo what was set in the environment."""
        for process in self.started:
            for pid in [process.pid, *descendants(process.pid)]:
                with_suppressed_kill(pid)
            process.wait()
        self.cluster.shutdown()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.environ.clear()
        os.environ.update(self._before)
        assert not command_lines([str(self.folder)])


def with_suppressed_kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def descendants(pid: int) -> list[int]:
    """Return the processes below a process."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def command_lines(words: Sequence[str]) -> list[str]:
    """Return the titles of the processes of this machine in which all words stand."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if all(word in line for word in words):
            found.append(line)
    return found


def call(command: Sequence[str]) -> int:
    """Return the exit status of a command, whose words are of no interest."""
    return subprocess.run(command, check=False, capture_output=True).returncode


def assert_none(status: int) -> None:
    assert status == 0


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until(true: Any, what: str) -> None:
    """Wait until a condition holds, and fail after a minute."""
    ends = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < ends, f"no {what} within {SECONDS:.0f} s"
        time.sleep(0.05)
