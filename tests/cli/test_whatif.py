"""What a change would change, through the command line, on a machine with a few made-up measurements."""

from __future__ import annotations

import math

import pytest

from advisor.architecture import lower, parse_network
from advisor.dataset import dataset_named
from advisor.design import parse_design
from advisor.measurement import Execution, LayerTime, Measurement
from advisor.methods import PlanOptions, make_plan
from advisor.plan import plan_to_json
from cli.workflows import machine
from cli.workflows.machine import plain_execution
from db.session import open_store
from profiler.device import fingerprint

DIGITS = dataset_named("digits")
DESIGN = "4xresnet-14-4"
WHATIF = ("whatif", DESIGN, "--dataset", "digits", "--base-epochs", "20")
COSTS = ("train_seconds", "epoch_seconds", "inference_ms_per_image", "train_peak_bytes")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)


def measurement(network, batch):
    """Steps whose time is that of their MACs and of their layers."""
    nodes = lower(parse_network(network), DIGITS.task).nodes
    seconds = {node.name: 1e-4 + batch * node.macs / 1e9 for node in nodes} | {"loss": 1e-4}
    layers = tuple(
        LayerTime(name=name, forward_seconds=s, backward_seconds=2 * s, inference_seconds=s)
        for name, s in seconds.items()
    )
    forward = sum(seconds.values())
    return Measurement(
        network=network,
        task=DIGITS.task,
        batch=batch,
        fingerprint=fingerprint(plain_execution("cpu")),
        forward_seconds=forward,
        backward_seconds=2 * forward,
        optimizer_seconds=0.003,
        step_seconds=3 * forward + 0.005,
        step_iqr_seconds=0.0,
        inference_seconds=forward,
        layers=layers,
        peak_bytes=10_000_000,
        spent_seconds=1.0,
        measured_at="2026-11-21T10:00:00+00:00",
    )


@pytest.fixture
def measured(home):
    with open_store(home / "advisor.sqlite") as store:
        for network in ("resnet-8-4", "resnet-14-4", "resnet-20-4", "resnet-8-8", "resnet-14-8"):
            for batch in (16, 32):
                store.add_measurement(measurement(network, batch))


def change_of(advisor, *arguments):
    answer = advisor(*WHATIF, *arguments, "--json")
    assert answer.code == 0, answer.err
    return answer.json["after"]["change"]


def test_before_is_what_explain_says_of_the_design_and_after_of_the_changed_one(advisor, measured):
    answer = advisor(*WHATIF, "--depth", "+6", "--epochs", "x2", "--json").json
    for side, design, epochs in (("before", DESIGN, "20"), ("after", "4xresnet-20-4", "40")):
        explained = advisor("explain", design, "--dataset", "digits", "--epochs", epochs, "--json").json
        told = answer[side]
        assert told["plan"]["design"] == design
        assert told["plan"].items() <= explained["plan"].items()
        for name in ("test_error", *COSTS):
            assert told["predicted"][name] == pytest.approx(explained["predicted"][name])
        task = DIGITS.task
        assert told["parameters"] == parse_design(design).parameters(task)
        assert told["macs"] == parse_design(design).macs(task)


