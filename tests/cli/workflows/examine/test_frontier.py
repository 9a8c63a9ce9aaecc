"""Every way to train a given ensemble, on a machine with a few made-up measurements."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest
from measured import home_with_steps
from rich.console import Console

from advisor.designs.design import parse_design
from advisor.plans.convergence.expectation import with_expected_epochs
from advisor.plans.convergence.kinds import Kind
from advisor.plans.convergence.predictor import EpochPredictor, TrainedStep
from advisor.plans.dataset import dataset_named
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.recipes.choice import RecipeName
from advisor.plans.records import EnsembleMetrics, RunStatus
from cli.render.examine.frontier import frontier as rendered
from cli.web.charts.frontier import frontier_chart, in_words
from cli.web.charts.plans.explanation import explanation_chart
from cli.workflows.examine.explain import explain
from cli.workflows.examine.sweeps.finished_runs import FinishedRuns
from cli.workflows.examine.sweeps.frontier import frontier
from cli.workflows.forecast import machine
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.home import Home
from db.session import open_store
from profiler.device import fingerprint

DIGITS = dataset_named("digits")
ENSEMBLE = "2xresnet-8-4+resnet-14-4"
REQUEST = PlanRequest(target=ENSEMBLE, dataset="digits", epochs=20)
PRICE = 3.06


@pytest.fixture(scope="module", autouse=True)
def two_cores():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "usable_cores", lambda: 2)
        yield


def finished(store, design, method, seed, epochs, error, seconds=100.0, digest=None):
    """Store a finished run."""
    plan = make_plan(
        design,
        DIGITS,
        epochs=epochs,
        batch=32,
        seed=seed,
        # Another arithmetic than that of the sweep.
        execution=replace(plain_execution("cpu"), dtype="bfloat16"),
        options=PlanOptions(method=method),
    )
    own = fingerprint(plain_execution("cpu")).digest
    run = store.create_run(
        created_at="2026-01-01T00:00:00+00:00",
        plan=plan,
        parameters=1,
        fingerprint=own if digest is None else digest,
        forecast=None,
    )
    test = EnsembleMetrics(
        error=error, member_errors=(0.1, 0.2, 0.3), oracle_error=0.0, disagreement=0.1, nll=1
    )
    store.update_run(run.id, status=RunStatus.DONE, train_seconds=seconds, test=test)


@pytest.fixture(scope="module")
def measured_home(tmp_path_factory):
    """A home with measurements and four finished runs of the ensemble."""
    home = home_with_steps(
        tmp_path_factory.mktemp("measured"), DIGITS.task, ("resnet-8-4", "resnet-14-4", "resnet-8-5")
    )
    with open_store(home.database) as store:
        finished(store, parse_design(f"{ENSEMBLE}@g1"), Method.MOTHERNETS, 0, 20, 0.05)
        finished(store, parse_design(f"{ENSEMBLE}@g1"), Method.MOTHERNETS, 1, 20, 0.06, digest="elsewhere")
        finished(store, parse_design(ENSEMBLE), Method.BAGGING, 0, 20, 0.07)
        finished(store, parse_design(ENSEMBLE), Method.FULL_DATA, 0, 19, 0.08)
    return home


@pytest.fixture(scope="module")
def answer(measured_home):
    return frontier(REQUEST, PRICE, measured_home)


def row_of(answer, method, clusters=None):
    (row,) = [r for r in answer.rows if r.method is method and clusters in (None, r.clusters)]
    return row


def test_a_row_says_what_explain_says_of_its_plan(answer, measured_home):
    for method, target in ((Method.BAGGING, ENSEMBLE), (Method.MOTHERNETS, f"{ENSEMBLE}@g2")):
        explained = explain(replace(REQUEST, target=target, method=method.value), PRICE, measured_home)
        row = row_of(answer, method, 2 if method is Method.MOTHERNETS else None)
        predicted = explained.predicted
        assert row.test_error == predicted.test_error
        assert row.train_seconds == predicted.train_seconds
        assert row.train_peak_bytes == predicted.train_peak_bytes
        assert row.cost_usd == predicted.cost_usd


def test_a_row_of_the_published_recipe_has_the_expected_epochs_that_explain_has(measured_home):
    published = replace(REQUEST, recipe="published")
    answer = frontier(published, PRICE, measured_home)
    assert (answer.plan.recipe, answer.plan.patience, answer.plan.batch) == ("published", 15, 256)
    for method, target in (
        (Method.BAGGING, ENSEMBLE),
        (Method.MOTHERNETS, f"{ENSEMBLE}@g2"),
        (Method.SNAPSHOT, ENSEMBLE),
    ):
        explained = explain(replace(published, target=target, method=method.value), PRICE, measured_home)
        row = row_of(answer, method, 2 if method is Method.MOTHERNETS else None)
        assert (row.train_seconds, row.test_error) == (
            explained.predicted.train_seconds,
            explained.predicted.test_error,
        )
        converging = [step.converging_epochs for step in explained.steps if step.epochs]
        # Cycles have a fixed length.
        assert all(found is None for found in converging) is (method is Method.SNAPSHOT)


@pytest.mark.slow
def test_a_patience_without_epochs_leaves_every_method_its_usual_length(measured_home):
    request = replace(REQUEST, target="2xresnet-8-4", epochs=None, patience=3, recipe="published")
    answer = frontier(request, None, measured_home)
    assert answer.plan.patience == 3
    # A snapshot of the published recipe has 60 of 128 epochs, whatever table A says of ResNets.
    cycles = explain(
        replace(request, method="snapshot", patience=None), None, measured_home
    ).predicted.train_seconds
    assert row_of(answer, Method.SNAPSHOT).train_seconds == cycles


def test_a_finished_run_is_one_of_its_plan_whatever_was_expected_of_it_when_it_began():
    plan = make_plan(
        parse_design(ENSEMBLE),
        DIGITS,
        epochs=20,
        batch=32,
        seed=0,
        execution=plain_execution("cpu"),
        options=PlanOptions(recipe=RecipeName.PUBLISHED),
    )
    evidence = TrainedStep(
        dataset="digits",
        family="resnet",
        kind=Kind.MEMBER,
        epochs=20,
        falling=False,
        train_errors=(0.5,) * 16,
    )
    now = with_expected_epochs(plan, EpochPredictor((evidence,) * 5))
    assert now != plan
    test = EnsembleMetrics(error=0.1, member_errors=(0.1,), oracle_error=0.0, disagreement=0.1, nll=1)
    run = SimpleNamespace(id=7, plan=plan, test=test, train_seconds=1.0, fingerprint="here")
    assert [found.run for found in FinishedRuns([run], frozenset(), None).of(now)] == [7]


@pytest.mark.slow
def test_the_command_takes_recipe_and_patience(advisor, home, measured_home):
    shutil.copytree(measured_home.path, home)
    asked = ("frontier", "2xresnet-8-4", "--dataset", "digits", "--epochs", "20")
    out = advisor(*asked, "--recipe", "published", "--patience", "4").out
    assert "at most 20 epochs (4 without a gain), batch 256" in out


def test_members_err_more_than_their_average_and_usd_are_hours_times_the_price(answer):
    for row in answer.rows:
        if row.method is not Method.SHARED_MOTHERNETS:
            assert row.mean_member_error.mean > row.test_error.mean
        assert row.cost_usd.mean == pytest.approx(row.train_seconds.mean / 3600 * PRICE)


def test_times_over_full_data_are_ratios_of_the_seconds(answer):
    full = row_of(answer, Method.FULL_DATA)
    assert full.time_over_full_data.mean == full.time_over_full_data.high == 1
    for row in answer.rows:
        ratio = row.train_seconds.mean / full.train_seconds.mean
        assert row.time_over_full_data.mean == pytest.approx(ratio)


def test_the_front_is_that_of_error_and_time(answer):
    points = [(r.test_error.mean, r.train_seconds.mean) for r in answer.rows]
    for row, (error, seconds) in zip(answer.rows, points, strict=True):
        better = any(e < error and s < seconds for e, s in points)
        assert row.on_front is (row.beaten_by is None)
        assert not (better and row.on_front)
    assert {n.method for n in answer.never_worth} == {r.method for r in answer.rows} - {
        r.method for r in answer.rows if r.on_front
    }


def test_methods_that_do_not_apply_are_named_with_the_reason(answer):
    assert [i.method for i in answer.inapplicable] == [Method.SHARED_MOTHERNETS, Method.TREENETS]
    assert all("skip connections" in i.reason for i in answer.inapplicable)


def test_finished_runs_stand_beside_their_row_whatever_their_seed_and_arithmetic(answer):
    own = row_of(answer, Method.MOTHERNETS, 1).runs
    assert [(r.run, r.seed, r.test_error) for r in own] == [(1, 0, 0.05), (2, 1, 0.06)]
    assert own[0].mean_member_error == pytest.approx(0.2)
    # Seconds of another machine are not comparable.
    assert [r.train_seconds for r in own] == [100.0, None]
    assert own[0].cost_usd == pytest.approx(100 / 3600 * PRICE)
    assert [r.run for r in row_of(answer, Method.BAGGING).runs] == [3]
    # Run 4 has other epochs.
    assert row_of(answer, Method.FULL_DATA).runs == ()
    assert answer.other_runs == (4,)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_into_a_terminal_and_says_what_is_never_worth_it(answer, columns):
    console = Console(width=columns)
    with console.capture() as captured:
        console.print(rendered(answer))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= columns
    text = " ".join(captured.get().split())
    assert "Never worth its time here:" in text or "Off the front, but not surely:" in text
    assert "treenets cannot train it:" in text
    assert "Run 4 has other epochs or settings" in text
    assert "…" not in text


def test_no_name_of_a_method_is_broken_at_80_columns(measured_home):
    vggs = frontier(replace(REQUEST, target="vgg-11-4+vgg-13-4", epochs=200), PRICE, measured_home)
    console = Console(width=80)
    with console.capture() as captured:
        console.print(rendered(vggs))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= 80
    begins = [line[2:].split()[0] for line in lines if line[:2] in ("* ", "  ") and line[2:3].isalpha()]
    assert {row.method.value for row in vggs.rows} <= set(begins)


def test_the_picture_has_every_method_the_front_and_the_finished_runs(answer):
    drawn = frontier_chart(answer, date(2026, 11, 29)).to_dict()
    front, clustered, *_, runs = (drawn["datasets"][layer["data"]["name"]] for layer in drawn["layer"])
    rows = drawn["datasets"][drawn["layer"][4]["data"]["name"]]
    assert [r["method"] for r in rows] == [in_words(row.method) for row in answer.rows]
    assert len(front) == sum(row.on_front for row in answer.rows)
    assert {r["label"] for r in clustered} >= {"g=1"}
    timed = [run for row in answer.rows for run in row.runs if run.train_seconds is not None]
    assert {r["run"] for r in runs} == {run.run for run in timed}


@pytest.fixture(scope="module")
def by_slots(measured_home):
    """The sweep of MotherNets' appendix D: training time by method and number of slots."""
    return frontier(replace(REQUEST, target="4xresnet-8-4"), None, measured_home, slots=(1, 2, 4, 8))


