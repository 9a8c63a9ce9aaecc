"""A single network and the ensembles of its size, on a machine with a few made-up measurements."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from measured import home_with_steps
from rich.console import Console

from advisor.designs.equivalents import equivalents
from advisor.networks.architecture import lower, parse_network
from advisor.plans.dataset import dataset_named
from cli.render.examine.class_comparison import class_comparison, words
from cli.web.charts.class_comparison import class_comparison_chart
from cli.workflows.answers.examine.class_comparison import ComparedKind
from cli.workflows.examine.explain import explain
from cli.workflows.examine.sweeps.class_comparison import compare_classes
from cli.workflows.forecast import machine
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.home import Home

DIGITS = dataset_named("digits")
NETWORK = "resnet-20-12"
REQUEST = PlanRequest(target=NETWORK, dataset="digits", epochs=20)
NOWHERE = Home(Path("/nowhere/at/all"))


@pytest.fixture(scope="module", autouse=True)
def two_cores():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "usable_cores", lambda: 2)
        yield


@pytest.fixture(scope="module")
def measured_home(tmp_path_factory):
    networks = ("resnet-8-4", "resnet-14-4", "resnet-20-4", "resnet-8-12")
    return home_with_steps(tmp_path_factory.mktemp("measured"), DIGITS.task, networks)


@pytest.fixture(scope="module")
def answer(measured_home):
    return compare_classes(REQUEST, 2, 0.0, 0.9, measured_home)


def by_kind(answer):
    return {design.kind: design for design in answer.designs}


def test_the_designs_are_the_equivalents_and_one_that_is_at_least_as_good(answer):
    found = by_kind(answer)
    assert list(found) == list(ComparedKind)
    expected = equivalents(parse_network(NETWORK), 2, DIGITS.task)
    assert found[ComparedKind.WIDTH_EQUIVALENT].design == f"2x{expected.width_equivalent.name}"
    assert found[ComparedKind.DEPTH_EQUIVALENT].design == f"2x{expected.depth_equivalent.name}"
    best, single = found[ComparedKind.BEST], found[ComparedKind.SINGLE]
    assert best.parameters == 2 * lower(parse_network(best.design[2:]), DIGITS.task).parameters
    assert best.parameters <= single.parameters
    for kind in (ComparedKind.WIDTH_EQUIVALENT, ComparedKind.DEPTH_EQUIVALENT):
        assert best.test_error.mean <= found[kind].test_error.mean * 1.01


def test_a_design_has_the_figures_that_explain_has(answer, measured_home):
    deq = by_kind(answer)[ComparedKind.DEPTH_EQUIVALENT]
    request = PlanRequest(target=deq.design, dataset="digits", epochs=20)
    predicted = explain(request, 0.9, measured_home).predicted
    assert (deq.test_error, deq.epoch_seconds, deq.cost_usd) == (
        predicted.test_error,
        predicted.epoch_seconds,
        predicted.cost_usd,
    )
    assert deq.inference_ms_per_image == predicted.inference_ms_per_image
    assert deq.train_peak_bytes == predicted.train_peak_bytes


def test_designs_that_train_to_convergence_have_the_expected_epochs_that_explain_has(measured_home):
    request = replace(REQUEST, patience=4)
    answer = compare_classes(request, 2, 0.0, None, measured_home)
    assert answer.plan.patience == 4
    deq = by_kind(answer)[ComparedKind.DEPTH_EQUIVALENT]
    explained = explain(replace(request, target=deq.design), None, measured_home)
    predicted = explained.predicted
    assert (deq.train_seconds, deq.test_error) == (predicted.train_seconds, predicted.test_error)
    single = explain(request, None, measured_home).steps[0].converging_epochs
    assert single.mean < 20
    # The single network is as accurate as itself after its last epoch.
    assert answer.single.epochs_to_single_error.median == pytest.approx(single.mean)


@pytest.mark.parametrize("option", [("--recipe", "ours"), ("--until-converged",), ("--patience", "4")])
def test_recipe_and_patience_are_for_forecasts(advisor, option):
    refused = advisor("equivalents", NETWORK, *option)
    assert refused.code == 2
    assert f"{option[0]} is for forecasts: add --compare" in refused.error_line


def test_the_command_takes_recipe_and_patience(advisor, home, measured_home):
    shutil.copytree(measured_home.path, home)
    options = ("--dataset", "digits", "--members", "2", "--recipe", "published", "--patience", "4")
    plan = advisor("equivalents", NETWORK, "--compare", *options, "--json").json["plan"]
    assert (plan["recipe"], plan["patience"], plan["batch"]) == ("published", 4, 256)


def test_an_epoch_is_the_layers_times_the_time_of_a_layer(answer):
    for design in answer.designs:
        assert design.layers == design.members * design.depth
        assert design.layers * design.seconds_per_layer.mean == pytest.approx(design.epoch_seconds.mean)


def test_the_single_network_reaches_its_own_error_at_its_last_epoch(answer):
    single = answer.single
    assert single.epochs_to_single_error.median == 20
    assert single.seconds_to_single_error.median == pytest.approx(20 * single.epoch_seconds.mean, rel=0.05)
    for design in answer.designs[1:]:
        reached = design.epochs_to_single_error
        if reached.median is not None:
            assert (reached.median <= 20) is (design.test_error.mean <= single.test_error.mean * 1.05)


def test_both_beat_it_where_each_is_likelier_and_the_chance_of_both_is_below_that_of_each(answer):
    found = by_kind(answer)
    chances = [
        found[kind].probability_less_error
        for kind in (ComparedKind.WIDTH_EQUIVALENT, ComparedKind.DEPTH_EQUIVALENT)
    ]
    assert answer.both_beat_single is (min(chances) >= 0.5)
    both = answer.probability_both_beat_single
    assert chances[0] * chances[1] - 0.01 <= both <= min(chances) + 0.01


def test_the_picture_has_two_to_sixteen_members_of_every_class(answer):
    assert {d.members for d in answer.by_members} <= set(range(2, 17))
    deq = [d for d in answer.by_members if d.kind is ComparedKind.DEPTH_EQUIVALENT]
    assert [d.members for d in deq] == list(range(2, 17))
    drawn = class_comparison_chart(answer, date(2026, 11, 29)).to_dict()
    panels = [panel for row in drawn["vconcat"] for panel in row["hconcat"]]
    titles = [panel["title"] for panel in panels]
    assert titles[0] == "test error, %"
    assert {"an epoch of every member", "memory to train"} <= set(titles)
    points = drawn["datasets"][panels[0]["layer"][-1]["data"]["name"]]
    assert {(p["class"], p["members"]) for p in points} >= {("depth-equivalent", k) for k in range(2, 17)}
    assert {p["class"] for p in points} >= {"width-equivalent", "best of any depth"}


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_into_a_terminal(answer, columns):
    console = Console(width=columns)
    with console.capture() as captured:
        console.print(class_comparison(answer))
    assert max(map(len, captured.get().splitlines())) <= columns
    text = " ".join(captured.get().split())
    assert "less error than the single network; chance that both have it" in text
    assert "USD: hours of training at 0.9 USD an hour." in text


def test_ensembles_that_do_not_fit_are_said_to_be_none():
    found = compare_classes(PlanRequest(target="vgg-11-1", epochs=5), 4, 0.0, None, NOWHERE)
    assert [d.kind for d in found.designs] == [ComparedKind.SINGLE]
    assert (found.both_beat_single, found.probability_both_beat_single) == (False, None)
    assert words(found) == ["No weq or deq of 4 members fits its parameters."]


def test_a_size_on_a_depth_step_is_warned_of_and_nothing_measured_is_no_cost():
    """2.24M parameters, "More or Less", appendix A."""
    found = compare_classes(PlanRequest(target="resnet-38-32", epochs=250), 4, 0.0, None, NOWHERE)
    assert (found.depth_step.depth, found.depth_step.next_depth) == (8, 14)
    console = Console(width=80)
    with console.capture() as captured:
        console.print(class_comparison(found))
    assert "weq sits on a depth step: its members have depth 8 and 53%" in " ".join(captured.get().split())
    assert all(d.epoch_seconds is None and d.cost_usd is None for d in found.designs)
    assert not NOWHERE.path.exists()
