"""What a change would change, on a machine with a few made-up measurements.

Most tests ask the workflow, and several look at one answer; the command line is asked what only it can say.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import replace

import pytest
from measured import home_with_steps
from rich.console import Console

from advisor.accuracy.pooled import pooled_without
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.estimate import Estimate
from advisor.plans.dataset import dataset_named
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import TrainStep, plan_to_json
from cli.render.examine.whatif import comparison
from cli.workflows.answers.examine.parts import CostBasis, PlanFacts
from cli.workflows.examine.explain import explain
from cli.workflows.examine.plan_changes import Changes
from cli.workflows.examine.whatif import whatif
from cli.workflows.forecast import machine
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.home import Home
from db.session import open_store
from profiler.device import fingerprint

DIGITS = dataset_named("digits")
DESIGN = "4xresnet-14-4"
BASE = PlanRequest(target=DESIGN, dataset="digits", epochs=20)
WHATIF = ("whatif", DESIGN, "--dataset", "digits", "--base-epochs", "20")
COSTS = ("train_seconds", "epoch_seconds", "inference_ms_per_image", "train_peak_bytes")


@pytest.fixture(scope="module", autouse=True)
def two_cores():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "usable_cores", lambda: 2)
        yield


@pytest.fixture(scope="module")
def measured_home(tmp_path_factory):
    """A home with measurements, for everybody to read."""
    return home_with_steps(
        tmp_path_factory.mktemp("measured"),
        DIGITS.task,
        ("resnet-8-4", "resnet-14-4", "resnet-20-4", "resnet-8-8", "resnet-14-8"),
    )


@pytest.fixture
def measured(measured_home, home):
    """The home of the command line, with the same measurements."""
    shutil.copytree(measured_home.path, home)


@pytest.fixture(scope="module")
def changed(measured_home):
    """Ask the workflow what changes of the design would change, as `advisor whatif --json` says it."""

    def ask(**changes):
        return whatif(BASE, changes, measured_home).to_json()

    return ask


@pytest.fixture(scope="module")
def three_changes(changed):
    """Answer to three changes at once, which shows each of them by itself as well."""
    return changed(depth="+6", members="6", epochs="x2")


@pytest.fixture(scope="module")
def more_images(changed):
    """Answer to twice the training images."""
    return changed(images="x2")


@pytest.fixture(scope="module")
def alone(three_changes):
    """Of the three changes, what each by itself comes to, by option."""
    return {next(iter(row["changes"])): row for row in three_changes["each_alone"]}


def explained(home, design, epochs):
    return explain(PlanRequest(target=design, dataset="digits", epochs=epochs), None, home).to_json()


def test_before_is_what_explain_says_of_the_design_and_after_of_the_changed_one(three_changes, measured_home):
    for side, design, epochs in (("before", DESIGN, 20), ("after", "6xresnet-20-4", 40)):
        expected = explained(measured_home, design, epochs)
        found = three_changes[side]
        assert found["plan"]["design"] == design
        assert found["plan"].items() <= expected["plan"].items()
        for name in ("test_error", *COSTS):
            assert found["predicted"][name] == pytest.approx(expected["predicted"][name])
        task = DIGITS.task
        assert found["parameters"] == parse_design(design).parameters(task)
        assert found["macs"] == parse_design(design).macs(task)


def test_a_change_to_what_is_there_changes_nothing(changed):
    answer = changed(depth="+0", width="x1", members="4")
    for row in (answer["after"], *answer["each_alone"]):
        change = row["change"]
        assert change["test_error_difference"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
        assert change["probability_less_error"] == 0.5
        assert change["parameters_ratio"] == change["macs_ratio"] == 1.0
        for name in COSTS:
            assert change[f"{name}_ratio"] == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_differences_are_narrower_than_those_of_two_independent_intervals(three_changes, alone):
    change = alone["depth"]["change"]
    sides = [side["predicted"] for side in (three_changes["before"], alone["depth"])]

    def width(estimate):
        return estimate["high"] - estimate["low"]

    def log_width(estimate):
        return math.log(estimate["high"] / estimate["low"])

    apart = math.hypot(*(width(side["test_error"]) for side in sides))
    assert 0.5 * apart > width(change["test_error_difference"]) > 0
    for name in ("train_seconds", "epoch_seconds", "inference_ms_per_image"):
        assert 0 < log_width(change[f"{name}_ratio"]) < math.hypot(*(log_width(s[name]) for s in sides))


def test_means_of_a_change_are_those_of_both_sides(changed):
    answer = changed(width="x2", members="6")
    before, after = answer["before"], answer["after"]
    for name in COSTS:
        ratio = after["predicted"][name]["mean"] / before["predicted"][name]["mean"]
        assert after["change"][f"{name}_ratio"]["mean"] == pytest.approx(ratio)
    assert after["change"]["parameters_ratio"] == after["parameters"] / before["parameters"]
    assert after["change"]["test_error_difference"]["mean"] < 0
    assert after["change"]["probability_less_error"] > 0.7


def test_twice_the_epochs_take_twice_as_long_without_an_interval(alone):
    change = alone["epochs"]["change"]
    assert change["train_seconds_ratio"] == pytest.approx({"mean": 2.0, "low": 2.0, "high": 2.0})
    assert change["epoch_seconds_ratio"] == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_several_changes_are_shown_together_and_each_by_itself(three_changes, changed):
    written = {"depth": "+6", "members": "6", "epochs": "x2"}
    assert three_changes["changes"] == written
    assert three_changes["after"]["plan"]["design"] == "6xresnet-20-4"
    assert [row["changes"] for row in three_changes["each_alone"]] == [{n: t} for n, t in written.items()]
    single, row = changed(depth="+6"), three_changes["each_alone"][0]
    assert single["each_alone"] == []
    assert {key: row[key] for key in single["after"]} == single["after"]


def test_a_change_that_needs_another_is_named_as_such(changed):
    answer = changed(members="6", g="5")
    assert answer["after"]["plan"]["design"] == "6xresnet-14-4@g5"
    assert [row["changes"] for row in answer["each_alone"]] == [{"members": "6"}]
    assert answer["notes"][0] == "--g 5 cannot be made by itself: g5: 4 members form 1 to 4 clusters"


IMAGES = DIGITS.train_images


@pytest.mark.parametrize(
    ("change", "images"),
    [("x2", 2 * IMAGES), ("/2", 538), ("4k", 4000), ("+500", IMAGES + 500), ("-77", 1000)],
)
def test_the_number_of_images_is_changed_as_it_is_written(change, images):
    plan = Changes.read({"images": change}).of(plan_of())
    assert plan.dataset.train_images == images
    assert replace(plan.dataset, train_images=IMAGES) == DIGITS


def test_more_images_leave_less_error_and_take_longer_by_their_steps(more_images):
    before, after = more_images["before"], more_images["after"]
    change = after["change"]
    assert (before["train_images"], after["train_images"]) == (IMAGES, 2 * IMAGES)
    assert before["plan"]["epochs"] == after["plan"]["epochs"]
    assert change["test_error_difference"]["high"] < 0
    assert change["probability_less_error"] > 0.5
    steps = [data["train_images"] // before["plan"]["batch"] for data in (before, after)]
    for cost in ("train_seconds", "epoch_seconds"):
        # Validation images stay as many, and each epoch looks at them.
        assert 0.9 * steps[1] / steps[0] < change[f"{cost}_ratio"]["mean"] < steps[1] / steps[0]
    assert change["parameters_ratio"] == change["inference_ms_per_image_ratio"]["mean"] == 1.0


def test_the_error_of_more_images_is_that_of_the_formula_for_their_share(more_images):
    """By the predictor itself; without evidence these are draws of the prior."""
    sizes, design = {"digits": IMAGES}, parse_design(DESIGN)
    predictor = AccuracyPredictor(
        ["digits"], pooled=pooled_without("digits"), images=sizes, tasks={"digits": DIGITS.task}
    )
    whole, twice = (
        predictor.sample_errors([design], "digits", DIGITS.task, 20, image_share=share)[:, 0]
        for share in (1.0, 2.0)
    )
    expected = Estimate.of_samples(twice - whole)
    assert more_images["after"]["change"]["test_error_difference"] == pytest.approx(
        {"mean": expected.mean, "low": expected.low, "high": expected.high}
    )


def test_images_beyond_twice_those_of_any_evidence_are_marked(changed, more_images, measured_home):
    assert more_images["extrapolated_beyond_images"] == 2 * IMAGES
    assert not more_images["after"]["test_error_extrapolated"]
    many = changed(images="20k", epochs="/2")
    assert many["after"]["test_error_extrapolated"]
    assert not many["before"]["test_error_extrapolated"]
    flags = {next(iter(row["changes"])): row["test_error_extrapolated"] for row in many["each_alone"]}
    assert flags == {"images": True, "epochs": False}
    console = Console(width=80)
    with console.capture() as captured:
        console.print(comparison(whatif(BASE, {"images": "20k"}, measured_home)))
    shown = " ".join(captured.get().split())
    assert "training images 1,077 20,000 18.6x" in shown
    assert "The error on 20,000 images is extrapolated: more than twice the 1,077 images" in shown
    assert "with more of them it has more steps" in shown


EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="channels_last")


def plan_of(design=f"{DESIGN}@g1", **options):
    return make_plan(
        parse_design(design),
        DIGITS,
        epochs=10,
        batch=16,
        seed=0,
        execution=EXECUTION,
        options=PlanOptions(**options),
    )


@pytest.mark.parametrize(
    ("plan", "changes", "after", "method"),
    [
        (plan_of(DESIGN), {"g": "1"}, f"{DESIGN}@g1", "mothernets"),
        (plan_of(DESIGN), {"method": "mothernets"}, f"{DESIGN}@g1", "mothernets"),
        (plan_of(DESIGN), {"method": "mothernets", "g": "2"}, f"{DESIGN}@g2", "mothernets"),
        (plan_of(f"{DESIGN}@g1"), {"method": "full_data"}, DESIGN, "full_data"),
        (plan_of(f"{DESIGN}@g1"), {"g": "4"}, DESIGN, "full_data"),
        (plan_of(f"{DESIGN}@g1"), {"method": "snapshot"}, DESIGN, "snapshot"),
        (plan_of(DESIGN, method=Method.BAGGING), {"depth": "8"}, "4xresnet-8-4", "bagging"),
    ],
)
def test_the_method_follows_the_clusters_unless_it_is_named(plan, changes, after, method):
    changed_plan = Changes.read(changes).of(plan)
    assert (changed_plan.design, changed_plan.method) == (after, method)


@pytest.mark.parametrize(
    ("base", "change", "after"),
    [
        (None, None, 1e-4),
        (None, "x3", 3e-4),
        (None, "3e-3", 3e-3),
        (None, "0.001", 1e-3),
        (5e-4, None, 5e-4),
        (5e-4, "x2", 1e-3),
        (5e-4, "/5", 1e-4),
        (0.0, None, 0.0),
    ],
)
def test_weight_decay_is_changed_as_it_is_written_and_else_that_of_the_plan(base, change, after):
    changes = {} if change is None else {"weight-decay": change}
    changed_plan = Changes.read(changes).of(plan_of(weight_decay=base))
    assert {s.weight_decay for s in changed_plan.steps if isinstance(s, TrainStep)} == {after}
    assert PlanFacts.of(changed_plan).tuned_weight_decay == (None if after == 1e-4 else after)


def test_the_error_of_another_weight_decay_is_that_of_the_formula(changed):
    answer = changed(**{"weight-decay": "x30"})
    assert answer["after"]["plan"]["tuned_weight_decay"] == 3e-3
    assert answer["before"]["plan"]["tuned_weight_decay"] is None
    change = answer["after"]["change"]
    # Nothing is known of it on the data, so the expected error is a little larger and the interval wide.
    difference = change["test_error_difference"]
    assert difference["low"] < 0 < difference["mean"] < difference["high"]
    assert change["train_seconds_ratio"]["mean"] == 1


def test_what_shares_layers_has_fewer_parameters(tmp_path):
    base = PlanRequest(target="2xvgg-11-4", dataset="digits")
    answer = whatif(base, {"method": "treenets"}, Home(tmp_path / "nothing measured"))
    assert answer.after.change.parameters_ratio < 1


def test_without_measurements_only_costs_are_missing_and_nothing_is_written(advisor, home):
    answer = whatif(BASE, {"depth": "-6"}, Home(home))
    change = answer.after.change
    assert change.test_error_difference.mean > 0
    assert change.parameters_ratio < 1
    assert [getattr(change, f"{name}_ratio") for name in COSTS] == [None] * len(COSTS)
    assert answer.evidence.cost is CostBasis.NOMINAL
    out = advisor(*WHATIF, "--depth", "-6").out
    assert "Nothing was measured here yet: run advisor recommend or advisor profile." in out
    assert not home.exists()


def test_what_another_batch_does_to_the_error_is_called_unknown(measured, advisor):
    answer = advisor(*WHATIF, "--batch", "x2", "--epochs", "/2", "--json").json
    errors = ("test_error_difference", "probability_less_error")
    both, batch, epochs = answer["after"], *answer["each_alone"]
    if "epochs" in batch["changes"]:
        batch, epochs = epochs, batch
    assert (
        [both["change"][name] for name in errors] == [batch["change"][name] for name in errors] == [None] * 2
    )
    assert epochs["change"]["probability_less_error"] < 0.5
    assert both["change"]["train_seconds_ratio"]["mean"] < 1
    shown = advisor(*WHATIF, "--batch", "x2").out
    assert "what a changed one does to it is unknown" in shown
    assert "+0.00" not in shown
    assert "50%" not in shown


def test_nothing_is_added_to_a_database(advisor, measured, home):
    def rows():
        with open_store(home / "advisor.sqlite") as store:
            digest = fingerprint(plain_execution("cpu")).digest
            return len(store.measurements(digest)), len(store.runs()), store.last_recommendation()

    before = rows()
    answer = advisor(*WHATIF, "--batch", "x2", "--json")
    assert answer.json["after"]["plan"]["batch"] == 2 * answer.json["before"]["plan"]["batch"]
    assert rows() == before
    assert {path.name.partition("-")[0] for path in home.iterdir()} == {"advisor.sqlite"}


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
    ("design", "changes", "remedy"),
    [
        ("vgg-16-8~b1l1:5x8", {"depth": "19"}, "for example vgg-16-8"),
        ("resnet-8-4+resnet-14-4", {"members": "4"}, "for example 2xresnet-8-4"),
        (DESIGN, {"width": "/3"}, "not whole"),
        (DESIGN, {"width": "wide"}, "--width: cannot read 'wide' as a change"),
        (DESIGN, {"method": "magic"}, "unknown method"),
        (DESIGN, {"method": "bagging", "g": "2"}, "which bagging does not train"),
        (DESIGN, {"epochs": "-10"}, "at least 1 epoch"),
        (DESIGN, {"batch": "4096"}, "larger than the 1077 training images"),
        (DESIGN, {"images": "x0"}, "10 classes need 10 training images or more, got 0 from 1,077"),
        (DESIGN, {"images": "-2k"}, "10 training images or more, got -923"),
        (DESIGN, {"images": "lots"}, "--images: cannot read 'lots'"),
        (DESIGN, {"images": "/0"}, "nothing can be divided by 0"),
        (DESIGN, {"images": "12"}, "larger than the 12 training images"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_with_the_reason(design, changes, remedy):
    with pytest.raises(UsageError) as refused:
        Changes.read(changes).of(plan_of(design))
    assert remedy in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ((DESIGN,), f"for example `advisor whatif {DESIGN} --epochs x2`"),
        ((DESIGN, "--depth", "+3"), "the nearest valid depth is 14 or 20"),
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


@pytest.fixture(scope="module")
def shown(measured_home):
    """An answer as a terminal of some columns shows it."""
    answer = whatif(BASE, {"depth": "-6", "batch": "16", "method": "bagging"}, measured_home)

    def at(columns):
        console = Console(width=columns)
        with console.capture() as captured:
            console.print(comparison(answer))
        return captured.get()

    return at


@pytest.mark.parametrize("columns", [80, 120])
def test_the_tables_fit_the_terminal(shown, columns):
    lines = [line.rstrip() for line in shown(columns).splitlines()]
    assert max(map(len, lines)) <= columns
    assert "…" not in shown(columns)
    (header,) = [line for line in lines if line.startswith("metric")]
    assert header.split() == ["metric", "before", "after", "change"]
    title, *alone = [line for line in lines if line.startswith("--")]
    assert title == "--depth -6 --batch 16 --method bagging on digits"
    assert [line.split()[0] for line in alone] == ["--depth", "--batch", "--method"]
    assert any(line.startswith("all together") for line in lines)


def test_a_notebook_shows_both_sides_and_their_plans(measured_home):
    page = whatif(BASE, {"depth": "-6"}, measured_home)._repr_html_()
    assert "4xresnet-8-4" in page
    assert "peak memory in training" in explain(BASE, None, measured_home)._repr_html_() + page


def test_what_the_error_forecast_does_not_know_is_said(shown):
    words = " ".join(shown(80).split())
    assert "The error is forecast whatever the batch" in words
