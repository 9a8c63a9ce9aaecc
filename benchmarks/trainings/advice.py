"""How good is the advice? The grid of `advice_train.py` replayed as if only part of it had been trained.

    python benchmarks/trainings/advice.py                # under a minute; trains nothing
    python benchmarks/trainings/advice.py --file F.csv   # another grid; the result goes beside it

Every budget is held out once: the accuracy predictor learns from a tenth of the grid at the other budgets,
and then predicts the errors at this one. Every data set is held out once in the same way. `advice_replay.py`
has the rules of the evidence, `advice_regret.py` the regret and the rules that compete with the advice, and
`advice_claims.py` the published claims. Errors are those on test images. Forecasts are for whole schedules.

1. Regret of the design of least predicted error, among all designs of a cell with the long schedule.
2. Regret of the competing rules:

   - always the single network;
   - always the depth-equivalent ensemble of four;
   - the published threshold (1.25M parameters and half of the epochs) as printed, and with its parameters
     scaled by the values of an image (our extension);
   - a random design;
   - successive halving at the held-out budget, for as many core seconds as the evidence from that data set
     took, and for that time divided by the number of budgets. The second figure is there because nearly the
     same evidence answers every budget.
3. Single network or ensemble: share of right choices among cells where one leads by more than a standard
   error over seeds. The ensemble that a seed scores is the best one on the other seeds. Cells of short
   schedules have only the depth-equivalent ensemble of four.
4. The threshold: the first point from which on the ensemble leads. Along budgets the ensemble is the best one
   of long schedules, or the depth-equivalent one of four; along epochs it is the latter. The figure is the
   largest error in steps of the grid.
5. Coverage of 90 % intervals on the errors of single trainings, with all schedules and seeds. The count is
   the number of designs.
6. Epochs until the validation error of an independent ensemble reaches the final one of the single network,
   on curves of the long schedule (means over seeds).

Intervals are 90 % intervals: over cells by bootstrap, over seeds by Student's t. A verdict is open where the
limit lies within the interval. No clock is read: the same file gives the same result,
results/advice-cpu.json.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from advice_claims import claims, hatched_more, shallow_less
from advice_intervals import bootstrapped, coverage, verdict
from advice_regret import EST_MEMBERS, raw_regret, regret, rules
from advice_replay import Cell, Forecast, Grid, Training, lasting, lead, reached, read
from scipy.stats import binomtest

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.designs.design import parse_design
from advisor.plans.dataset import learned_name
from cli.workflows.forecast.evidence import evidence_of_reported

RESULTS = Path(__file__).parent / "results"
SEED = 0
REGRET_GOAL, CLASS_GOAL, STEPS_GOAL, REJECTED, SOONER_GOAL = 0.3, 0.9, 1.0, 0.05, 0.25


def advised(seen: Sequence[Training], asked: Sequence[Cell]) -> list[Forecast]:
    """Forecasts of the advisor's accuracy predictor."""
    names = [learned_name(cell.reported.dataset, cell.reported.augmentation) for cell in asked]
    predictor = AccuracyPredictor(sorted(set(names)), evidence_of_reported([t.reported for t in seen]), SEED)
    return [
        replace(
            forecast_of(predictor, cell, name), reaching=reaching(predictor, cell, name) if cell.whole else {}
        )
        for cell, name in zip(asked, names, strict=True)
    ]


def forecast_of(predictor: AccuracyPredictor, cell: Cell, name: str) -> Forecast:
    """Return the forecast of all designs of a cell, trained with the weight decay of the recipe.

    Args:
        predictor: predictor of the errors.
        cell: the cell.
        name: name that errors on its data are learned under.
    """
    designs = [parse_design(d) for d in cell.runs]
    draws = predictor.sample_errors(designs, name, cell.reported.task, cell.epochs)
    stds = [predictor.seed_std(design, name) for design in designs]
    counted, exact = (
        [predictor.predict(draws[:, i], std, images, key=i) for i, std in enumerate(stds)]
        for images in (cell.reported.test_images, None)
    )
    return Forecast(
        error=dict(zip(cell.runs, draws.mean(axis=0).tolist(), strict=True)),
        ends=dict(zip(cell.runs, [(r.low, r.high) for r in counted], strict=True)),
        seeds=dict(zip(cell.runs, stds, strict=True)),
        factors=dict(zip(cell.runs, [r.high / r.low for r in exact], strict=True)),
    )


