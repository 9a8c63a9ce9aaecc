"""Plans on nodes whose measurements are at hand: figures, what stands in for missing ones, what is said."""

from __future__ import annotations

import json
import sys
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
from measured import step_of

from advisor.cost.measurement import Measurement
from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.serial import from_plain, to_plain
from cli.workflows.forecast.cluster.by_kind import cluster_forecast
from cli.workflows.forecast.cluster.kinds import Cluster, ClusterKinds, KindOfNode, kinds_of
from cli.workflows.forecast.cluster.measuring import profiled_kind
from cli.workflows.forecast.cluster.on_node import NodeTask, fingerprint_of_node
from cli.workflows.forecast.cluster.prices import UNMEASURED_FACTOR
from cli.workflows.forecast.forecasting import forecast_plan
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.home import Home
from cli.workflows.runs.cluster.execution import train_alike
from db.session import open_store
from profiler.device import fingerprint
from trainer.execution.cluster.address import ClusterAddress

DIGITS = DATASETS["digits"]
PLAIN = plain_execution("cpu")
OWN = fingerprint(PLAIN, "")
OTHER, THIRD = (replace(OWN, device_name=name) for name in ("Other, 8 cores", "Third, 8 cores"))
NETWORKS = [f"mlp-{depth}-{width}" for depth in (1, 2) for width in (4, 8, 16)]


def planned(design="2xmlp-1-8"):
    # However many cores the machine at hand has, the plan itself trains one network at a time.
    return make_plan(
        parse_design(design), DIGITS, epochs=4, batch=32, seed=0, execution=replace(PLAIN, processes=1)
    )


def slowed(m: Measurement, factor: float) -> Measurement:
    times = {f.name for f in fields(m) if f.name.endswith("_seconds") and getattr(m, f.name) is not None}
    layers = tuple(
        replace(
            layer,
            forward_seconds=factor * layer.forward_seconds,
            backward_seconds=factor * layer.backward_seconds,
            inference_seconds=factor * layer.inference_seconds,
        )
        for layer in m.layers
    )
    return replace(m, layers=layers, **{name: factor * getattr(m, name) for name in times})


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "home" / "advisor.db") as opened:
        yield opened


@pytest.fixture
def measured(store):
    def put(machine, factor=1.0):
        for network in NETWORKS:
            for batch in (16, 32):
                store.add_measurement(slowed(step_of(network, DIGITS.task, batch, machine), factor))

    return put


def node(cores, gpus=0):
    return SimpleNamespace(id=f"{cores}", name=f"node {cores}", cores=cores, gpus=gpus)


def cluster(**nodes):
    """Nodes with so many cores by their kind: own, other or third."""
    machines = {"own": OWN, "other": OTHER, "third": THIRD}
    kinds = tuple(
        KindOfNode(machines[name].device_name, machines[name], tuple(map(node, cores)))
        for name, cores in nodes.items()
    )
    return ClusterKinds(ClusterAddress("head:6379"), kinds, (), frozenset())


def test_every_kind_of_node_has_the_seconds_of_its_own_measurements(store, measured):
    measured(OWN)
    measured(OTHER, 2.0)
    plan = planned()
    found = forecast_plan(plan, store, nodes=cluster(own=[1], other=[1]))
    answer = cluster_forecast(plan, found.cluster)
    own, other = answer.kinds
    assert (answer.slots, answer.used, own.measurements) == (2, 2, 12)
    assert other.steps_seconds.mean == pytest.approx(2 * own.steps_seconds.mean, rel=0.05)
    # Two equal members, one on each: the slower one ends the training. This machine trains them in turn.
    assert found.priced.train_seconds.mean == pytest.approx(other.steps[0].seconds.mean)
    assert other.train_seconds_without.mean == pytest.approx(own.steps_seconds.mean)
    here = forecast_plan(plan, store).priced
    assert here.train_seconds.mean == pytest.approx(own.steps_seconds.mean)
    # The evaluation and memory stay on this machine.
    assert found.priced.steps[-1] == here.steps[-1]
    assert found.priced.train_peak_bytes == here.train_peak_bytes
    (line,) = found.cluster.lines(plan)
    assert line.startswith("the slowest kind of node is Other, 8 cores (1 node), whose steps take ")
    assert f"without it training would take {own.steps_seconds.mean:.3g} s, not" in line
    assert found.evidence.measurements == 24


def test_a_kind_that_was_never_measured_has_the_figures_of_this_machine_with_wider_intervals(store, measured):
    measured(OWN)
    plan = planned("mlp-1-8")
    here = forecast_plan(plan, store).priced.train_seconds
    found = forecast_plan(plan, store, nodes=cluster(third=[4, 4]))
    assert found.priced.train_seconds.mean == pytest.approx(here.mean)
    assert found.priced.train_seconds.high > UNMEASURED_FACTOR * here.mean
    assert found.priced.train_seconds.low < here.mean / UNMEASURED_FACTOR
    (line,) = found.cluster.lines(plan)
    assert "Third, 8 cores (2 nodes) was never measured: its times are those of this machine" in line
    assert "`advisor profile mlp-1-8 --dataset digits --cluster head:6379` measures each kind once" in line
    assert cluster_forecast(plan, found.cluster).kinds[0].measurements == 0


