"""Plans on nodes whose measurements are at hand: figures, what stands in for missing ones, what is said."""

from __future__ import annotations

import pytest
from node_kinds import OTHER, OWN, cluster, measure, planned

from cli.workflows.forecast.cluster.by_kind import cluster_forecast
from cli.workflows.forecast.cluster.kinds import Cluster
from cli.workflows.forecast.cluster.prices import UNMEASURED_FACTOR
from cli.workflows.forecast.forecasting import forecast_plan
from cli.workflows.home import Home
from db.session import open_store
from trainer.execution.cluster.address import ClusterAddress


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "home" / "advisor.db") as opened:
        yield opened


def test_every_kind_of_node_has_the_seconds_of_its_own_measurements(store):
    measure(store, OWN)
    measure(store, OTHER, 2.0)
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


def test_a_kind_that_was_never_measured_has_the_figures_of_this_machine_with_wider_intervals(store):
    measure(store, OWN)
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


def test_a_machine_without_measurements_prices_by_those_of_the_nodes(store):
    measure(store, OTHER)
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


@pytest.fixture
def mixed(monkeypatch, home):
    """A cluster of two kinds, one twice as slow as the other, as `--cluster head:6379` finds it."""
    with open_store(Home(home).database) as opened:
        measure(opened, OWN)
        measure(opened, OTHER, 2.0)
    monkeypatch.setattr(Cluster, "kinds", lambda self, device: cluster(own=[1], other=[1]))
    # Nobody answers there.
    monkeypatch.setattr(ClusterAddress, "check", lambda self: None)


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
