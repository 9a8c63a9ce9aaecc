"""A weight decay that earlier trainings speak for: in the advice, its plan, its training and its probes."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

import advisor
from advisor.accuracy.sources.reported import ReportedTraining
from advisor.decision.probes import probing
from advisor.plans.dataset import DATASETS
from advisor.plans.plan import TrainStep, plan_from_json
from cli.render.advice import recommendation
from cli.workflows.advise import recommend
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from db.session import open_store

DIGITS = DATASETS["digits"]
ASKED = ("recommend", "--dataset", "digits", "--budget", "12k", "--epochs", "20", "--family", "resnet")
ASKED = (*ASKED, "--members", "1", "--members", "2", "--device", "cpu")
ASKED = (*ASKED, "--profile-seconds", "0", "--trials", "12", "--probe", "0")
ARGUMENTS = {
    "dataset": "digits",
    "budget": "12k",
    "epochs": 20,
    "family": "resnet",
    "members": (1, 2),
    "device": "cpu",
    "profile_seconds": 0.0,
    "trials": 12,
    "probe": 0.0,
}


def training(design, error, weight_decay):
    """A training of members with one error, whose ensemble has as much."""
    return ReportedTraining(
        dataset=DIGITS.key,
        task=DIGITS.task,
        augmentation=DIGITS.augmentation,
        train_images=DIGITS.train_images,
        test_images=10_000,
        design=design,
        epochs=20,
        batch=32,
        seed=0,
        error=error,
        member_errors=(error,),
        device="a machine",
        date="2026-01-01",
        weight_decay=weight_decay,
    )


# What a multiple of the weight decay does to the error of every network.
EFFECT = {1.0: 1.0, 3.0: 0.85, 10.0: 0.7, 30.0: 0.58}
TRAININGS = [
    training(design, error * factor, multiple)
    for design, error in (("resnet-8-6", 0.06), ("resnet-14-4", 0.05))
    for multiple, factor in EFFECT.items()
]


def store_trainings(home):
    with open_store(Home(home).database) as store:
        store.add_reported(TRAININGS, source="elsewhere", imported_at="2026-01-01T00:00:00")


def steps_of(plan):
    return {step.weight_decay for step in plan.steps if isinstance(step, TrainStep)}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Neither the look at the data nor what to measure next is tested here."""
    monkeypatch.setattr(recommend, "look_once", lambda *_: None)
    monkeypatch.setattr(probing, "TRIALS", 2)


def test_the_weight_decay_that_trainings_speak_for_is_advised_shown_planned_and_trained(home, tmp_path):
    store_trainings(home)
    file = tmp_path / "plan.json"
    advice = advisor.recommend(**ARGUMENTS, save=file, home=home)
    rows, verdict = advice.recommendations, advice.verdict
    assert {row.tuned_weight_decay for row in rows} == {row.weight_decay for row in rows} == {3e-3}
    assert verdict.tuned_weight_decay == verdict.trade.against.tuned_weight_decay == 3e-3
    assert any(r.startswith("with weight decay 3e-3, 30 times the recipe's, for ") for r in rows[0].reasons)
    # The saved plan, and that of a row, are trained by it.
    saved = plan_from_json(file.read_text())
    assert steps_of(saved) == {3e-3}
    with open_store(Home(home).database) as store:

        def plan(**given):
            return planned_target(PlanRequest(**given)).with_settings(store)

        assert plan().steps == saved.steps
        assert steps_of(plan(rank=2)) == {3e-3}
        # A user's own word counts, and it was chosen for these data only.
        assert steps_of(plan(rank=1, weight_decay=5e-4)) == {5e-4}
        assert steps_of(plan(rank=1, dataset="fashion-mnist")) == {1e-4}
    console = Console(file=io.StringIO(), width=80)
    console.print(recommendation(advice))
    text = console.file.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    sentence = " ".join(text.split())
    assert "with weight decay 3e-3: " in sentence or "with weight decay 3e-3 has " in sentence
    # In the cell of every design's name.
    assert text.count("weight decay 3e-3") > len(rows)


@pytest.mark.slow
def test_off_as_a_setting_keeps_the_published_recipe(advisor, home, tmp_path):
    store_trainings(home)
    (tmp_path / "work" / "advisor.toml").write_text('[recommend]\ntune = "off"\n')
    file = tmp_path / "plan.json"
    found = advisor(*ASKED, "--save", str(file), "--json").json
    assert found["request"]["tune"] == "off"
    rows = found["recommendations"]
    assert {(row["weight_decay"], row["tuned_weight_decay"]) for row in rows} == {(1e-4, None)}
    assert found["verdict"]["tuned_weight_decay"] is None
    assert steps_of(plan_from_json(file.read_text())) == {1e-4}
    assert "weight decay" not in json.dumps([row["reasons"] for row in rows])


def test_another_word_is_refused(advisor):
    probing = ("probe", "--dataset", "digits", "--minutes", "1", "--budget", "12k", "--epochs", "2")
    for asked in (ASKED, probing):
        refused = advisor(*asked, "--tune", "on")
        assert refused.code == 2
        assert "--tune" in refused.error_line
        assert "auto, off" in refused.error_line
