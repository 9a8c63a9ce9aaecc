"""Charts of a plan: bars computed by hand, states of networks, sums of layers, and names that do no harm."""

import time
from dataclasses import replace
from datetime import date
from functools import cache

import pytest

from advisor.designs.design import parse_design
from advisor.estimate import Estimate
from advisor.plans.dataset import dataset_named
from advisor.plans.execution import Execution
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.placement import placed
from advisor.plans.records import Forecast, PredictedStep, Run, RunStatus, StepRecord, StepStatus
from cli.web.charts.plans.explanation import explanation_chart
from cli.web.charts.plans.layer_costs import MOST_ROWS, layers_chart, rows_of
from cli.web.charts.plans.networks import networks_chart
from cli.web.charts.plans.timeline import timeline_chart
from cli.workflows.answers.examine.explanation import Explanation, PredictedTotals
from cli.workflows.answers.examine.layers import NetworkForecast, OtherParts, PredictedLayer
from cli.workflows.answers.examine.layers import PredictedStep as Step
from cli.workflows.examine.explain_run import RunProgress, explain_run
from cli.workflows.examine.plan_clusters import explained_clusters
from cli.workflows.examine.plan_networks import explained_networks
from cli.workflows.examine.plan_steps import explained_plan, explained_steps

TODAY = date(2026, 11, 29)
# Seconds of the steps of one mother and three members.
SECONDS = {
    "train mother-1": 10.0,
    "hatch member-1": 1.0,
    "train member-1": 4.0,
    "hatch member-2": 1.0,
    "train member-2": 6.0,
    "hatch member-3": 1.0,
    "train member-3": 5.0,
    "evaluate": 1.0,
}
# Both members overlap. At 15 the first one ends, and the third is hatched in its place.
BY_HAND = {
    "train mother-1": (0, 10, (1,)),
    "hatch member-1": (10, 11, (1,)),
    "hatch member-2": (10, 11, (2,)),
    "train member-1": (11, 15, (1,)),
    "train member-2": (11, 17, (2,)),
    "hatch member-3": (15, 16, (1,)),
    "train member-3": (16, 21, (1,)),
    "evaluate": (21, 22, (1,)),
}


@cache
def planned(design="3xresnet-8-4@g1", method=None, processes=2):
    return make_plan(
        parse_design(design),
        dataset_named("digits"),
        epochs=20,
        batch=32,
        seed=0,
        execution=Execution(
            device="cpu", processes=processes, threads=1, dtype="float32", memory_format="contiguous"
        ),
        options=PlanOptions(method=method),
    )


def of_plan(plan, seconds=None):
    predicted = {name: Estimate(s, s / 2, 2 * s) for name, s in (seconds or {}).items()}
    return Explanation(
        plan=explained_plan(plan, None),
        run=None,
        steps=explained_steps(plan, predicted, {}, {}, {}),
        predicted=PredictedTotals(),
        actual=None,
        deviation=None,
        layers=None,
        evidence=None,
        notes=(),
        clusters=explained_clusters(plan),
        networks=explained_networks(plan),
    )


def of_run(done, epochs=None, status=RunStatus.DONE, so_far=None, failed=()):
    """A run of one mother and three members.

    Args:
        done: seconds of the steps that ended.
        epochs: finished epochs by step.
        status: status of the run.
        so_far: seconds of these epochs by step.
        failed: steps among `done` that failed.
    """
    plan = planned()
    forecast = Forecast(
        train_seconds=(21.0, 10.0, 40.0),
        train_peak_bytes=None,
        inference_ms_per_image=None,
        test_error=None,
        steps=tuple(PredictedStep(step=n, mean=s, low=s / 2, high=2 * s) for n, s in SECONDS.items()),
    )
    run = Run(
        id=7,
        created_at="2026-11-28T10:00:00+00:00",
        status=status,
        plan=plan,
        parameters=1,
        fingerprint="",
        folder="0007",
        forecast=forecast,
        train_seconds=42.0,
        test=None,
        message="",
    )
    records = {
        name: StepRecord(
            step=name,
            network=name.split()[-1],
            status=StepStatus.FAILED if name in failed else StepStatus.DONE,
            seconds=seconds,
        )
        for name, seconds in done.items()
    }
    return explain_run(run, RunProgress(records=records, epochs=epochs or {}, seconds=so_far or {}), None)


def spans(answer, field):
    found = {step.step: getattr(step, field) for step in answer.steps}
    return {name: (s.start, s.end, s.slots) for name, s in found.items() if s is not None}


def layers_of(specification):
    """The marks of a chart, of all its panels, each with its rows."""
    for part in specification.get("hconcat", [specification]):
        for layer in part["layer"]:
            mark = layer["mark"]["type"]
            # Layers that have all the same rows have them in common.
            data = layer.get("data") or part.get("data") or specification["data"]
            yield mark, layer, specification["datasets"][data["name"]]


