"""Real nodes are measured once a kind, plans are priced for them, and runs belong to their machines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from measured import step_of
from ray_nodes import NEEDS_RAY, RayNodes

from advisor.plans.dataset import DATASETS
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.home import Home
from cli.workflows.runs.steps.accounting import ELSEWHERE
from db.session import open_store
from profiler.device import fingerprint, usable_cores

pytestmark = [
    # Starts two clusters, which takes a minute.
    pytest.mark.slow,
    *NEEDS_RAY,
]

PLAN = ("2xmlp-1-8", "--dataset", "digits", "--epochs", "2")
# Networks of this size take some tenths of a second to measure.
MEASURED = ("2xmlp-1-16", "--dataset", "digits")
PRETENDED = "Pretended processor"


@pytest.fixture(scope="module")
def nodes():
    with RayNodes() as found:
        yield found


@pytest.fixture(scope="module")
def usual(nodes):
    """A node with the cores of this machine."""
    return nodes.add(cores=usable_cores())


@pytest.fixture(scope="module")
def pretended(nodes, tmp_path_factory):
    """Two nodes whose processors have another name."""
    text = Path("/proc/cpuinfo").read_text()
    other = tmp_path_factory.mktemp("other") / "cpuinfo"
    other.write_text(re.sub(r"(?m)^(model name\s*: ).*$", rf"\g<1>{PRETENDED}", text))
    return [nodes.add_apart(f"--bind {other} /proc/cpuinfo") for _ in range(2)]


@pytest.fixture
def known(home):
    """Measurements of this machine."""
    task, own = DATASETS["digits"].task, fingerprint(plain_execution("cpu"))
    with open_store(Home(home).database) as store:
        for network in [f"mlp-{depth}-{width}" for depth in (1, 2) for width in (4, 8, 16)]:
            for batch in (32, 64):
                store.add_measurement(step_of(network, task, batch, own))


def measurements(home):
    with open_store(Home(home).database) as store:
        return store.measurements()


def fingerprint_of_run(home, number):
    with open_store(Home(home).database) as store:
        return store.run(number).fingerprint


def test_a_run_on_nodes_of_the_kind_of_this_machine_belongs_to_it(nodes, usual, known, advisor, home):
    here = advisor("explain", *PLAN, "--json").json["predicted"]["train_seconds"]
    trained = advisor("train", *PLAN, "--cluster", nodes.address, "--json")
    assert trained.code == 0, trained.err
    assert "slowest" not in trained.err
    own = fingerprint_of_run(home, 1)
    with open_store(Home(home).database) as store:
        assert own == fingerprint(store.run(1).plan.execution).digest
        assert store.trained_epochs(own)
    # Its forecast from before it began is that of this machine, too.
    there = advisor("explain", "1", "--json").json["predicted"]["train_seconds"]
    assert there["mean"] == pytest.approx(here["mean"])


def test_one_node_of_a_kind_is_measured_and_not_again_and_a_mixed_run_belongs_to_no_machine(
    nodes, usual, pretended, known, advisor, home
):
    before = measurements(home)
    first = advisor("profile", *MEASURED, "--cluster", nodes.address, "--profile-seconds", "20", "--json")
    assert first.code == 0, first.err
    # Nothing is missing of the kind of this machine.
    other, own = first.json["kinds"]
    assert (own["nodes"], own["measured_on"], own["measurements_new"]) == (1, None, 0)
    assert (other["nodes"], other["failed"], other["measurements_reused"]) == (2, False, 0)
    assert other["name"].startswith(PRETENDED)
    assert first.err.count("measuring") == 1
    found = [m for m in measurements(home) if m not in before]
    assert {m.fingerprint.device_name for m in found} == {other["device"]["device_name"]}
    assert sum(not m.given_up for m in found) == other["measurements_new"] >= 3
    # A second call for as long as it took measures nothing.
    again = advisor("profile", *MEASURED, "--cluster", nodes.address, "--profile-seconds", "0.5")
    assert again.code == 0, again.err
    assert [line.endswith("nothing measured") for line in again.out.splitlines()] == [True, True]
    assert len(measurements(home)) == len(before) + len(found)

    trained = advisor("train", *PLAN, "--cluster", nodes.address)
    assert trained.code == 0, trained.err
    assert "the slowest kind of node is" in trained.err
    assert fingerprint_of_run(home, 1) == ELSEWHERE
    with open_store(Home(home).database) as store:
        assert store.trained_epochs(fingerprint(plain_execution("cpu")).digest) == []


def test_newcomers_are_nodes_that_were_not_there_before(monkeypatch):
    from trainer.execution.cluster import survey

    there = ["a"]
    monkeypatch.setattr(survey, "_ids", lambda: there)
    monkeypatch.setattr(survey.ray, "is_initialized", lambda: True)
    monkeypatch.setattr(survey, "LOOK_SECONDS", 0.0)
    newcomers = survey.Newcomers(frozenset("ab"))
    assert not newcomers.any()
    there.append("c")
    assert newcomers.any()
    there.remove("c")
    assert newcomers.any()
