"""Charts of runs: what is drawn of an answer, by counting marks."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from recorded_runs import DIGITS, record_run

from advisor.conformal import Quantity
from advisor.estimate import Estimate
from advisor.plans.method_traits import Method
from advisor.plans.plan import Role
from advisor.plans.records import RunStatus
from cli.web.charts.forecast_history import MOST_POINTS, forecast_history_chart, sampled
from cli.web.charts.run_comparison import comparison_chart
from cli.web.charts.run_curves import run_curves_chart
from cli.workflows.answers.examine.forecast_history import ForecastHistory, PastForecast
from cli.workflows.answers.examine.parts import QuantityCoverage
from cli.workflows.answers.runs.curves import CurvePoint, EnsemblePoint, NetworkCurve, RunCurves, RunProgress
from cli.workflows.home import Home
from cli.workflows.runs.comparison import compare_runs
from cli.workflows.runs.watching.curves import curves_of_runs
from db.session import open_store

TODAY = date(2026, 11, 29)
HOSTILE = "<img src=x onerror=alert(1)>"


def network(name, role, mother, start, errors, cluster=1):
    points = tuple(
        CurvePoint(epoch=start + i, validation_error=error, train_error=error, seconds=1.0)
        for i, error in enumerate(errors, 1)
    )
    return NetworkCurve(
        name=name,
        network="mlp-1-8",
        role=role,
        mother=mother,
        cluster=cluster,
        start=start,
        planned_epochs=len(errors),
        points=points,
    )


CURVES = RunCurves(
    run=7,
    design="2xmlp-1-8@g1",
    method=Method.MOTHERNETS,
    dataset=HOSTILE,
    status=RunStatus.RUNNING,
    epochs=3,
    device="cpu",
    validation_images=100,
    networks=(
        network("mother-1", Role.MOTHER, None, 0, [0.8, 0.4, 0.2]),
        network("member-1", Role.MEMBER, "mother-1", 3, [0.15, 0.1]),
        network("member-2", Role.MEMBER, "mother-1", 3, [0.13, 0.0]),
    ),
    ensemble=(
        EnsemblePoint(epoch=4, mean_member_error=0.14, validation_error=None, disagreement=0.06),
        EnsemblePoint(epoch=5, mean_member_error=0.05, validation_error=None, disagreement=0.04),
    ),
    predicted_test_error=Estimate(0.06, 0.03, 0.09),
    test_error=None,
    progress=RunProgress(
        epochs_done=7, epochs_planned=8, seconds_spent=7.0, seconds_left=Estimate(1.0, 0.5, 2.0)
    ),
)


def values_of(specification, layer):
    return list(specification["datasets"][layer["data"]["name"]])


def layers_of(panel, kind):
    return [layer for layer in panel["layer"] if layer["mark"]["type"] == kind]


def test_a_run_is_drawn_with_its_hatching_its_forecast_and_its_disagreement():
    drawn = run_curves_chart(CURVES, TODAY).to_dict()
    upper, lower = drawn["vconcat"]
    curves, mean = (values_of(drawn, layer) for layer in layers_of(upper, "line"))
    # Every member begins at the last point of its mother.
    assert [row["epoch"] for row in curves if row["network"] == "member-1"] == [3, 4, 5]
    assert [row["error"] for row in curves if row["network"] == "mother-1"] == [80, 40, 20]
    assert [row["error"] for row in mean] == [14, 5]
    assert {row["line"] for row in mean} == {"mean of members"}
    # No error at all is half an image of 100.
    assert min(row["error"] for row in curves) == 0.5
    (band,) = layers_of(upper, "rect")
    assert [(r["error"], r["high"]) for r in values_of(drawn, band)] == [(3, 9)]
    rules = [values_of(drawn, layer) for layer in layers_of(upper, "rule")]
    assert [row for rows in rules for row in rows if "text" in row] == [{"epoch": 3, "text": "hatching"}]
    (below,) = layers_of(lower, "line")
    assert [(r["epoch"], r["share"]) for r in values_of(drawn, below)] == [(4, 6), (5, 4)]
    assert mean_axis(upper)["title"] == "validation error, %"
    assert mean_axis(upper)["scale"]["type"] == "log"
    words = " ".join(drawn["title"]["subtitle"])
    assert all(part in words for part in (HOSTILE, "cpu", "2026-11-29", "running", "1 s left", "hatching"))


def test_the_error_of_the_ensemble_is_drawn_where_it_is_known():
    ensemble = tuple(
        EnsemblePoint(epoch=4 + i, mean_member_error=0.14, validation_error=error, disagreement=0.06)
        for i, error in enumerate((0.1, None, 0.04))
    )
    drawn = run_curves_chart(replace(CURVES, ensemble=ensemble), TODAY).to_dict()
    _, line = (values_of(drawn, layer) for layer in layers_of(drawn["vconcat"][0], "line"))
    assert line == [
        {"line": "ensemble", "epoch": 4, "error": 10},
        {"line": "ensemble", "epoch": 6, "error": 4},
    ]


def mean_axis(panel):
    return layers_of(panel, "line")[0]["encoding"]["y"]


def test_a_finished_run_has_its_test_error_and_nothing_is_left_of_it():
    done = replace(CURVES, status=RunStatus.DONE, test_error=0.07)
    drawn = run_curves_chart(done, TODAY).to_dict()
    rules = [values_of(drawn, layer) for layer in layers_of(drawn["vconcat"][0], "rule")]
    assert [{"line": "test error, actual", "error": pytest.approx(7)}] in rules
    assert "left" not in " ".join(drawn["title"]["subtitle"])


def test_a_run_without_epochs_says_so():
    networks = tuple(replace(n, points=()) for n in CURVES.networks)
    drawn = run_curves_chart(replace(CURVES, networks=networks, ensemble=()), TODAY).to_dict()
    (panel,) = drawn["vconcat"]
    words = [values_of(drawn, layer)[0]["text"] for layer in layers_of(panel, "text")]
    assert words == ["hatching", "no epoch yet"]


def test_many_long_curves_are_thinned_to_three_thousand_points():
    networks = tuple(
        network(f"member-{i}", Role.MEMBER, None, 0, [0.5] * 500, cluster=i) for i in range(1, 101)
    )
    drawn = run_curves_chart(replace(CURVES, networks=networks, ensemble=()), TODAY).to_dict()
    (line,) = layers_of(drawn["vconcat"][0], "line")
    rows = values_of(drawn, line)
    assert 2500 <= len(rows) <= 3000
    own = [row["epoch"] for row in rows if row["network"] == "member-7"]
    assert (own[0], own[-1]) == (1, 500)


def past(run, quantity=Quantity.TIME, inside=True):
    return PastForecast(
        run=run,
        design=HOSTILE,
        dataset=HOSTILE,
        quantity=quantity,
        predicted=Estimate(60.0, 30.0, 90.0),
        actual=80.0 if inside else 200.0,
        inside=inside,
    )


HISTORY = ForecastHistory(
    forecasts=(*(past(i) for i in range(28)), past(28, inside=False), past(29, inside=False)),
    coverage=(QuantityCoverage(quantity=Quantity.TIME, forecasts=30, inside=28),),
    runs=30,
    machines=1,
    devices=("cpu",),
)


def test_the_history_has_a_panel_for_each_quantity_with_its_coverage():
    drawn = forecast_history_chart(HISTORY, TODAY).to_dict()
    assert [panel["title"]["text"] for panel in drawn["hconcat"]] == [
        "training time: 28 of 30 inside",
        "memory to train: none finished",
        "test error: none finished",
    ]
    (points,) = layers_of(drawn["hconcat"][0], "point")
    rows = values_of(drawn, points)
    assert [row["held"] for row in rows].count("outside") == 2
    assert {(row["actual"], row["predicted"], row["low"], row["high"]) for row in rows} == {
        (80, 60, 30, 90),
        (200, 60, 30, 90),
    }
    x, y = (points["encoding"][axis] for axis in "xy")
    assert (x["title"], y["title"]) == ("actual training time", "predicted training time")
    # Both axes are the same, so the diagonal is where outcomes are as predicted.
    assert x["scale"] == y["scale"]
    assert x["scale"]["type"] == "log"
    assert "1 machine (cpu)" in " ".join(drawn["title"]["subtitle"])


def test_of_many_forecasts_all_that_did_not_hold_are_drawn():
    many = [past(i, inside=i % 100 != 0) for i in range(10_000)]
    drawn = sampled(many)
    assert len(drawn) == MOST_POINTS
    assert sum(not f.inside for f in drawn) == 100
    assert len(sampled([past(i, inside=False) for i in range(4000)])) == MOST_POINTS
    assert len(sampled(many[:50])) == 50


@pytest.fixture
def runs(home):
    """Store three seeds of one design, and one of another."""
    with open_store(Home(home).database) as store:
        for seed, (error, seconds) in enumerate(((0.10, 20.0), (0.12, 24.0), (0.11, 22.0))):
            last = 0.2 + 0.1 * seed
            record_run(
                store, "mlp-1-8", {"member-1": [0.5, last]}, seed=seed, error=error, seconds=seconds, epochs=2
            )
        record_run(store, "mlp-1-9", {"member-1": [0.4, 0.3]}, error=0.2, seconds=50.0, epochs=2)
    return Home(home)


def test_groups_have_their_means_with_intervals_beside_single_runs(runs):
    answer = compare_runs(runs, ["1", "2", "3", "4"])
    drawn = comparison_chart(answer, TODAY, curves_of_runs(runs, [1, 2, 3, 4])).to_dict()
    (errors, times), curves = drawn["vconcat"][0]["hconcat"], drawn["vconcat"][1]
    intervals = values_of(drawn, layers_of(errors, "rule")[0])
    assert [row["group"] for row in intervals] == ["runs 1–3: mlp-1-8", "run 4: mlp-1-9"]
    # s = 0.01, Student's t of two degrees of freedom 2.91999: 11 ± 1.6859 %.
    assert [intervals[0][k] for k in ("value", "low", "high")] == pytest.approx(
        [11, 9.3141, 12.6859], abs=1e-3
    )
    single = values_of(drawn, layers_of(errors, "point")[0])
    assert [(row["run"], row["value"]) for row in single] == [
        (1, pytest.approx(10)),
        (2, pytest.approx(12)),
        (3, pytest.approx(11)),
        (4, pytest.approx(20)),
    ]
    assert len(values_of(drawn, layers_of(times, "rule")[0])) == 1
    assert len(values_of(drawn, layers_of(times, "point")[0])) == 4
    # All its layers are of the same rows.
    learned = values_of(drawn, curves)
    assert [(r["group"], r["epoch"], r["value"]) for r in learned] == [
        ("runs 1–3: mlp-1-8", 1, 50),
        ("runs 1–3: mlp-1-8", 2, 30),
        ("run 4: mlp-1-9", 1, 40),
        ("run 4: mlp-1-9", 2, 30),
    ]
    assert (learned[0]["low"], learned[0]["high"]) == (50, 50)
    assert learned[1]["low"] < 30 < learned[1]["high"]


def test_pictures_are_written_by_the_commands(runs, advisor):
    assert advisor("runs", "show", "1", "--plot", "curves.svg").code == 0
    assert advisor("runs", "compare", "1", "2", "3", "4", "--plot", "runs.svg", "--json").json["groups"][0][
        "test_error_mean"
    ]["value"]["mean"] == pytest.approx(0.11)
    for name, words in (("curves.svg", "Run 1: mlp-1-8"), ("runs.svg", "4 runs in 2 groups of seeds")):
        with open(name) as file:
            text = file.read()
        assert text.startswith("<svg")
        assert words in text


def test_names_of_others_are_text_in_a_picture(home, advisor):
    with open_store(Home(home).database) as store:
        facts = replace(DIGITS, name=f"folder:{HOSTILE}")
        record_run(store, "mlp-1-8", {"member-1": [0.5, 0.4]}, epochs=2, facts=facts, error=0.1)
    assert advisor("runs", "show", "1", "--plot", "curves.svg").code == 0
    with open("curves.svg") as file:
        text = file.read()
    assert "<img" not in text
    assert "&lt;img" in text