def rows(chart, mark, field):
    """The rows of the marks of a kind that have a field."""
    found = (rows for kind, _, rows in layers_of(chart.to_dict()) if kind == mark)
    return [row for rows in found for row in rows if field in row]


def bars(chart, figures):
    return {(r["step"], r["start"], r["end"]) for r in rows(chart, "rect", "step") if r["figures"] == figures}


def caption(chart):
    return " ".join(chart.to_dict()["title"]["subtitle"])


# Steps over time.


def test_bars_of_a_plan_begin_and_end_as_computed_by_hand():
    answer = of_plan(planned(), SECONDS)
    assert spans(answer, "predicted_span_seconds") == BY_HAND
    assert spans(answer, "actual_span_seconds") == {}
    chart = timeline_chart(answer, TODAY)
    assert bars(chart, "predicted") == {(name, start, end) for name, (start, end, _) in BY_HAND.items()}
    # The two slots are two lanes, of which the second is empty until the mother is trained.
    lanes = {row["step"]: row["top"] for row in rows(chart, "rect", "step")}
    assert lanes["train member-1"] == lanes["train mother-1"] < lanes["train member-2"]
    assert rows(chart, "text", "name") == [
        {"top": 0, "bottom": 1, "centre": 0.5, "name": "process 1"},
        {"top": 1, "bottom": 2, "centre": 1.5, "name": "process 2"},
    ]


def test_actual_bars_follow_from_the_actual_seconds_by_the_same_rule():
    # The first member takes longest, so the third takes the place of the second.
    answer = of_run(SECONDS | {"train member-1": 8.0})
    assert spans(answer, "predicted_span_seconds") == BY_HAND
    actual = spans(answer, "actual_span_seconds")
    assert actual["train member-1"] == (11, 19, (1,))
    assert actual["hatch member-3"] == (17, 18, (2,))
    assert actual["train member-3"] == (18, 23, (2,))
    chart = timeline_chart(answer, TODAY)
    assert len(bars(chart, "predicted")) == len(bars(chart, "actual")) == len(SECONDS)
    assert "beginnings follow from them by the rule that starts steps" in caption(chart)
    assert "Run 7 of 2026-11-28 (done), drawn 2026-11-29" in caption(chart)


def test_what_a_run_has_not_finished_is_light_or_missing():
    done = {name: SECONDS[name] for name in ("train mother-1", "hatch member-1", "hatch member-2")}
    answer = of_run(
        done | {"train member-1": 4.0},
        {"train mother-1": 20, "train member-1": 6, "train member-2": 3},
        RunStatus.INTERRUPTED,
        {"train mother-1": 9.5, "train member-1": 3.5, "train member-2": 2.5},
    )
    actual = spans(answer, "actual_span_seconds")
    assert set(actual) == {*done, "train member-1", "train member-2"}
    assert actual["train member-2"] == (11, 13.5, (2,))
    chart = timeline_chart(answer, TODAY)
    opacity = {r["step"]: r["opacity"] for r in rows(chart, "rect", "step") if r["figures"] == "actual"}
    assert {name for name, shown in opacity.items() if shown < 1} == {"train member-2"}
    assert "light: not finished" in caption(chart)


def test_a_step_that_failed_holds_back_what_waits_for_it():
    answer = of_run(
        {"train mother-1": 3.0, "hatch member-1": 0.0}, status=RunStatus.FAILED, failed=["train mother-1"]
    )
    assert spans(answer, "actual_span_seconds") == {"train mother-1": (0, 3, (1,))}
    assert answer.networks[0].state == "failed"


def test_where_nothing_was_measured_bars_are_as_long_as_the_expected_epochs():
    answer = of_plan(planned())
    assert spans(answer, "predicted_span_seconds") == {}
    # A mother of 20 epochs, then members of 6. Hatching takes no epoch.
    assert spans(answer, "expected_span_epochs")["train member-3"] == (26, 32, (1,))
    chart = timeline_chart(answer, TODAY)
    assert ("train member-2", 20, 26) in bars(chart, "expected")
    assert "no time is known, because nothing was measured here" in caption(chart)
    titles = [layer["encoding"].get("x", {}).get("title") for _, layer, _ in layers_of(chart.to_dict())]
    assert "expected epochs" in titles


def test_a_step_on_two_gpus_has_a_bar_on_each():
    plan = planned("resnet-8-4", processes=1)
    plan = placed(replace(plan, execution=replace(plan.execution, device="cuda")), 2)
    answer = of_plan(plan, {"train member-1": 8.0})
    assert spans(answer, "predicted_span_seconds") == {"train member-1": (0, 8, (1, 2))}
    chart = timeline_chart(answer, TODAY)
    assert [row["top"] for row in rows(chart, "rect", "step")] == pytest.approx([0.08, 1.08])
    assert [row["name"] for row in rows(chart, "text", "name")] == ["GPU 1", "GPU 2"]