def test_mothernets_and_full_data_gain_from_slots_and_snapshots_do_not(by_slots):
    times = {
        (row.method, row.clusters): [each.train_seconds.mean for each in row.by_slots]
        for row in by_slots.rows
    }
    assert all([each.slots for each in row.by_slots] == [1, 2, 4, 8] for row in by_slots.rows)
    full, chain = times[Method.FULL_DATA, 4], times[Method.SNAPSHOT, None]
    mothernets = times[Method.MOTHERNETS, 1]
    assert chain == [chain[0]] * 4
    # Four members on four slots and on eight.
    assert full[0] > full[1] > full[2] == full[3]
    assert mothernets[0] > mothernets[1] > mothernets[2] == mothernets[3]
    for row in by_slots.rows:
        for each in row.by_slots:
            shortest = max(each.critical_path_seconds.mean, each.work_seconds.mean / each.slots)
            assert each.train_seconds.mean >= shortest - 1e-9
            assert each.times_faster == pytest.approx(
                row.by_slots[0].train_seconds.mean / each.train_seconds.mean
            )
            assert each.time_over_full_data == pytest.approx(each.train_seconds.mean / full[0])
        # The machine has two slots.
        assert row.by_slots[1].train_seconds == row.train_seconds


def test_the_times_by_slots_fit_into_a_terminal_and_are_a_picture(by_slots):
    console = Console(width=80)
    with console.capture() as captured:
        console.print(rendered(by_slots))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert "how many times faster than on one" in captured.get()
    (heading,) = (line for line in lines if line.split() == ["method", "slot", "slots", "slots", "slots"])
    assert len([line for line in lines[lines.index(heading) :] if line.startswith("mothernets g=")]) == 3
    errors, slots = frontier_chart(by_slots, date(2026, 11, 29)).to_dict()["vconcat"]
    assert slots["title"]["text"] == ["4xresnet-8-4: training time by slots"]
    assert len(errors["layer"]) == 6