def test_a_machine_without_measurements_prices_by_those_of_the_nodes(store, measured):
    measured(OTHER)
    plan = planned("mlp-1-8")
    assert forecast_plan(plan, store).priced is None
    found = forecast_plan(plan, store, nodes=cluster(other=[4], third=[1]))
    assert found.priced.train_peak_bytes.mean > 0
    assert "its times are those of Other, 8 cores" in found.cluster.lines(plan)[0]


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ({"third": [2]}, "no kind of node of the cluster was ever measured, so there is no forecast"),
        ({}, "no node of the cluster has a slot for the plan yet"),
    ],
)
def test_without_any_measurements_there_is_no_forecast_and_a_line_says_why(store, nodes, words):
    plan = planned()
    found = forecast_plan(plan, store, nodes=cluster(**nodes))
    assert found.priced is None
    assert found.forecast.train_seconds is None
    assert found.forecast.test_error is not None
    (line,) = found.cluster.lines(plan)
    assert words in line
    assert cluster_forecast(plan, found.cluster).kinds == ()


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


@pytest.fixture
def mixed(monkeypatch, home):
    """A cluster of two kinds, one twice as slow as the other, as `--cluster head:6379` finds it."""
    with open_store(Home(home).database) as opened:
        for machine, factor in ((OWN, 1.0), (OTHER, 2.0)):
            for network in NETWORKS:
                for batch in (16, 32):
                    opened.add_measurement(slowed(step_of(network, DIGITS.task, batch, machine), factor))
    monkeypatch.setattr(Cluster, "kinds", lambda self, device: cluster(own=[1], other=[1]))


def test_explain_has_the_steps_on_each_kind_and_their_places(mixed, advisor):
    asked = ("explain", "3xmlp-1-8", "--dataset", "digits", "--epochs", "4", "--cluster", "head:6379")
    answer = advisor(*asked, "--json").json
    own, other = answer["cluster"]["kinds"]
    assert [step["step"] for step in other["steps"]] == [f"train member-{n}" for n in (1, 2, 3)]
    # The first slot is of the faster kind: its second step begins when the first has ended.
    spans = [step["predicted_span_seconds"] for step in answer["steps"][:3]]
    assert [span["slots"] for span in spans] == [[1], [2], [1]]
    assert spans[2]["start"] == pytest.approx(own["steps"][0]["seconds"]["mean"])
    assert answer["predicted"]["energy_joules"] is None
    shown = advisor(*asked).out
    assert "kind of node" in shown
    assert "2 at a time" in shown
    assert "the slowest kind of node is Other" in shown
    assert "this machine" not in shown


@pytest.mark.slow
def test_advice_is_priced_for_the_nodes_and_says_so(mixed, advisor):
    asked = ("recommend", "--budget", "3k", "--family", "mlp", "--epochs", "2", "--dataset", "digits")
    asked = (*asked, "--trials", "5", "--profile-seconds", "0", "--probe", "0", "--cluster", "head:6379")
    found = advisor(*asked, "--json")
    assert [kind["slots"] for kind in found.json["cluster"]["kinds"]] == [1, 1]
    first = found.json["recommendations"][0]
    assert "the slowest kind of node is Other" in found.err
    explained = advisor("explain", "--cluster", "head:6379", "--json").json
    assert explained["predicted"]["train_seconds"] == first["predicted"]["train_seconds"]
    assert "Times are those of the cluster head:6379: 2 slots on 2 kinds of nodes" in advisor(*asked).out


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


@pytest.fixture
def without_ray(monkeypatch):
    """A machine on which Ray is not installed, however much of it was imported before."""
    for name in [*sys.modules]:
        if name.split(".")[0] == "ray" or name.startswith("trainer.execution.cluster."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "mlp-1-8", "--dataset", "digits", "--epochs", "2"),
        ("profile", "mlp-1-8", "--dataset", "digits"),
        ("train", "mlp-1-8", "--dataset", "digits", "--epochs", "2"),
        ("recommend", "--budget", "8k", "--epochs", "2", "--dataset", "digits", "--probe", "0"),
    ],
)
def test_without_ray_a_cluster_is_one_line_and_nothing_is_stored(without_ray, advisor, home, command):
    refused = advisor(*command, "--cluster", "auto")
    assert refused.code == 2
    assert refused.error_line.endswith("--cluster needs Ray: pip install 'ensemble-advisor[cluster]'")
    assert not list(home.glob("runs/*"))


def test_explain_needs_ray_for_a_cluster_only(without_ray, advisor):
    found = advisor("explain", "mlp-1-8", "--dataset", "digits", "--epochs", "2", "--json")
    assert found.code == 0, found.err
    assert found.json["cluster"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("profile",), "name a network"),
        (("profile", "mlp-1-8", "--profile-seconds", "5"), "add --cluster auto|ADDRESS"),
        (("profile", "mlp-1-8", "--cluster", "auto", "--csv", "x.csv"), "leave it or --cluster out"),
        (("profile", "mlp-1-8", "--cluster", "auto", "--profile-seconds", "0"), "must be positive, got 0"),
        (("explain", "3", "--cluster", "auto"), "a run has the forecast of its beginning"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_one_line(advisor, arguments, words):
    refused = advisor(*arguments)
    assert refused.code == 2
    assert words in refused.error_line
