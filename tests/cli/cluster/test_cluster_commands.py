"""Commands with --cluster: a driver that is killed, two drivers, limits, and clusters that are refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from ray_nodes import NEEDS_RAY, SETTINGS, RayNodes, command_lines, free_port, wait_until

from cli.workflows.home import Home

pytestmark = NEEDS_RAY

# Some ten epochs a second, so that a run can be caught in the middle.
LONG = ("train", "2xresnet-14-4", "--dataset", "digits", "--epochs", "12")


@pytest.fixture(scope="module")
def nodes():
    with RayNodes() as found:
        found.add(cores=2)
        yield found


@pytest.fixture
def begin(command_apart):
    """Start a command as a process of its own."""
    started = []

    def start(home, *arguments, **variables):
        process = subprocess.Popen(
            [*command_apart, "--home", str(home), *arguments],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def finish(begin):
    def done(home, *arguments, **variables):
        process = begin(home, *arguments, **variables)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    return done


def stored_epochs(home):
    path = Home(home).database
    if not path.is_file():
        return 0
    with closing(sqlite3.connect(path)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM epochs").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


def figures(out):
    run = json.loads(out)["run"]
    return run["status"], run["test"]


def test_a_driver_that_is_killed_leaves_no_worker_and_its_run_goes_on_with_the_same_bits(
    nodes, begin, finish, tmp_path
):
    cluster = ("--cluster", nodes.address)
    code, undisturbed, err = finish(tmp_path / "local", *LONG, "--json")
    assert code == 0, err
    home = tmp_path / "home"
    driver = begin(home, *LONG, *cluster)
    wait_until(lambda: stored_epochs(home) >= 3, "third epoch of a run")
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_until(lambda: not command_lines(["ray::Worker"]), "end of the workers")
    assert stored_epochs(home) < 24
    code, _, err = finish(home, "resume", *cluster, "--time-limit", "0.5s")
    assert (code, err.strip().splitlines()[-1].startswith("advisor: ")) == (75, True), err
    code, out, err = finish(home, "resume", *cluster, "--json")
    assert code == 0, err
    assert figures(out) == figures(undisturbed)
    wait_until(lambda: not command_lines(["ray::Worker"]), "end of the workers")


def test_two_drivers_share_a_cluster(nodes, begin, tmp_path):
    small = ("train", "2xmlp-1-8", "--dataset", "digits", "--epochs", "3", "--json")
    drivers = [begin(tmp_path / name, *small, RAY_ADDRESS=nodes.address) for name in ("a", "b")]
    answers = [driver.communicate(timeout=120) for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], answers
    # Ray has said nothing.
    assert not any("ray" in err.lower() for _, err in answers), answers
    first, second = (figures(out) for out, _ in answers)
    assert first == second


@pytest.fixture
def short_folder():
    """A folder whose sockets have short paths."""
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as name:
        yield name


def test_a_cluster_without_a_token_is_refused_unless_the_user_insists(finish, tmp_path, short_folder):
    settings = SETTINGS | {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": short_folder}
    port = free_port()
    head = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("ray")), "start", "--head", f"--port={port}", "--num-cpus=1",
            "--include-dashboard=false", f"--object-store-memory={80 * 2**20}", "--block",
        ],
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    small = ("train", "mlp-1-8", "--dataset", "digits", "--epochs", "1", "--cluster", f"127.0.0.1:{port}")
    try:
        wait_until(lambda: _answers(port), "head node")
        code, out, err = finish(tmp_path / "refused", *small, **settings)
        assert (code, out) == (1, "")
        (line,) = [line for line in err.splitlines() if line.startswith("advisor: ")]
        assert "demands no token, so whoever reaches it can run code on it" in line
        assert "RAY_AUTH_MODE=token" in line
        code, _, err = finish(tmp_path / "accepted", *small, "--insecure-cluster", **settings)
        assert code == 0, err
    finally:
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()


def test_what_has_no_cluster_is_one_line(advisor, monkeypatch):
    small = ("train", "mlp-1-8", "--dataset", "digits", "--epochs", "1")
    answer = advisor(*small, "--insecure-cluster")
    assert (answer.code, answer.error_line.count("\n")) == (2, 0)
    assert "add --cluster auto|ADDRESS" in answer.error_line
    answer = advisor(*small, "--cluster", "127.0.0.1:1")
    assert (answer.code, "no cluster answers at 127.0.0.1:1" in answer.error_line) == (1, True)
    monkeypatch.setattr("trainer.execution.cluster.address.find_spec", lambda name: None)
    answer = advisor(*small, "--cluster", "127.0.0.1:1")
    assert answer.code == 2
    assert "--cluster needs Ray: pip install 'ensemble-advisor[cluster]'" in answer.error_line


def _answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