def reaching(predictor: AccuracyPredictor, cell: Cell, name: str) -> dict[str, float]:
    """Return the predicted epochs until independent ensembles have the single network's final error."""
    if cell.single is None:
        return {}
    task, epochs = cell.reported.task, cell.epochs
    target = predictor.sample_errors([parse_design(cell.single)], name, task, epochs)[:, 0]
    return {
        design: float(
            np.median(
                predictor.epochs_until(target, parse_design(design), name, task, epochs, len(cell.seeds))
            )
        )
        for design in cell.named(["deq", "weq", "mixed"], independent=True)
    }


def figure(name: str, value: float | None, ends: Sequence = (None, None), **more: object) -> dict:
    return {"figure": name, "value": value, "low": ends[0], "high": ends[1], **more}


# 1 and 2.


def regrets(grid: Grid) -> list[dict]:
    """Return the mean regret of every rule, and the regret that advice saves against each other rule."""
    found, ours = [], {}
    for name, rule in rules(grid).items():
        values = {c.key: r for c in grid.whole if (r := regret(c, rule)) is not None}
        raw = [r for c in grid.whole if (r := raw_regret(c, rule)) is not None]
        mean = bootstrapped(values)
        ends = mean["low"], mean["high"]
        row = figure(f"regret, points: {name}", mean["mean"], ends, count=len(values))
        row |= {"raw": float(np.mean(raw)) if raw else None, "raw_cells": len(raw)}
        if name == "advice":
            ours = values
            row |= {"goal": f"≤ {REGRET_GOAL}", "verdict": verdict(mean["mean"], REGRET_GOAL, ends)}
        else:
            less = bootstrapped({k: ours[k] - values[k] for k in values if k in ours})
            state = verdict(less["mean"], 0.0, (less["low"], less["high"]))
            # The goal is a lower regret, so an equal one misses it.
            state = "missed" if less["mean"] == 0 else state
            row |= {"advice_minus_this": less, "goal": "advice lower", "verdict": state}
        found.append(row)
    return found


# 3.


def classes(grid: Grid) -> list[dict]:
    found: dict[str, list[tuple[bool, bool]]] = {"long": [], "short": []}
    for cell in grid.cells:
        leads = lead(cell, cell.ensembles)
        if len(leads) < 2:
            continue
        gap, error = np.mean(leads), np.std(leads, ddof=1) / np.sqrt(len(leads))
        if abs(gap) > error:
            forecast = grid.by_budget[cell.place].lead(cell, cell.ensembles)
            found["long" if cell.whole else "short"].append(((forecast > 0) == (gap > 0), bool(gap > 0)))
    found["all"] = found["long"] + found["short"]
    rows = []
    for name, pairs in found.items():
        right, ensembles = [r for r, _ in pairs], [e for _, e in pairs]
        share = float(np.mean(right)) if right else None
        ends = tuple(binomtest(sum(right), len(right)).proportion_ci(0.9)) if right else (None, None)
        row = figure(f"class right, {name} schedules", share, ends, count=len(right))
        row |= {"always_ensemble": float(np.mean(ensembles)) if ensembles else None}
        rows.append(
            row | {"goal": f"≥ {CLASS_GOAL}", "verdict": verdict(share, CLASS_GOAL, ends, least=True)}
        )
    return rows


# 4.


def thresholds(grid: Grid) -> list[dict]:
    """Return the steps between the real and the predicted threshold, along budgets and along epochs."""
    by_size = {(d,): grid.row(d) for d in grid.datasets}
    by_epochs = {
        key: [c for c in grid.cells if c.key == key] for key in dict.fromkeys(c.key for c in grid.cells)
    }
    rows = []
    for name, lines, members in (
        ("parameters", by_size, None),
        (f"parameters, deq of {EST_MEMBERS}", by_size, EST_MEMBERS),
        ("epochs", by_epochs, EST_MEMBERS),
    ):
        places = {}
        for key, line in lines.items():
            pairs = [pair for c in line if (pair := _leads(grid, c, members))]
            if len(pairs) > 1:
                real, forecast = (lasting(leads) for leads in zip(*pairs, strict=True))
                places[" ".join(map(str, key))] = {"real": real, "foretold": forecast, "points": len(pairs)}
        steps = [abs(p["real"] - p["foretold"]) for p in places.values()]
        worst = float(max(steps)) if steps else None
        row = figure(f"EST in {name}: largest miss, steps", worst, count=len(steps), positions=places)
        row |= {"mean": float(np.mean(steps)) if steps else None}
        rows.append(row | {"goal": f"≤ {STEPS_GOAL:g}", "verdict": verdict(worst, STEPS_GOAL)})
    return rows