@pytest.mark.slow
def test_slots_are_in_json_and_where_nothing_was_measured_they_are_ratios(advisor, home):
    asked = ("frontier", "2xmlp-1-8", "--dataset", "digits", "--epochs", "5", "--slots", "2, 1")
    rows = advisor(*asked, "--json").json["rows"]
    for row in rows:
        one, two = row["by_slots"]
        assert one["train_seconds"] is one["work_seconds"] is one["critical_path_seconds"] is None
        assert (one["slots"], two["slots"], one["times_faster"]) == (1, 2, 1)
        gains = row["method"] in ("full_data", "bagging", "distillation", "mothernets")
        assert (two["times_faster"] > 1) is gains
    (full,) = (row["by_slots"] for row in rows if row["method"] == "full_data")
    assert full[0]["time_over_full_data"] == 1


def test_explain_says_how_long_a_plan_takes_on_slots_that_the_machine_has_not(advisor, home, measured_home):
    shutil.copytree(measured_home.path, home)
    asked = ("explain", "4xresnet-8-4@g1", "--dataset", "digits", "--epochs", "20", "--slots", "8,2")
    answer = advisor(*asked, "--json").json
    two, eight = answer["by_slots"]
    assert (two["slots"], two["used"], eight["slots"], eight["used"]) == (2, 2, 8, 4)
    assert two["train_seconds"] == answer["predicted"]["train_seconds"]
    assert eight["train_seconds"]["mean"] < two["train_seconds"]["mean"]
    steps = {step["step"]: step["seconds"]["mean"] for step in answer["steps"]}
    # The mother trains alone; her members are slowed by each other, but for the longest chain.
    assert eight["critical_path_seconds"]["mean"] >= steps["train mother-1"]
    out = advisor(*asked).out
    assert "longest chain" in out
    assert "No training is shorter than the chain" in " ".join(out.split())