# Networks.

# Their mother has 6 units: 65·6 + 7·10 parameters. The members have 65·8 + 9·10, and 65·12 + 13·6 + 7·10.
PAIR = "mlp-1-8+mlp-2-12~b1l2:1x6@g1"


def parts(chart):
    return [
        (r["network"].split(":")[0], r["part"], r["start"], r["end"]) for r in rows(chart, "rect", "part")
    ]


def test_bars_of_hatched_networks_are_the_mothers_parameters_and_what_hatching_added():
    answer = of_plan(planned(PAIR))
    mother, first, second = answer.networks
    assert (mother.parameters, first.parameters, second.parameters) == (460, 610, 928)
    assert (mother.source, first.source, second.inherited_parameters) == (None, "mother-1", 460)
    assert (mother.distance, first.distance, second.distance) == (None, 1, 2)
    shares = [member.mother_share for member in answer.clusters[0].members]
    assert [n.inherited_parameters / n.parameters for n in (first, second)] == pytest.approx(shares)
    chart = networks_chart(answer, TODAY)
    assert parts(chart) == [
        ("mother-1", "the mother's", 0, 460),
        ("member-1", "the mother's", 0, 460),
        ("member-1", "added by hatching", 460, 610),
        ("member-2", "the mother's", 0, 460),
        ("member-2", "added by hatching", 460, 928),
    ]
    assert {"610, distance 1", "928, distance 2"} <= {r["figures"] for r in rows(chart, "text", "figures")}
    # One line from the mother down to her last member, and an arrow to each.
    (trunk,) = [r for r in rows(chart, "rule", "end")][:1]
    assert (trunk["y"], trunk["end"]) == (0.5, 2.5)
    assert [r["y"] for r in rows(chart, "point", "y")] == [1.5, 2.5]


@pytest.mark.parametrize(
    ("design", "method", "expected"),
    [
        ("mlp-1-8", None, [("member-1", "network from scratch", 0, 610)]),
        ("2xmlp-1-8", None, [(f"member-{i}", "network from scratch", 0, 610) for i in (1, 2)]),
        (
            "2xmlp-1-8",
            "snapshot",
            [(f"member-{i}", "passed on from copy to copy", 0, 610) for i in (1, 2)],
        ),
        (
            "2xmlp-1-8",
            "distillation",
            [
                ("teacher", "teacher", 0, 610),
                *((f"member-{i}", "network from scratch", 0, 610) for i in (1, 2)),
            ],
        ),
    ],
)
def test_networks_of_other_methods_are_plain_bars(design, method, expected):
    assert parts(networks_chart(of_plan(planned(design, method)), TODAY)) == expected


def test_members_that_share_layers_are_one_bar_with_their_mothers_part():
    answer = of_plan(planned("2xmlp-1-8@g1", "shared_mothernets"))
    mother, joint = answer.networks
    assert (joint.source, joint.members, joint.distance) == ("mother-1", ("member-1", "member-2"), None)
    # The two members share the hidden layer, and each has a head of 9·10.
    assert (mother.parameters, joint.parameters) == (610, 700)
    assert parts(networks_chart(answer, TODAY))[-1] == ("shared-1", "added by hatching", 610, 700)


def test_networks_that_are_done_in_training_and_waiting_are_told_apart():
    answer = of_run(
        {"train mother-1": 10.0, "hatch member-1": 1.0, "train member-1": 4.0, "hatch member-2": 1.0},
        {"train mother-1": 20, "train member-1": 6, "train member-2": 3},
        RunStatus.RUNNING,
    )
    # The third is being hatched on the slot of the first.
    assert [n.state for n in answer.networks] == ["done", "done", "training", "training"]
    assert [n.actual_epochs for n in answer.networks] == [20, 6, 3, 0]
    early = of_run({}, {"train mother-1": 2}, RunStatus.RUNNING)
    assert [n.state for n in early.networks] == ["training", "waiting", "waiting", "waiting"]
    chart = networks_chart(early, TODAY)
    assert {r["state"] for r in rows(chart, "rect", "part")} == {"training now", "waiting"}
    texts = [r["text"] for r in rows(chart, "text", "text")]
    assert texts == ["2 of 20", "0 of 6", "0 of 6", "0 of 6"]
    stopped = of_run({}, {"train mother-1": 2}, RunStatus.INTERRUPTED)
    assert [n.state for n in stopped.networks] == ["stopped", "waiting", "waiting", "waiting"]