def _leads(grid: Grid, cell: Cell, members: int | None) -> tuple[float, float] | None:
    """Return the real and the predicted lead of the best ensemble.

    Args:
        grid: grid of trainings.
        cell: cell of the grid.
        members: number of members of the depth-equivalent ensemble to take instead; None for the best of all.
    """
    ensembles = cell.rivals(members)
    leads = lead(cell, ensembles)
    forecast = grid.by_budget[cell.place]
    return (float(np.mean(leads)), forecast.lead(cell, ensembles)) if leads else None


# 5.


def intervals(grid: Grid) -> list[dict]:
    rows = []
    for name, forecasts in (("budgets", grid.by_budget), ("data sets", grid.by_dataset)):
        covered: dict[object, list[bool]] = {}
        parts: dict[str, list[bool]] = {}
        seeds: dict[str, list[tuple[float, float]]] = {}
        widths = []
        for cell in grid.cells if forecasts else ():
            ends = forecasts[cell.place].ends
            for design, runs in cell.runs.items():
                low, high = ends[design]
                inside = [low <= t.reported.error <= high for t in runs.values()]
                covered.setdefault((*cell.key, design), []).extend(inside)
                part = f"{cell.dataset}, {'long' if cell.whole else 'cut'} schedules"
                parts.setdefault(part, []).extend(inside)
                if len(runs) > 1 and design in forecasts[cell.place].seeds:
                    pair = _variances(runs.values(), forecasts[cell.place].seeds[design])
                    seeds.setdefault(part, []).append(pair)
                widths += [100 * (high - low)] * len(inside)
        found = coverage(covered, widths)
        row = figure(f"intervals at held-out {name}: share held", found["share"], count=found["designs"])
        row |= {"p": found["p"], "width": found["width"], "trainings": found["trainings"]}
        row |= {"parts": {part: float(np.mean(inside)) for part, inside in parts.items()}}
        row |= {"seeds": {part: np.sqrt(np.mean(pairs, axis=0)).tolist() for part, pairs in seeds.items()}}
        state = verdict(found["p"], REJECTED, least=True)
        rows.append(row | {"goal": f"p ≥ {REJECTED} for 90 %", "verdict": state})
    return rows


def _variances(runs: Iterable[Training], seed_std: float) -> tuple[float, float]:
    """Return the variance of the log error of a design between its seeds, measured and predicted."""
    counts = [max(t.reported.error * t.reported.test_images, 0.5) for t in runs]
    return float(np.var(np.log(counts), ddof=1)), seed_std**2 + 1 / float(np.mean(counts))


# 6.


def sooner(grid: Grid) -> list[dict]:
    """Return the relative error of the predicted epochs until the final error of the single network."""
    errors, real, asked = [], 0, 0
    for cell in grid.whole:
        predicted = grid.by_budget[cell.place].reaching
        for design in cell.named(["deq", "weq", "mixed"], independent=True):
            if cell.single is None or not cell.seeds:
                continue
            asked += 1
            curves = {d: cell.mean_curve(d) for d in (design, cell.single)}
            if epochs := reached(curves[design], curves[cell.single][-1]):
                real += 1
                errors += [abs(predicted[design] / epochs - 1)] if design in predicted else []
    middle = float(np.median(errors)) if errors else None
    state = verdict(middle, SOONER_GOAL) if errors else "not predicted" if real else "not evaluated"
    row = figure("time to accuracy: median relative error", middle, count=len(errors), real=real)
    row |= {"asked": asked}
    return [row | {"goal": f"≤ {SOONER_GOAL}", "verdict": state}]


# The result.


