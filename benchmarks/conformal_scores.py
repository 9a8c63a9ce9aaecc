"""Scores of forecasts for the conformal correction of intervals: `advisor/shipped_scores.json`.

    python benchmarks/conformal_scores.py     # four minutes; measures and trains nothing

A score is the distance of an outcome from the forecast mean, in half widths of the interval
(`advisor.conformal`). All forecasts are made anew from committed results, without any correction:

- time, memory and latency: the networks of the test set of cost/cost_model.py, which were measured twice in
  fresh processes, on one machine. The predictor has `FEW` or each of `MEASURED` measurements of the pool,
  chosen as the program chooses them. Outcomes are as measured: the mean of both measurements, not
  normalised to a usual speed.
- error: every training of the grids of trainings/ with its test error. `prior`: the predictor knows no
  training of the origin of the data set (all parts of Fashion-MNIST have one origin). `data`: it also has
  the errors of simple classifiers (trainings/results/data_level-cpu.json); the line through them is fitted
  without that origin. `runs`: it also has the trainings on the data set at all other budgets that
  cost a tenth of the grid (`advice_replay.evidence`).

Trainings on the data set that `grid2.py` sets aside are not read. The file has at most `MOST_SCORES` evenly
spaced order statistics of a group: an origin, or the machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path += [str(HERE / "cost"), str(HERE / "trainings")]

import cost_measure  # noqa: E402
from advice2_level import known  # noqa: E402
from advice_replay import Training, evidence, read  # noqa: E402
from cost_model import Truth, chosen, measurement  # noqa: E402
from cost_predictors import TASK, ours  # noqa: E402
from grid2 import SET_ASIDE  # noqa: E402
from pooled import GRIDS, origin_of  # noqa: E402

from advisor.accuracy import pooled  # noqa: E402
from advisor.accuracy.data_level import DataLevel  # noqa: E402
from advisor.accuracy.predictor import AccuracyPredictor  # noqa: E402
from advisor.conformal import (  # noqa: E402
    CostBasis,
    ErrorBasis,
    Key,
    Quantity,
    ShippedScores,
    conformal_quantile,
    score_of,
)
from advisor.cost.predictor import CostPredictor  # noqa: E402
from advisor.designs.design import parse_design  # noqa: E402
from advisor.plans.dataset import learned_name  # noqa: E402
from advisor.shipped_scores import FILE  # noqa: E402
from cli.workflows.forecast.evidence import evidence_of_reported  # noqa: E402

DEVICE = "cpu"
FEW, MEASURED = (5,), (12, 40)
LEVELS = HERE / "trainings" / "results" / "data_level-cpu.json"
MOST_SCORES, MOST_SCORE = 50, 99.0
# Scores by quantity, basis and group.
Found = dict[Key, dict[str, list[float]]]


def cost_scores(found: Found) -> None:
    """Add the scores of time, memory and latency of networks that were not measured."""
    rows = cost_measure.read(HERE / "cost" / "results" / f"cost_model-{DEVICE}.jsonl")
    pool = [measurement(row, DEVICE) for row in rows if row["kind"] == "pool"]
    truth = Truth([row for row in rows if row["kind"] == "test"], None)
    for basis, counts in ((CostBasis.FEW_MEASUREMENTS, FEW), (CostBasis.MEASUREMENTS, MEASURED)):
        for count in counts:
            taken = chosen(pool, count, DEVICE)
            predictor = CostPredictor(taken, cost_measure.execution_on(DEVICE))
            assert predictor.basis == basis
            for quantity, figure, forecast in (
                (Quantity.TIME, "epoch_seconds", ours(taken, DEVICE)),
                (Quantity.LATENCY, "inference", _interval(predictor.inference_seconds)),
                (Quantity.MEMORY, "peak_bytes", _interval(predictor.training_peak_bytes)),
            ):
                of_group = found.setdefault((quantity, basis), {}).setdefault("one CPU of two cores", [])
                for (network, batch), actual in truth.of(figure).items():
                    low, mean, high = forecast(network, batch)
                    of_group.append(score_of(actual, (mean, low, high)))


def _interval(predict):
    def ends(network: str, batch: int) -> tuple[float, float, float]:
        estimate = predict(network, TASK, batch)
        return estimate.low, estimate.mean, estimate.high

    return ends


def trainings(files: Sequence[Path] = GRIDS) -> Iterator[Training]:
    """Yield the trainings of the grids; lines of the data set that is set aside are never parsed."""
    for file in files:
        lines = file.read_text().splitlines(keepends=True)
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / file.name
            kept.write_text("".join(line for line in lines if not line.startswith(f"{SET_ASIDE},")))
            yield from read(kept)


def error_scores(found: Found) -> None:
    """Add the scores of the error of every training, on each basis."""
    everything = list(trainings())
    looks = {row["dataset"]: row for row in json.loads(LEVELS.read_text())["rows"]}
    for dataset in sorted({t.reported.dataset for t in everything}):
        own = [t for t in everything if t.reported.dataset == dataset]
        level = [known(own[0].reported.facts, looks[dataset]).level] if dataset in looks else []

        def add(
            basis: ErrorBasis,
            asked: Sequence[Training],
            levels: Sequence[DataLevel] = (),
            seen: Sequence[Training] = (),
            dataset: str = dataset,
        ) -> None:
            of_group = found.setdefault((Quantity.ERROR, basis), {}).setdefault(origin_of(dataset), [])
            of_group += _scores(asked, seen, levels)

        add(ErrorBasis.PRIOR, own)
        if level:
            add(ErrorBasis.DATA, own, level)
        for budget in sorted({t.budget for t in own}):
            seen = evidence(own, budget=budget)
            if seen:
                add(ErrorBasis.RUNS, [t for t in own if t.budget == budget], level, seen)
        print(f"{dataset}: {len(own)} trainings", flush=True)


def _scores(
    asked: Sequence[Training], seen: Sequence[Training], levels: Sequence[DataLevel]
) -> Iterator[float]:
    """Yield the score of the forecast for every training; those of one design have one forecast."""
    first = asked[0].reported
    name = learned_name(first.dataset, first.augmentation)
    others = pooled._read()
    accuracy = AccuracyPredictor(
        [name],
        evidence_of_reported([t.reported for t in seen]),
        levels=levels,
        pooled=others.get(origin_of(first.dataset)) or others[pooled.NOTHING],
        images={name: first.train_images},
    )
    alike: dict[tuple[int, str, float], list[Training]] = {}
    for t in asked:
        alike.setdefault((t.reported.epochs, t.reported.design, t.reported.weight_decay), []).append(t)
    for (epochs, text, weight_decay), group in alike.items():
        design = parse_design(text)
        draws = accuracy.sample_errors([design], name, first.task, epochs, weight_decays=[weight_decay])
        images = group[0].reported.test_images
        e = accuracy.predict(draws[:, 0], accuracy.seed_std(design, name), images)
        for t in group:
            yield score_of(t.reported.error, (e.mean, e.low, e.high), 0.5 / images)


def entry(key: Key, groups: Mapping[str, Sequence[float]]) -> dict:
    """Return the part of the file for a quantity on a basis."""
    quantity, basis = key
    return {
        "quantity": quantity.value,
        "basis": str(basis),
        "forecasts": sum(map(len, groups.values())),
        "groups": {name: thinned(scores) for name, scores in groups.items()},
    }


def thinned(scores: Sequence[float]) -> list[float]:
    """Return evenly spaced order statistics, at most `MOST_SCORES`, each at most `MOST_SCORE`."""
    number = min(len(scores), MOST_SCORES)
    found = np.quantile(
        np.minimum(scores, MOST_SCORE), (np.arange(number) + 0.5) / number, method="inverted_cdf"
    )
    return [round(float(x), 3) for x in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=FILE, help="JSON file that is written")
    given = parser.parse_args()
    found: Found = {}
    cost_scores(found)
    error_scores(found)
    for (quantity, basis), groups in found.items():
        shipped = ShippedScores(tuple(map(tuple, groups.values())), 0)
        weighted = [(s, 1 / len(g) / len(shipped.groups)) for g in shipped.groups for s in g]
        inside = {name: f"{np.mean(np.array(scores) <= 1):.0%}" for name, scores in groups.items()}
        alone = conformal_quantile([(s, 30 * w) for s, w in weighted])
        print(f"{quantity:8}{basis:18} inside {inside}, factor {alone:.2f}, {sum(map(len, groups.values()))}")
    given.file.write_text(
        json.dumps(
            {
                "python": platform.python_version(),
                "versions": {name: version(name) for name in ("numpy", "scipy")},
                "date": datetime.now(UTC).date().isoformat(),
                "scores": [entry(key, groups) for key, groups in found.items()],
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