def test_a_change_to_what_is_there_changes_nothing(advisor, measured):
    for same in ("+0", "14", "x1"):
        change = change_of(advisor, "--depth", same)
        assert change["test_error_difference"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
        assert change["probability_less_error"] == 0.5
        assert change["parameters_ratio"] == change["macs_ratio"] == 1.0
        for name in COSTS:
            assert change[f"{name}_ratio"] == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_differences_are_narrower_than_those_of_two_independent_intervals(advisor, measured):
    answer = advisor(*WHATIF, "--depth", "+6", "--json").json
    change = answer["after"]["change"]
    sides = [answer[side]["predicted"] for side in ("before", "after")]

    def width(estimate):
        return estimate["high"] - estimate["low"]

    def log_width(estimate):
        return math.log(estimate["high"] / estimate["low"])

    apart = math.hypot(*(width(side["test_error"]) for side in sides))
    assert 0.5 * apart > width(change["test_error_difference"]) > 0
    for name in ("train_seconds", "epoch_seconds", "inference_ms_per_image"):
        assert 0 < log_width(change[f"{name}_ratio"]) < math.hypot(*(log_width(s[name]) for s in sides))


def test_means_of_a_change_are_those_of_both_sides(advisor, measured):
    answer = advisor(*WHATIF, "--width", "x2", "--members", "6", "--json").json
    before, after = answer["before"], answer["after"]
    for name in COSTS:
        ratio = after["predicted"][name]["mean"] / before["predicted"][name]["mean"]
        assert after["change"][f"{name}_ratio"]["mean"] == pytest.approx(ratio)
    assert after["change"]["parameters_ratio"] == after["parameters"] / before["parameters"]
    assert after["change"]["test_error_difference"]["mean"] < 0
    assert after["change"]["probability_less_error"] > 0.9


def test_twice_the_epochs_take_twice_as_long_without_an_interval(advisor, measured):
    change = change_of(advisor, "--epochs", "x2")
    assert change["train_seconds_ratio"] == pytest.approx({"mean": 2.0, "low": 2.0, "high": 2.0})
    assert change["epoch_seconds_ratio"] == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_several_changes_are_shown_together_and_each_by_itself(advisor, measured):
    options = {"depth": "+6", "members": "6", "epochs": "/2"}
    written = [word for name, text in options.items() for word in (f"--{name}", text)]
    answer = advisor(*WHATIF, *written, "--json").json
    assert answer["changes"] == options
    assert answer["after"]["plan"]["design"] == "6xresnet-20-4"
    assert [row["changes"] for row in answer["each_alone"]] == [{n: t} for n, t in options.items()]
    for row in answer["each_alone"]:
        ((name, text),) = row["changes"].items()
        alone = advisor(*WHATIF, f"--{name}", text, "--json").json
        assert alone["each_alone"] == []
        assert {key: row[key] for key in alone["after"]} == alone["after"]


def test_a_change_that_needs_another_is_named_as_such(advisor, measured):
    answer = advisor(*WHATIF, "--members", "8", "--g", "6", "--json").json
    assert answer["after"]["plan"]["design"] == "8xresnet-14-4@g6"
    assert [row["changes"] for row in answer["each_alone"]] == [{"members": "8"}]
    assert answer["notes"][0] == "--g 6 cannot be made by itself: g6: 4 members form 1 to 4 clusters"


@pytest.mark.parametrize(
    ("design", "arguments", "after", "method"),
    [
        (DESIGN, ("--g", "1"), f"{DESIGN}@g1", "mothernets"),
        (DESIGN, ("--method", "mothernets"), f"{DESIGN}@g1", "mothernets"),
        (DESIGN, ("--method", "mothernets", "--g", "2"), f"{DESIGN}@g2", "mothernets"),
        (f"{DESIGN}@g1", ("--method", "full_data"), DESIGN, "full_data"),
        (f"{DESIGN}@g1", ("--g", "4"), DESIGN, "full_data"),
        (f"{DESIGN}@g1", ("--method", "snapshot"), DESIGN, "snapshot"),
        (DESIGN, ("--base-method", "bagging", "--depth", "8"), "4xresnet-8-4", "bagging"),
    ],
)
def test_the_method_follows_the_clusters_unless_it_is_named(
    advisor, measured, design, arguments, after, method
):
    answer = advisor("whatif", design, "--dataset", "digits", *arguments, "--json").json
    assert (answer["after"]["plan"]["design"], answer["after"]["plan"]["method"]) == (after, method)


def test_what_shares_layers_has_fewer_parameters(advisor, measured):
    arguments = ("--dataset", "digits", "--method", "treenets", "--json")
    answer = advisor("whatif", "2xvgg-11-4", *arguments).json
    assert answer["after"]["change"]["parameters_ratio"] < 1


def test_what_the_error_forecast_does_not_know_is_said(advisor, measured):
    out = advisor(*WHATIF, "--method", "bagging").out
    assert "The error is forecast for independent training, not for bagging." in out
    out = advisor(*WHATIF, "--batch", "16").out
    assert "The error is forecast whatever the batch" in out


def test_without_measurements_only_costs_are_missing_and_nothing_is_written(advisor, home):
    answer = advisor(*WHATIF, "--depth", "-6", "--json").json
    change = answer["after"]["change"]
    assert change["test_error_difference"]["low"] > 0
    assert change["parameters_ratio"] < 1
    assert [change[f"{name}_ratio"] for name in COSTS] == [None] * len(COSTS)
    assert answer["evidence"]["cost"] == "nominal"
    out = advisor(*WHATIF, "--depth", "-6").out
    assert "Nothing was measured here yet: run advisor recommend or advisor profile." in out
    assert not home.exists()


def test_nothing_is_added_to_a_database(advisor, measured, home):
    def rows():
        with open_store(home / "advisor.sqlite") as store:
            mark = fingerprint(plain_execution("cpu")).digest
            return len(store.measurements(mark)), len(store.runs()), store.last_recommendation()

    before = rows()
    advisor(*WHATIF, "--depth", "+6")
    assert rows() == before
    assert {path.name.partition("-")[0] for path in home.iterdir()} == {"advisor.sqlite"}


def plan_of(**options):
    return make_plan(
        parse_design(f"{DESIGN}@g1"),
        DIGITS,
        epochs=10,
        batch=16,
        seed=0,
        execution=Execution(
            device="cpu", processes=2, threads=1, dtype="float32", memory_format="channels_last"
        ),
        options=PlanOptions(**options),
    )


def test_a_saved_plan_and_a_run_can_be_changed(advisor, measured, home, tmp_path):
    saved = tmp_path / "plan.json"
    saved.write_text(plan_to_json(plan_of()))
    with open_store(home / "advisor.sqlite") as store:
        store.create_run(
            created_at="2026-11-21T10:00:00+00:00",
            plan=plan_of(),
            parameters=1,
            fingerprint="0123456789abcdef",
            forecast=None,
        )
    answers = [advisor("whatif", target, "--batch", "x2", "--json").json for target in (str(saved), "last")]
    assert answers[0] == answers[1]
    before, after = (answers[0][side]["plan"] for side in ("before", "after"))
    assert before | {"batch": 32} == after
    assert (before["design"], before["epochs"], before["batch"]) == (f"{DESIGN}@g1", 10, 16)

    refused = advisor("whatif", "1", "--batch", "x2", "--base-epochs", "3")
    assert refused.code == 2
    assert "a run fixes its epochs" in refused.error_line


def test_a_plan_whose_epochs_would_be_lost_is_refused(advisor, tmp_path):
    saved = tmp_path / "plan.json"
    saved.write_text(plan_to_json(plan_of(hatched_epochs=9)))
    refused = advisor("whatif", str(saved), "--depth", "+6")
    assert refused.code == 2
    assert f"name its design, {DESIGN}@g1" in refused.error_line


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ((DESIGN,), f"for example `advisor whatif {DESIGN} --epochs x2`"),
        ((DESIGN, "--depth", "+3"), "the nearest valid depth is 14 or 20"),
        (("vgg-16-8~b1l1:5x8", "--depth", "19"), "for example vgg-16-8"),
        (("resnet-8-4+resnet-14-4", "--members", "4"), "for example 2xresnet-8-4"),
        ((DESIGN, "--width", "/3"), "not whole"),
        ((DESIGN, "--width", "wide"), "--width: cannot read 'wide' as a change"),
        ((DESIGN, "--method", "magic"), "unknown method"),
        ((DESIGN, "--method", "bagging", "--g", "2"), "which bagging does not train"),
        ((DESIGN, "--epochs", "-20", "--base-epochs", "20"), "at least 1 epoch"),
        ((DESIGN, "--batch", "4096"), "larger than the 1077 training images"),
        (("resnet-15-4", "--depth", "+6"), "14 or 20"),
        (("last", "--depth", "+6"), "no run"),
    ],
)
def test_what_cannot_be_understood_is_one_line_and_nothing_is_written(advisor, home, arguments, remedy):
    data = () if arguments[0] == "last" else ("--dataset", "digits")
    answer = advisor("whatif", *arguments, *data)
    assert answer.code == 2
    assert remedy in answer.error_line
    assert answer.out == ""
    assert not home.exists()


@pytest.mark.parametrize("columns", [80, 120])
def test_the_tables_fit_the_terminal(advisor, measured, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = advisor(*WHATIF, "--depth", "-6", "--members", "+2", "--method", "snapshot").out
    lines = [line.rstrip() for line in out.splitlines()]
    assert max(map(len, lines)) <= columns
    assert "…" not in out
    (header,) = [line for line in lines if line.startswith("metric")]
    assert header.split() == ["metric", "before", "after", "change"]
    title, *alone = [line for line in lines if line.startswith("--")]
    assert title == "--depth -6 --members +2 --method snapshot on digits"
    assert [line.split()[0] for line in alone] == ["--depth", "--members", "--method"]
    assert any(line.startswith("all together") for line in lines)