def test_a_hundred_members_in_four_clusters_are_drawn_in_two_seconds():
    plan = planned("50xmlp-1-8+50xmlp-1-12@g4", processes=4)
    seconds = {step.id: 1.0 + i % 7 for i, step in enumerate(plan.steps)}
    begin = time.process_time()
    answer = of_plan(plan, seconds)
    chart, specification = timeline_chart(answer, TODAY), networks_chart(answer, TODAY).to_dict()
    steps = rows(chart, "rect", "step")
    assert time.process_time() - begin < 2
    # 4 mothers, 100 members and as many hatchings.
    assert len(steps) == 204
    assert len(rows(chart, "rule", "step")) == 100
    assert [row for row in rows(chart, "text", "label") if row["label"].startswith("member")] == []
    assert specification["hconcat"][0]["height"] == 104 * 11
    assert all(len(rows) >= 104 for mark, _, rows in layers_of(specification) if mark == "rect")


def test_the_caption_says_design_data_date_and_device():
    for chart in (networks_chart(of_plan(planned()), TODAY), timeline_chart(of_plan(planned()), TODAY)):
        said = " ".join(chart.to_dict()["title"]["text"]) + caption(chart)
        for word in ("3xresnet-8-4@g1", "20 epochs of digits", "float32 on cpu", "2026-11-29"):
            assert word in said


# Layers.


def forecast_of(names):
    layers = tuple(
        PredictedLayer(
            name=name,
            forward_seconds=0.001,
            backward_seconds=0.002,
            inference_seconds=0.001,
            kind="Conv2d",
            optimizer_seconds=0.0005,
            parameters=10,
            parameter_bytes=120,
            saved_bytes=1000,
        )
        for name in names
    )
    n = len(layers)
    return NetworkForecast(
        network="resnet-8-4",
        input="3x32x32",
        batch=32,
        predicted_step_seconds=Estimate(0.0035 * n + 0.004, 0.001, 1.0),
        step=Step(forward_seconds=0.001 * n, backward_seconds=0.002 * n, step_seconds=0.0035 * n + 0.004),
        layers=layers,
        parts=OtherParts(data_seconds=0.004, optimizer_seconds=0.0005 * n),
    )


def test_bars_of_layers_add_up_to_the_step_and_stand_in_its_order():
    network = forecast_of(["stem.conv", "block1.conv", "loss"])
    chart = layers_chart(of_plan(planned()), network, TODAY)
    time_bars = [r for r in rows(chart, "rect", "part") if r["end"] < 1]
    assert sum(r["end"] - r["start"] for r in time_bars) == pytest.approx(network.step.step_seconds)
    order = list(dict.fromkeys(r["layer"] for r in time_bars))
    assert order == ["preparing the batch", "stem.conv", "block1.conv", "loss"]
    memory = [(r["layer"], r["end"] - r["start"]) for r in rows(chart, "rect", "part") if r["end"] > 1]
    assert memory[:2] == [("stem.conv", 1000), ("stem.conv", 120)]


def test_more_layers_than_have_room_are_summed_by_block():
    names = [f"block{b}.unit{u}.{part}" for b in (1, 2, 3) for u in range(18) for part in ("conv", "norm")]
    few, many = rows_of(forecast_of(names[:50])), rows_of(forecast_of(names))
    assert len(few) == 51
    assert [row.name for row in many[1:3]] == ["block1.unit0", "block1.unit1"]
    assert len(many) == 1 + 54 <= MOST_ROWS
    assert (many[1].layers, many[1].parameters, many[1].memory) == (2, 20, (2000, 240))
    assert sum(sum(row.times) for row in many) == pytest.approx(0.0035 * 108 + 0.004)


# The whole picture.


def keys_with(part, text, path=()):
    """The keys in a specification whose values have a text, those of the rows left out."""
    if isinstance(part, dict):
        below = ((key, value) for key, value in part.items() if key != "datasets")
        return {found for key, value in below for found in keys_with(value, text, (*path, key))}
    if isinstance(part, list):
        return {found for value in part for found in keys_with(value, text, path)}
    return {path[-2:]} if text in str(part) else set()


def test_names_are_titles_and_data_and_never_a_part_of_an_expression():
    bad = "</script><img src=x onerror=alert(1)>'+datum"
    answer = of_run(SECONDS)
    hostile = replace(
        answer,
        plan=replace(answer.plan, design=bad, dataset=bad),
        steps=tuple(replace(step, step=f"{bad}{step.step}", network=bad) for step in answer.steps),
        networks=tuple(replace(network, network=bad) for network in answer.networks),
        layers=(forecast_of([bad, "loss"]),),
    )
    specification = explanation_chart(hostile, TODAY).to_dict()
    assert len(specification["vconcat"]) == 3
    assert bad in str(specification["datasets"])
    assert keys_with(specification, "onerror") <= {("title", "text"), ("title", "subtitle")}
    assert keys_with(specification, "datum.") == {("axis", "labelExpr")}
