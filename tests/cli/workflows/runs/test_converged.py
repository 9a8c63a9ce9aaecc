"""Training until convergence by the command line: stored, shown, learned from, cut short by kill -9."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest

from advisor.plans.convergence.kinds import train_steps
from advisor.plans.schedule import PlateauSchedule
from cli.workflows.forecast import machine
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.runs import extend as extension
from cli.workflows.runs import train as training
from db.session import open_store

DESIGN = "2xmlp-1-8@g1"
CONVERGING = ("--dataset", "digits", "--recipe", "published", "--patience", "1", "--epochs", "15")
REQUEST = PlanRequest(
    target=DESIGN, dataset="digits", recipe="published", patience=1, epochs=15, device="cpu"
)


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """Plans of one process, which train in this one, without a look at the data and forecasts of the cost."""
    nothing = SimpleNamespace(priced=None, forecast=None)
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    monkeypatch.setattr(training, "forecast_plan", lambda plan, store, **others: nothing)
    monkeypatch.setattr(extension, "forecast_of_added", lambda *given: None)
    for workflow in (training, extension):
        monkeypatch.setattr(workflow, "look_once", lambda *given: None)


def test_a_run_to_convergence_is_stored_shown_learned_from_and_extended(advisor, home):
    made = advisor("train", DESIGN, *CONVERGING, "--seed", "3", "--json", "--quiet")
    assert made.code == 0, made.err
    networks = {n["name"]: n for n in made.json["run"]["networks"]}
    assert made.json["run"]["batch"] == 256
    for network in networks.values():
        assert network["epochs"] <= 15
        expected = network["predicted_epochs"]
        assert 2 <= expected["low"] <= expected["mean"] <= expected["high"] <= 15

    # Actual beside predicted, for a program and for a person.
    steps = {s["step"]: s for s in advisor("explain", "last", "--json").json["steps"]}
    mother = steps["train mother-1"]
    assert mother["actual_epochs"] == networks["mother-1"]["epochs"]
    assert mother["converging_epochs"] == networks["mother-1"]["predicted_epochs"]
    assert (mother["schedule"], mother["most_epochs"]) == ("rate 0.1, until 1 epoch without a gain", 15)
    shown = advisor("explain", "last").out
    assert "train mother-1 and 2 more: rate 0.1, until 1 epoch without a gain, at most 15 epochs." in shown
    assert "epochs trained" in shown
    assert "at most 15 epochs (1 without a gain)" in shown
    assert "predicted" in advisor("runs", "show", "last").out

    # The run is evidence for the next one, whose expectation moves to what it took.
    with open_store(home / "advisor.sqlite") as store:
        run = store.run(1)
        before = {s.id: s.schedule.expected for s in train_steps(planned_target(REQUEST).plan)}
        learned = {
            s.id: s.schedule.expected for s in train_steps(planned_target(REQUEST).with_settings(store))
        }
        actual = store.epoch_counts(1)
        assert store.train_errors([1])[1].keys() == actual.keys()
    for step, epochs in actual.items():
        assert abs(learned[step] - epochs) <= abs(before[step] - epochs)
    assert learned != before

    # What extends it trains alike, and keeps what was expected of the old steps.
    wider = advisor("extend", "1", "--add-members", "mlp-1-12", "--json", "--quiet")
    assert wider.code == 0, wider.err
    with open_store(home / "advisor.sqlite") as store:
        steps = list(train_steps(store.run(2).plan))
    assert tuple(s.schedule for s in steps[:3]) == tuple(s.schedule for s in train_steps(run.plan))
    assert isinstance(steps[3].schedule, PlateauSchedule)
    assert (steps[3].schedule.patience, steps[3].schedule.following) == (1, None)


def test_a_plan_before_training_shows_the_schedule_of_every_step(advisor):
    out = advisor("explain", "2xmlp-1-8@g1", "--dataset", "digits", "--epochs", "20").out
    assert "train mother-1: rate 0.1, times 0.1 after 8 and 16 epochs, 20 epochs." in out
    assert "train member-1 and 1 more: rate 0.1 to 0 along a cosine, 6 epochs." in out
    tiny = advisor("explain", "densenet-10-4", "--dataset", "tiny-imagenet", "--json").json
    assert (tiny["plan"]["batch"], tiny["plan"]["epochs"]) == (64, 90)
    (step, _) = tiny["steps"]
    assert (step["schedule"], step["most_epochs"]) == ("rate 0.1, times 0.1 after 30 and 60 epochs", 90)
    assert step["converging_epochs"] is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("train", "2xmlp-1-8", "--method", "snapshot", "--until-converged"), "leave out --until-converged"),
        (("explain", "2xmlp-1-8", "--method", "fge", "--patience", "3"), "fge trains in cycles"),
        (("train", "mlp-1-8", "--patience", "0"), "patience must be at least 1 epoch"),
        (("train", "mlp-1-8", "--recipe", "theirs"), "unknown recipe"),
        (("recommend", "--budget", "9k", "--epochs", "4", "--recipe", "theirs"), "unknown recipe"),
        (("recommend", "--budget", "9k", "--epochs", "4", "--patience", "0"), "at least 1 epoch"),
        (("whatif", "mlp-1-8", "--patience", "-3"), "--patience must be a number of epochs"),
        (("whatif", "mlp-1-8", "--patience", "0", "--recipe", "published"), "ends at convergence"),
    ],
)
def test_what_cannot_converge_is_refused_in_one_line(advisor, arguments, reason):
    dataset = ("--dataset", "digits")
    refused = advisor(*arguments, *dataset)
    assert refused.code == 2
    assert reason in refused.error_line


def test_whatif_compares_a_fixed_length_with_convergence_and_another_recipe(advisor):
    answer = advisor(
        "whatif", "2xmlp-1-8", "--dataset", "digits", "--base-epochs", "90", "--patience", "5", "--json"
    )
    before, after = answer.json["before"]["plan"], answer.json["after"]["plan"]
    assert (before["patience"], after["patience"]) == (None, 5)
    assert (before["epochs"], after["epochs"]) == (90, 90)
    # It is forecast for the fewer epochs that it is expected to take.
    assert answer.json["after"]["change"]["test_error_difference"]["mean"] > 0
    published = advisor("whatif", "2xmlp-1-8", "--dataset", "digits", "--recipe", "published", "--json").json
    plan = published["after"]["plan"]
    assert (plan["recipe"], plan["patience"], plan["batch"]) == ("published", 15, 256)
    # What another batch does to the error is unknown.
    assert published["after"]["change"]["test_error_difference"] is None


def test_a_plan_follows_the_recipe_and_the_end_of_its_recommendation(tmp_path):
    request = {"budget": "9k", "dataset": "digits", "epochs": 40, "batch": 256, "seed": 5, "device": "cpu"}
    ending = {"recipe": "published", "until_converged": False, "patience": 6}
    rows = [{"design": "2xmlp-1-8"}, {"design": "2xmlp-1-8", "method": "snapshot"}]
    with open_store(tmp_path / "advisor.sqlite") as store:
        store.add_recommendation("", request | ending, {"recommendations": rows})
        first = planned_target(PlanRequest()).with_settings(store)
        own = planned_target(PlanRequest(patience=2)).with_settings(store)
        cycles = planned_target(PlanRequest(rank=2)).with_settings(store)
        fixed = planned_target(PlanRequest(recipe="ours")).with_settings(store)
        # Recommendations of older programs name neither.
        store.add_recommendation("", request, {"recommendations": rows})
        old = planned_target(PlanRequest()).with_settings(store)
    assert [s.schedule.patience for s in train_steps(first)] == [6, 6]
    assert [s.schedule.patience for s in train_steps(own)] == [2, 2]
    # Another recipe has a batch of its own.
    assert (first.batch, own.batch, fixed.batch) == (256, 256, 32)
    for plan in (cycles, fixed, old):
        assert not any(isinstance(s.schedule, PlateauSchedule) for s in train_steps(plan))


@pytest.mark.slow
def test_after_kill_9_a_training_converges_in_the_same_epoch_with_the_same_bits(
    command_apart, to_one_core, train_apart, tmp_path
):
    arguments = ("train", DESIGN, *CONVERGING[:-1], "40", "--seed", "5")
    whole, run = train_apart(arguments)
    home = tmp_path / "killed"
    command = [*command_apart, "--home", str(home)]
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=to_one_core,
    )
    lines = iter(process.stderr.readline, "")
    next(line for line in lines if "mother-1 epoch 3" in line)
    time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    resumed = subprocess.run(
        [*command, "resume", "--json", "--quiet"],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=to_one_core,
    )
    ended = json.loads(resumed.stdout)["run"]
    assert [n["epochs"] for n in ended["networks"]] == [n["epochs"] for n in run["networks"]]
    for network in ("mother-1", "member-1", "member-2"):
        folders = [place / "runs" / "0001" / "networks" / network for place in (home, whole)]
        newest = [max(folder.glob("*.safetensors")) for folder in folders]
        assert newest[0].name == newest[1].name
        assert newest[0].read_bytes() == newest[1].read_bytes()