def evaluate(grid: Grid) -> dict:
    """Return all figures, claims and choices of a grid."""
    parts = regrets, classes, thresholds, intervals, sooner
    choose = rules(grid)["advice"]
    return {
        "trainings": len(grid.trainings),
        "core_seconds": sum(t.seconds for t in grid.trainings),
        "evidence_share": {
            str(b): sum(t.seconds for t in seen) / sum(t.seconds for t in grid.trainings)
            for b, seen in grid.seen.items()
        },
        "figures": [row for part in parts for row in part(grid)],
        "claims": claims(grid),
        "cells": [
            {
                "dataset": c.dataset,
                "budget": c.budget,
                "designs": len(c.runs),
                "seeds": list(c.seeds),
                "advised": next(iter(choose(c, ()))),
                "best": c.best(list(c.runs), c.seeds) if c.seeds else [],
                "regret": regret(c, choose),
                "raw_regret": raw_regret(c, choose),
                "hatched_more": hatched_more(c),
                "shallow_less": shallow_less(c),
                "single_error": c.error(c.single, c.seeds) if c.single and c.seeds else None,
            }
            for c in grid.whole
        ],
    }


def show(result: Mapping) -> None:
    print(f"{result['trainings']} trainings, {result['core_seconds']:,.0f} core seconds")
    print(
        "single: error of the single network, %; hatched: points of error of g = 1 above independent; "
        "shallow: points of error of weq of four below deq"
    )
    print(
        f"\n{'data set':20}{'budget':>10}{'trained':>9}{'regret':>8}{'raw':>7}{'single':>8}{'hatched':>9}"
        f"{'shallow':>9}  {'advised':34}best"
    )
    for c in result["cells"]:
        trained = f"{c['designs']}×{len(c['seeds'])}"
        print(
            f"{c['dataset']:20}{c['budget']:>10,}{trained:>9}{_number(c['regret']):>8}"
            f"{_number(c['raw_regret']):>7}{_number(c['single_error']):>8}{_number(c['hatched_more']):>9}"
            f"{_number(c['shallow_less']):>9}  "
            f"{c['advised']:34}  {_first(c['best'])}"
        )
    unevaluated = [f"{c['dataset']} at {c['budget']:,}" for c in result["cells"] if c["regret"] is None]
    if unevaluated:
        cells = "; ".join(unevaluated)
        print(f"not evaluated, fewer than two seeds with all designs: {cells}")
    print(f"\n{'figure':50}{'':>7}{'90 %':>15}{'count':>6}  {'goal':19}verdict")
    for r in result["figures"]:
        ends = "" if r["low"] is None else f"{_number(r['low'])} to {_number(r['high'])}"
        more = [
            f"{k.replace('_', ' ')} {_number(r[k])}"
            for k in ("raw", "mean", "p", "width", "always_ensemble", "asked")
            if r.get(k) is not None
        ]
        if less := r.get("advice_minus_this"):
            more.append(
                f"advice − this {_number(less['mean'])} ({_number(less['low'])} to {_number(less['high'])})"
            )
        print(
            f"{r['figure']:50}{_number(r['value']):>7}{ends:>15}{r['count']:6}  {r['goal']:19}{r['verdict']}"
            f"{'; ' if more else ''}{'; '.join(more)}"
        )
    print("\ncoverage, and std of the log error between seeds: real, predicted")
    for r in result["figures"]:
        for part, covered in r.get("parts", {}).items():
            stds = ", ".join(_number(x) for x in r["seeds"].get(part, ()))
            print(f"{r['figure'].partition(':')[0]:36}{part:36}{covered:6.0%}  {stds}")
    print("\n| claim | published | measured | 90 % | verdict |\n|---|---|---|---|---|")
    for row in result["claims"]:
        print("| " + " | ".join(row.values()) + " |")


def _first(names: Sequence[str]) -> str:
    return "".join(names[:1]) + (f" and {len(names) - 1} as good" if len(names) > 1 else "")


def _number(value: float | None) -> str:
    # Adding zero removes the sign of a negative zero.
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=RESULTS / "advice-cpu.csv", help="CSV file of trainings")
    file = parser.parse_args().file
    trainings = read(file)
    if not trainings:
        print(f"nothing to evaluate: {file} has no trainings yet (advice_train.py writes them)")
        return
    result = evaluate(Grid(trainings, advised))
    show(result)
    dates = sorted({t.reported.date for t in trainings})
    about = {
        "grid": file.name,
        "device": sorted({t.reported.device for t in trainings}),
        "trained": [dates[0], dates[-1]],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "scipy")},
    }
    file.with_suffix(".json").write_text(json.dumps(about | result, indent=1) + "\n")


if __name__ == "__main__":
    main()