def test_the_picture_of_a_plan_has_its_time_by_slots_and_both_bounds(measured_home):
    request = replace(REQUEST, target="4xresnet-8-4@g1")
    answer = explain(request, None, measured_home, slots=(8,))
    parts = explanation_chart(answer, date(2026, 11, 29)).to_dict()
    (panel,) = (p for p in parts["vconcat"] if p["title"]["text"] == ["Training time by slots"])
    rows = parts["datasets"][panel["layer"][0]["data"]["name"]]
    (found,) = answer.by_slots
    assert {row["line"]: row["seconds"] for row in rows} == {
        "training": found.train_seconds.mean,
        "all steps over the slots": found.work_seconds.mean / 8,
        "longest chain of steps": found.critical_path_seconds.mean,
    }


SLOTS_REFUSED = {
    ("--slots", "0"): "--slots: cannot read '0': write 8 or 1,2,4,8, each 1 to 4,096",
    ("--slots", "1,,2"): "--slots: cannot read '1,,2'",
    ("--gpus", "1,2,3,4,5,6,7"): "--gpus: cannot read '1,2,3,4,5,6,7': write 8 or 1,2,4,8",
    ("--gpus", "8", "--slots", "8"): "--gpus 8 is --slots 8 of CUDA: leave out one",
    ("--gpus", "8", "--device", "cpu"): "--gpus 8: the device is cpu, so give --slots",
}


@pytest.mark.parametrize("options", SLOTS_REFUSED)
@pytest.mark.parametrize("command", ["frontier", "explain"])
def test_numbers_of_slots_that_make_no_sense_are_one_line(advisor, command, options):
    refused = advisor(command, "2xmlp-1-8", "--dataset", "digits", *options)
    assert refused.code == 2
    assert SLOTS_REFUSED[options] in refused.error_line


@pytest.mark.slow
def test_where_nothing_was_measured_the_front_is_that_of_ratios(advisor, home):
    answer = advisor("frontier", "2xmlp-1-8", "--dataset", "digits", "--epochs", "5", "--json").json
    assert not home.exists()
    assert all(row["train_seconds"] is row["cost_usd"] is None for row in answer["rows"])
    assert any(row["on_front"] for row in answer["rows"])
    assert all(row["time_over_full_data"]["mean"] > 0 for row in answer["rows"])
    assert answer["evidence"]["cost"] == "nominal"


def test_a_price_may_be_set_once_for_all_commands(advisor, home, measured_home, tmp_path):
    shutil.copytree(measured_home.path, home)
    (tmp_path / "work" / "advisor.toml").write_text('price-per-hour = "v100"\n[whatif]\nprice-per-hour = 1\n')
    asked = ("--dataset", "digits")
    answer = advisor("frontier", "2xresnet-8-4", *asked, "--epochs", "5", "--json").json
    assert answer["price_per_hour_usd"] == 3.06
    assert advisor("runs", "show", "1", "--json").json["run"]["cost_usd"] == pytest.approx(100 / 3600 * 3.06)
    shown = advisor("runs", "compare", "1", "3", "--price-per-hour", "36").out
    assert "training, USD" in shown
    assert "1.00" in shown
    change = advisor("whatif", "resnet-8-4", *asked, "--base-epochs", "5", "--epochs", "x2", "--json").json
    assert change["price_per_hour_usd"] == 1
    before, after = (change[side]["predicted"] for side in ("before", "after"))
    assert after["cost_usd"]["mean"] == pytest.approx(after["train_seconds"]["mean"] / 3600)
    assert after["cost_usd"]["mean"] > before["cost_usd"]["mean"]


def test_without_a_price_nothing_is_said_of_money(advisor, home, measured_home):
    shutil.copytree(measured_home.path, home)
    assert "USD" not in advisor("runs", "show", "1").out
    assert advisor("runs", "show", "1", "--json").json["run"]["cost_usd"] is None
    assert "USD" not in advisor("runs", "compare", "1", "3").out
    assert Home(home).database.exists()
