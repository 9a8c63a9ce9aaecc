"""Kinds of nodes: which nodes are one, when a kind is measured, whose evidence its seconds are."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from measured import step_of
from node_kinds import DIGITS, NETWORKS, OTHER, OWN, PLAIN, THIRD, cluster, node, planned

from advisor.errors import RunError
from advisor.plans.execution import Execution
from advisor.serial import from_plain, to_plain
from cli.workflows.forecast.cluster.kinds import Cluster, KindOfNode, kinds_of
from cli.workflows.forecast.cluster.measuring import profiled_kind
from cli.workflows.forecast.cluster.on_node import NodeTask, fingerprint_of_node
from cli.workflows.runs.cluster import execution
from cli.workflows.runs.cluster.execution import train_alike
from cli.workflows.runs.steps.accounting import ELSEWHERE
from db.session import open_store
from profiler.device import fingerprint
from trainer.execution.cluster.address import ClusterAddress


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "home" / "advisor.db") as opened:
        yield opened


def test_a_node_has_a_slot_for_the_threads_of_a_plan_and_on_cuda_for_a_gpu_as_well():
    kind = KindOfNode("rack", OWN, (node(8, 2), node(3, 4), node(1)))
    two = Execution(device="cpu", processes=1, threads=2, dtype="float32", memory_format="contiguous")
    assert kind.slots(replace(two, threads=1)) == (8, 3, 1)
    assert kind.slots(two) == (4, 1)
    assert kind.slots(replace(two, device="cuda")) == (2, 1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_node_of_the_kind_of_this_machine_has_its_fingerprint_under_all_settings(dtype):
    settings = replace(PLAIN, dtype=dtype, memory_format="contiguous")
    assert KindOfNode("own", OWN, ()).machine(settings, "crops") == fingerprint(settings, "crops")


def test_nodes_are_of_one_kind_if_their_fingerprints_are_equal_and_failures_are_a_line_each():
    machines = {"1": OWN, "2": OTHER, "3": OWN}
    failure = "node 4 (d): no such instrument"

    def ask(nodes, question, device):
        assert (question, device) == (fingerprint_of_node, "cpu")
        return {
            each.id: json.dumps(to_plain(machines[each.id])) if each.id in machines else ValueError(failure)
            for each in nodes
        }

    there = [SimpleNamespace(id=name, name=name, cores=1, gpus=0) for name in "1234"]
    head = SimpleNamespace(id="0", name="0", cores=0, gpus=0)
    survey = SimpleNamespace(nodes=[head, *there], objections=["node 5 is old"], seen=frozenset(), ask=ask)
    found = kinds_of(survey, ClusterAddress("head:6379"), "cpu")
    assert [[each.id for each in kind.nodes] for kind in found.kinds] == [["1", "3"], ["2"]]
    assert found.problems == ("node 5 is old", failure)


@pytest.mark.parametrize(
    ("nodes", "processes", "belongs"),
    [
        ({"own": [2]}, 2, True),
        # Full nodes, as many steps on each as the plan has on this machine.
        ({"own": [2, 2]}, 2, True),
        # Three steps beside each other, not two.
        ({"own": [3]}, 2, False),
        # Some nodes have one step and some have two, and nobody knows which.
        ({"own": [2, 2, 2]}, 2, False),
        ({"own": [2], "other": [2]}, 2, False),
        ({}, 2, False),
    ],
)
def test_seconds_of_nodes_are_those_of_this_machine_where_they_train_as_it_does(nodes, processes, belongs):
    plan = replace(planned("4xmlp-1-8"), execution=replace(PLAIN, processes=processes))
    found = cluster(**nodes)
    machines = {kind.machine(plan.execution).digest for kind in found.kinds}
    assert (machines == {fingerprint(plan.execution).digest} and train_alike(found, plan)) is belongs


def test_kinds_with_one_processor_have_different_names():
    older = replace(OWN, torch="2.0")
    machines = {"1": OWN, "2": older}
    survey = SimpleNamespace(
        nodes=[SimpleNamespace(id=name, name=name, cores=1, gpus=0) for name in "12"],
        objections=[],
        seen=frozenset(),
        ask=lambda nodes, *asked: {each.id: json.dumps(to_plain(machines[each.id])) for each in nodes},
    )
    names = [kind.name for kind in kinds_of(survey, ClusterAddress("head:6379"), "cpu").kinds]
    assert len(set(names)) == 2
    assert any("torch 2.0" in name for name in names)


@pytest.mark.parametrize(("count", "measured_again"), [(0, True), (3, True), (12, False)])
def test_a_kind_is_measured_while_too_few_of_its_measurements_are_known(store, count, measured_again):
    shapes = [(network, batch) for network in NETWORKS for batch in (16, 32)]
    known = [step_of(network, DIGITS.task, batch, OTHER) for network, batch in shapes[:count]]
    for measurement in known:
        store.add_measurement(replace(measurement, spent_seconds=0.1))
    new, tasks = step_of("mlp-3-8", DIGITS.task, 32, OTHER), []

    def on_one(kind, task):
        tasks.append(task)
        return "node 1", [new]

    kind = KindOfNode("other", OTHER, (node(1),))
    found = profiled_kind(kind, planned(), 60.0, store, on_one)
    assert bool(tasks) is measured_again
    assert (found.measurements_reused, found.measurements_new) == (count, int(measured_again))
    assert (new in store.measurements(OTHER.digest)) is measured_again
    assert store.measurements(OWN.digest) == []
    for task in tasks:
        # It travels as JSON.
        assert from_plain(NodeTask, json.loads(json.dumps(to_plain(task)))) == task
        assert len(task.known) == count


def test_a_kind_whose_time_is_spent_is_not_measured_again_and_one_that_fails_says_so(store):
    for network in NETWORKS[:3]:
        store.add_measurement(replace(step_of(network, DIGITS.task, 32, OTHER), spent_seconds=20.0))
    kind = KindOfNode("other", OTHER, (node(1),))
    assert profiled_kind(kind, planned(), 60.0, store, pytest.fail).measurements_new == 0
    failed = profiled_kind(
        KindOfNode("third", THIRD, (node(1),)), planned(), 60.0, store, lambda *asked: None
    )
    assert (failed.failed, failed.measured_on) == (True, None)


@pytest.mark.parametrize(
    ("nodes", "joins", "elsewhere"),
    [({"own": [1]}, False, 0), ({"own": [1]}, True, 1), ({"other": [1]}, False, 1)],
)
def test_seconds_of_a_run_belong_to_no_machine_if_a_node_is_or_may_be_of_another_kind(
    monkeypatch, nodes, joins, elsewhere
):
    plan, stored, asked = planned(), [], []
    run = SimpleNamespace(id=3, plan=plan, fingerprint=fingerprint(plan.execution).digest)
    store = SimpleNamespace(set_fingerprint=lambda *given: stored.append(given))

    def executed(plan, files, data, tell, stop, address):
        asked.extend([stop(), stop(), address.address])
        return {}

    monkeypatch.setattr(Cluster, "kinds_to_train", lambda self, device: cluster(**nodes))
    monkeypatch.setattr(execution, "execute", executed)
    survey = SimpleNamespace(Newcomers=lambda seen: SimpleNamespace(any=lambda: joins))
    monkeypatch.setitem(sys.modules, "trainer.execution.cluster.survey", survey)
    of_run = execution.OnCluster(Cluster(ClusterAddress("head:6379"), pytest.fail)).of_run(run, store)
    assert of_run(plan, None, None, None, lambda: False) == {}
    # A question whether to stop is answered as ever.
    assert asked == [False, False, "head:6379"]
    assert set(stored) == ({(3, ELSEWHERE)} if elsewhere else set())


def test_a_node_that_may_not_train_ends_a_training_before_it_begins_and_a_forecast_says_so_once(monkeypatch):
    said = []
    found = Cluster(ClusterAddress("head:6379"), said.append)
    old = replace(cluster(own=[1]), problems=("node 5 is old",))
    monkeypatch.setattr(found, "_asked", lambda device: found._known.setdefault(device, old))
    with pytest.raises(RunError, match="node 5 is old"):
        found.kinds_to_train("cpu")
    assert said == []
    another = Cluster(ClusterAddress("head:6379"), said.append)
    monkeypatch.setattr(another, "_asked", lambda device: another._known.setdefault(device, old))
    assert another.kinds("cpu") == another.kinds("cpu") == old
    assert said == ["node 5 is old"]
