"""The replay of the rule of convergence on curves made by hand (benchmarks/trainings/convergence.py)."""

from __future__ import annotations

import csv
import importlib
import sys
from pathlib import Path

import pytest

from advisor.estimate import Estimate

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks" / "trainings"
COLUMNS = ("dataset", "design", "epochs", "member_curve", "weight_decay")
# Gains end after epoch 2, after epoch 6, never, and after epoch 1.
ROWS = (
    ("digits", "resnet-8-4", 6, "0.9;0.5;0.5;0.6;0.5;0.5", 1),
    ("fashion-14x14-400", "resnet-8-4", 8, "0.9;0.8;0.7;0.6;0.5;0.4;0.4;0.4", 1),
    ("fashion-28x28-500", "resnet-8-4", 4, "0.9;0.8;0.7;0.6", 1),
    ("icons", "resnet-14-4", 6, "0.9;0.9;0.9;0.9;0.1;0.1", 1),
)
LEFT_OUT = (
    ("letters", "resnet-8-4", 6, "0.9;0.5;0.5;0.6;0.5;0.5", 1),
    ("digits", "2xresnet-8-4", 6, "0.9;0.5;0.5;0.6;0.5;0.5", 1),
    ("digits", "resnet-8-4", 6, "0.9;0.5;0.5;0.6;0.5;0.5", 10),
)


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("convergence")
    sys.modules.pop("convergence", None)


@pytest.fixture
def given(script, tmp_path):
    for name, rows in zip(script.GRIDS, (ROWS[:1], ROWS[1:] + LEFT_OUT), strict=True):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    return script.trainings(tmp_path)


def test_single_networks_at_the_recipes_weight_decay_are_replayed_but_for_the_data_set_aside(given):
    assert [t.step.dataset for t in given] == [row[0] for row in ROWS]
    assert [t.origin for t in given] == ["digits", "fashion", "fashion", "icons"]


def test_a_training_ends_its_patience_after_the_last_gain_or_after_all_its_epochs(script, given):
    found = script.replayed(given, 3, learned=False)
    assert [(r.origin, r.actual, r.ended) for r in found] == [
        ("digits", 5, True),
        ("fashion", 8, False),
        ("fashion", 4, False),
        ("icons", 4, True),
    ]
    # A training of five epochs tells nothing of a patience of five.
    assert len(script.replayed(given, 5, learned=False)) == 3


def test_a_forecast_learns_from_no_training_on_images_of_the_same_origin(script, given, monkeypatch):
    taught = []

    class Noting(script.EpochPredictor):
        def predict(self, dataset, family, kind, schedule):
            assert (schedule.patience, schedule.following is None) == (3, False)
            taught.append((dataset, {step.dataset for step in self.evidence}))
            return Estimate(5.0, 4.0, 6.0)

    monkeypatch.setattr(script, "EpochPredictor", Noting)
    script.replayed(given, 3, learned=True)
    assert taught[1] == ("fashion-14x14-400", {"digits", "icons"})
    assert taught[0] == ("digits", {"fashion-14x14-400", "fashion-28x28-500", "icons"})


def test_miss_coverage_and_width_are_those_of_the_forecasts(script):
    forecast = Estimate(10.0, 8.0, 12.0)
    replays = [script.Replay("a", 20, actual, True, forecast) for actual in (10, 8, 20)]
    found = script.figures(replays)
    # |10/10 − 1|, |10/8 − 1| and |10/20 − 1|.
    assert (found["median_miss"], found["mean_miss"]) == (0.25, 0.25)
    assert found["inside_90"] == 0.667
    assert found["median_high_over_low"] == 1.5
