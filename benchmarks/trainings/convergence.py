"""Predicted epochs to convergence of trainings on data sets that were left out.

    python benchmarks/trainings/convergence.py   # seconds; writes results/convergence-cpu.json

The trainings are the single networks of `advice_train.py` and of `grid2_train.py` at the recipe's weight
decay. Each was trained for a whole schedule. A patience P would have ended it P epochs after its last gain:
that is replayed. The forecast is the program's own (`advisor.plans.convergence`), from the trainings on all
other origins of images: no part of Fashion-MNIST teaches another part.

**Validation errors stand in for training errors.** The rule of the program is a gain in *training* accuracy.
The grids have validation errors alone, of a few hundred images. So the figures tell how well the forecast
learns the end of one kind of curve from other data, and not what the epochs of the rule are.

Schedules have 4 to 48 epochs, fewer than the rule of 15 was made for, so smaller patiences are replayed as
well. A training of at most P epochs tells nothing and is left out. One whose patience never ran out has all
its epochs. Beside the forecast stand the prior alone, without any training, and the plain guess that every
training runs all its epochs.
"""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from advisor.designs.design import parse_design
from advisor.estimate import Estimate
from advisor.plans.convergence.kinds import Kind
from advisor.plans.convergence.predictor import EpochPredictor, TrainedStep, epochs_to_convergence
from advisor.plans.recipes.choice import RecipeName, ending
from advisor.plans.recipes.table import recipe_of
from advisor.plans.schedule import PATIENCE, PlateauSchedule

FOLDER = Path(__file__).parent / "results"
GRIDS, RESULT = ("advice-cpu.csv", "grid2-cpu.csv"), FOLDER / "convergence-cpu.json"
# As in grid2.py, whose import would make folders of images.
SET_ASIDE = "letters"
PATIENCES = (3, 5, 8, PATIENCE)


@dataclass(frozen=True, slots=True)
class Training:
    """A single network that was trained for a whole schedule.

    Attributes:
        origin: what all parts of one source of images share.
        step: the training as evidence, with its validation errors in the place of training errors.
    """

    origin: str
    step: TrainedStep


def trainings(folder: Path = FOLDER) -> list[Training]:
    """Return the single networks of the grids at the recipe's weight decay."""
    found = []
    for name in GRIDS:
        with (folder / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            members = parse_design(row["design"]).members
            of_recipe = float(row.get("weight_decay") or 1) == 1
            if len(members) == 1 and of_recipe and row["dataset"] != SET_ASIDE:
                found.append(_training(row, members[0].family))
    return found


def _training(row: dict[str, str], family: str) -> Training:
    curve = tuple(float(error) for error in row["member_curve"].split(";"))
    step = TrainedStep(
        dataset=row["dataset"],
        family=family,
        kind=Kind.MEMBER,
        epochs=int(row["epochs"]),
        falling=True,
        train_errors=curve,
    )
    return Training(row["dataset"].partition("-")[0], step)


def schedule_of(step: TrainedStep, patience: int) -> PlateauSchedule:
    """Return the schedule that a training would have had with a patience."""
    schedule = ending(recipe_of(step.family, step.dataset).schedule(step.epochs), RecipeName.OURS, patience)
    assert isinstance(schedule, PlateauSchedule)
    return schedule


@dataclass(frozen=True, slots=True)
class Replay:
    """A training and its forecast.

    Attributes:
        origin: origin of its images.
        epochs: most epochs of its schedule.
        actual: epochs after which the patience ends it, all if it does not.
        ended: whether the patience ends it.
        forecast: forecast of the program.
    """

    origin: str
    epochs: int
    actual: int
    ended: bool
    forecast: Estimate


def replayed(given: Sequence[Training], patience: int, *, learned: bool) -> list[Replay]:
    """Return every training that a patience could have ended, with its forecast.

    Args:
        given: the trainings.
        patience: epochs without a gain that end a training.
        learned: whether trainings on other origins are evidence; else the prior stands alone.
    """
    found = []
    for origin in sorted({t.origin for t in given}):
        others = tuple(t.step for t in given if t.origin != origin)
        predictor = EpochPredictor(others if learned else ())
        for step in (t.step for t in given if t.origin == origin and t.step.epochs > patience):
            ended = epochs_to_convergence(step.train_errors, patience)
            forecast = predictor.predict(step.dataset, step.family, step.kind, schedule_of(step, patience))
            found.append(Replay(origin, step.epochs, ended or step.epochs, ended is not None, forecast))
    return found


def figures(replays: Sequence[Replay]) -> dict[str, float | int]:
    """Return the miss, the coverage and the width of forecasts."""
    misses = [abs(each.forecast.mean / each.actual - 1) for each in replays]
    inside = [each.forecast.low <= each.actual <= each.forecast.high for each in replays]
    widths = [each.forecast.high / each.forecast.low for each in replays]
    return {
        "trainings": len(replays),
        "median_miss": round(float(np.median(misses)), 3),
        "mean_miss": round(float(np.mean(misses)), 3),
        "inside_90": round(float(np.mean(inside)), 3),
        "median_high_over_low": round(float(np.median(widths)), 2),
    }


def of_patience(given: Sequence[Training], patience: int) -> dict[str, Any]:
    """Return the figures of a patience, in all, where it ends a training, and by origin of the images."""
    learned = replayed(given, patience, learned=True)
    ended = [each for each in learned if each.ended]
    origins = dict.fromkeys(each.origin for each in learned)
    return {
        "patience": patience,
        "ended_by_the_rule": len(ended),
        "forecast": figures(learned),
        "forecast_of_those_ended": figures(ended),
        "prior_alone": figures(replayed(given, patience, learned=False)),
        "all_epochs_mean_miss": round(float(np.mean([r.epochs / r.actual - 1 for r in learned])), 3),
        "by_origin": {o: figures([each for each in learned if each.origin == o]) for o in origins},
    }


def main() -> None:
    given = trainings()
    result = {
        "device": "x86_64 CPU, 2 cores",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "scipy")},
        "date": datetime.now(UTC).date().isoformat(),
        "curves": "validation errors; the grids have no training errors",
        "trainings": len(given),
        "datasets": sorted({t.step.dataset for t in given}),
        "set_aside": SET_ASIDE,
        "patiences": [of_patience(given, patience) for patience in PATIENCES],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    for row in result["patiences"]:
        print({k: v for k, v in row.items() if k != "by_origin"})


if __name__ == "__main__":
    main()
