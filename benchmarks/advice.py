"""Is the advice right? The grid of `advice_train.py` replayed as if only part of it had been trained.

    python benchmarks/advice.py                # under a minute; trains nothing
    python benchmarks/advice.py --file F.csv   # another grid; the result goes beside it

For every budget the accuracy predictor learns from a tenth of the grid at the other budgets, for every data
set from a tenth of the other data sets; then it is asked about what was held out. `advice_replay.py` has the
rules of what may be seen, how regret is counted, and what the rules do that advice competes with. Errors are
those on test images; the predictor foretells whole schedules.

1. Regret of the design of least predicted error among all designs of a cell with the long schedule.
2. The same of: always the single network; always the depth-equivalent ensemble of four; the published
   threshold (1.25M parameters and half of the epochs) as printed, and with its parameters scaled by the
   values of an image (ours); a random design; successive halving at the held-out budget for as many core
   seconds as the evidence from that data set took (what all data sets gave answers a budget for all of
   them), and for that divided by the number of budgets, because nearly the same evidence answers each.
3. Single network or ensemble: share right among cells where one leads by more than a standard error over
   seeds. The other seeds name the best ensemble that a seed scores. Cells of short schedules have only the
   depth-equivalent ensemble of four.
4. The threshold: the first point from which on the ensemble leads. Along budgets the best ensemble of long
   schedules and the depth-equivalent one of four, along epochs the latter; in steps of the grid, the largest
   miss counts.
5. Intervals of 90 % against errors of single trainings with all schedules and seeds.
   Their count is that of designs.
6. Epochs until an independent ensemble's validation error is down to the final one of the single network, on
   curves of the long schedule (means over seeds).

Intervals are of 90 %: over cells by bootstrap, over seeds by Student's t. A verdict is open where the limit
lies within the interval. No clock enters: the same file gives the same result, results/advice-cpu.json.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
from advice_replay import (
    EST_MEMBERS,
    Cell,
    Forecast,
    Grid,
    Rule,
    Training,
    always_deq,
    always_single,
    at_random,
    bootstrapped,
    coverage,
    est_rule,
    halving,
    lasting,
    lead,
    raw_regret,
    reached,
    read,
    regret,
)
from scipy.stats import binomtest
from scipy.stats import t as student

from advisor.accuracy import AccuracyPredictor
from advisor.dataset import learned_name
from advisor.design import parse_design
from cli.workflows.evidence import evidence_of_reported

RESULTS = Path(__file__).parent / "results"
SEED = 0
REGRET_GOAL, CLASS_GOAL, STEPS_GOAL, REJECTED, SOONER_GOAL = 0.3, 0.9, 1.0, 0.05, 0.25
# "About" a published ratio of seconds.
ABOUT = 0.25


def advised(seen: Sequence[Training], asked: Sequence[Cell]) -> list[Forecast]:
    """Forecasts of the advisor's accuracy predictor."""
    names = [learned_name(cell.told.dataset, cell.told.augmentation) for cell in asked]
    predictor = AccuracyPredictor(sorted(set(names)), evidence_of_reported([t.told for t in seen]), SEED)
    found = []
    for cell, name in zip(asked, names, strict=True):
        designs = [parse_design(d) for d in cell.runs]
        draws = predictor.sample_errors(designs, name, cell.told.task, cell.epochs)
        ranges = [
            predictor.predict(draws[:, i], predictor.luck(design, name), cell.told.test_images, key=i)
            for i, design in enumerate(designs)
        ]
        found.append(
            Forecast(
                error=dict(zip(cell.runs, draws.mean(axis=0).tolist(), strict=True)),
                ends=dict(zip(cell.runs, [(r.low, r.high) for r in ranges], strict=True)),
                reaching=reaching(predictor, cell, name) if cell.whole else {},
            )
        )
    return found


def reaching(predictor: AccuracyPredictor, cell: Cell, name: str) -> dict[str, float]:
    """Epochs until an independent ensemble is foretold to be where the single network ends, by design."""
    if cell.single is None:
        return {}
    task, epochs = cell.told.task, cell.epochs
    target = predictor.sample_errors([parse_design(cell.single)], name, task, epochs)[:, 0]
    return {
        design: float(
            np.median(
                predictor.epochs_until(target, parse_design(design), name, task, epochs, len(cell.seeds))
            )
        )
        for design in cell.named(["deq", "weq", "mixed"], independent=True)
    }


def verdict(value: float | None, limit: float, ends: Sequence[float | None] = (), least: bool = False) -> str:
    """Whether a figure is at most (at least) a limit, and whether its interval leaves that open."""
    if value is None:
        return "not judged"
    sign = -1 if least else 1
    low, high = (sign * x for x in (ends if ends and None not in ends else (value, value)))
    crossed = min(low, high) <= sign * limit < max(low, high)
    return ("met" if sign * value <= sign * limit else "missed") + (", open" if crossed else "")


def figure(name: str, value: float | None, ends: Sequence = (None, None), **more: object) -> dict:
    return {"figure": name, "value": value, "low": ends[0], "high": ends[1], **more}


# 1 and 2.


def rules(grid: Grid) -> dict[str, Rule]:
    longest = {c.dataset: c.epochs for c in grid.whole}

    def advice(cell: Cell, naming: Sequence[int]) -> Mapping[str, float]:
        errors = grid.by_budget[cell.place].error
        return {min(errors, key=lambda d: errors[d]): 1.0}

    return {
        "advice": advice,
        "always the single network": always_single,
        "always deq, k = 4": always_deq,
        "EST rule as printed": est_rule(longest, scaled=False),
        "EST rule scaled by image": est_rule(longest, scaled=True),
        "random design": at_random,
        "halving, time of the evidence": halving(grid.spent),
        "halving, time shared by budgets": halving(lambda c: grid.spent(c) / len(grid.budgets)),
    }


def regrets(grid: Grid) -> list[dict]:
    """Mean regret of every rule; of the others also what advice saves."""
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
            # Lower, not as low.
            state = "missed" if less["mean"] == 0 else state
            row |= {"advice_minus_this": less, "goal": "advice lower", "verdict": state}
        found.append(row)
    return found


# 3.


def classes(grid: Grid) -> list[dict]:
    found = {"long": [], "short": []}
    for cell in grid.cells:
        leads = lead(cell, cell.ensembles)
        if len(leads) < 2:
            continue
        gap, error = np.mean(leads), np.std(leads, ddof=1) / np.sqrt(len(leads))
        if abs(gap) > error:
            told = grid.by_budget[cell.place].lead(cell, cell.ensembles)
            found["long" if cell.whole else "short"].append((told > 0) == (gap > 0))
    found["all"] = found["long"] + found["short"]
    rows = []
    for name, right in found.items():
        share = float(np.mean(right)) if right else None
        ends = tuple(binomtest(sum(right), len(right)).proportion_ci(0.9)) if right else (None, None)
        row = figure(f"class right, {name} schedules", share, ends, count=len(right))
        rows.append(
            row | {"goal": f"≥ {CLASS_GOAL}", "verdict": verdict(share, CLASS_GOAL, ends, least=True)}
        )
    return rows


# 4.


def thresholds(grid: Grid) -> list[dict]:
    """Steps between the real and the foretold threshold along budgets and along epochs."""
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
                real, told = (lasting(leads) for leads in zip(*pairs, strict=True))
                places[" ".join(map(str, key))] = {"real": real, "foretold": told, "points": len(pairs)}
        steps = [abs(p["real"] - p["foretold"]) for p in places.values()]
        worst = float(max(steps)) if steps else None
        row = figure(f"EST in {name}: largest miss, steps", worst, count=len(steps), positions=places)
        row |= {"mean": float(np.mean(steps)) if steps else None}
        rows.append(row | {"goal": f"≤ {STEPS_GOAL:g}", "verdict": verdict(worst, STEPS_GOAL)})
    return rows


def _leads(grid: Grid, cell: Cell, members: int | None) -> tuple[float, float] | None:
    """Real and foretold lead of the best ensemble, or of the depth-equivalent one of so many members."""
    ensembles = _rivals(cell, members)
    leads = lead(cell, ensembles)
    told = grid.by_budget[cell.place]
    return (float(np.mean(leads)), told.lead(cell, ensembles)) if leads else None


# 5.


def intervals(grid: Grid) -> list[dict]:
    rows = []
    for name, forecasts in (("budgets", grid.by_budget), ("data sets", grid.by_dataset)):
        held: dict[object, list[bool]] = {}
        widths = []
        for cell in grid.cells if forecasts else ():
            ends = forecasts[cell.place].ends
            for design, runs in cell.runs.items():
                low, high = ends[design]
                inside = [low <= t.told.error <= high for t in runs.values()]
                held.setdefault((*cell.key, design), []).extend(inside)
                widths += [100 * (high - low)] * len(inside)
        seen = coverage(held, widths)
        row = figure(f"intervals at held-out {name}: share held", seen["share"], count=seen["designs"])
        row |= {"p": seen["p"], "width": seen["width"], "trainings": seen["trainings"]}
        state = verdict(seen["p"], REJECTED, least=True)
        rows.append(row | {"goal": f"p ≥ {REJECTED} for 90 %", "verdict": state})
    return rows


# 6.


def sooner(grid: Grid) -> list[dict]:
    """Foretold over real epochs until the final error of the single network."""
    misses, real = [], 0
    for cell in grid.whole:
        told = grid.by_budget[cell.place].reaching
        for design in cell.named(["deq", "weq", "mixed"], independent=True):
            if cell.single is None or not cell.seeds:
                continue
            curves = {d: _mean_curve(cell, d) for d in (design, cell.single)}
            if epochs := reached(curves[design], curves[cell.single][-1]):
                real += 1
                misses += [abs(told[design] / epochs - 1)] if design in told else []
    middle = float(np.median(misses)) if misses else None
    state = verdict(middle, SOONER_GOAL) if misses else "not predicted" if real else "not judged"
    row = figure("time to accuracy: median relative error", middle, count=len(misses), real=real)
    return [row | {"goal": f"≤ {SOONER_GOAL}", "verdict": state}]


def _mean_curve(cell: Cell, design: str) -> np.ndarray:
    return np.mean([cell.runs[design][s].curve for s in cell.seeds], axis=0)


# Published claims.


def claims(grid: Grid) -> list[dict]:
    return [
        *(_threshold_exists(grid, d, k) for k in (None, EST_MEMBERS) for d in grid.datasets),
        _gain_past(grid),
        *(_later_with_members(grid, d) for d in grid.datasets),
        _earlier_when_harder(grid),
        _deq_over_weq(grid),
        *(_fast_threshold(grid, d) for d in grid.datasets),
        _hatched(grid, "points more error: g = 1 than independent", "little", error=True),
        _hatched(grid, "times the work: independent over g = 1", "2 to 5 (V5, FD)", error=False),
        _reaches_sooner(grid),
        _seconds(grid, "weq", 1.0),
        _seconds(grid, "deq", 2.0),
    ]


def claim(text: str, published: str, measured: str, interval: str = "", state: str = "open") -> dict:
    return {
        "claim": text,
        "published": published,
        "measured": measured,
        "interval": interval,
        "verdict": state,
    }


def _place(line: Sequence[Cell], position: int) -> str:
    """A threshold in words."""
    if position == 0:
        return f"at most {line[0].budget:,}"
    return f"{line[position].budget:,}" if position < len(line) else f"over {line[-1].budget:,}"


def _threshold_exists(grid: Grid, dataset: str, members: int | None) -> dict:
    """The single network leads at the smallest budget, the ensemble at the largest.

    Args:
        grid: of trainings.
        dataset: name.
        members: of the depth-equivalent ensemble that is meant; None for the best of all ensembles.
    """
    line = [c for c in grid.row(dataset) if lead(c, _rivals(c, members))]
    leads = [lead(c, _rivals(c, members)) for c in line]
    rival = "best ensemble" if members is None else f"deq, k = {members}"
    text, published = f"a threshold exists, {rival}: {dataset}", "1M–1.5M (CIFAR-10)"
    if len(line) < 2:
        return claim(text, published, "not judged")
    (first, low), (last, high) = (_over_seeds(x) for x in (leads[0], leads[-1]))
    holds = first + low < 0 < last - high
    fails = first - low > 0 or last + high < 0
    return claim(
        text,
        published,
        f"{_place(line, lasting([float(np.mean(x)) for x in leads]))} parameters",
        f"lead {first:+.2f} ± {low:.2f} points at {line[0].budget:,}, {last:+.2f} ± {high:.2f} at "
        f"{line[-1].budget:,}",
        "holds" if holds else "does not hold" if fails else "open",
    )


def _rivals(cell: Cell, members: int | None) -> list[str]:
    """All ensembles, or the independent depth-equivalent one of so many members."""
    return cell.ensembles if members is None else cell.named(["deq"], members, independent=True)


def _over_seeds(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of its interval: infinite with one seed."""
    if len(values) < 2:
        return values[0], float("inf")
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(student.ppf(0.95, len(values) - 1) * error)


def _gain_past(grid: Grid) -> dict:
    gains = {}
    for dataset in grid.datasets:
        line, leads = _line(grid, dataset)
        gains |= {c.key: x for c, x in list(zip(line, leads, strict=True))[lasting(leads) :]}
    return _over_cells(
        "points less error past the threshold", "1 to 3", gains, lambda low, high: (low >= 1, high < 1)
    )


def _line(grid: Grid, dataset: str) -> tuple[list[Cell], list[float]]:
    """Cells of a data set by budget, and by how much their best ensemble leads."""
    line = [c for c in grid.row(dataset) if lead(c, c.ensembles)]
    return line, [float(np.mean(lead(c, c.ensembles))) for c in line]


def _over_cells(
    text: str,
    published: str,
    values: Mapping[tuple[str, int], float],
    judge: Callable[[float, float], tuple[bool, bool]],
    *,
    logs: bool = False,
) -> dict:
    """A claim about a mean over cells (of logarithms: a geometric mean).

    Args:
        text: of the claim.
        published: figure.
        values: by cell.
        judge: from both ends of the interval, whether the claim holds and whether it does not.
        logs: whether values are logarithms of ratios.
    """
    found = bootstrapped(values)
    if found["mean"] is None:
        return claim(text, published, "not judged")
    mean, low, high = (float(np.exp(x)) if logs else x for x in (found["mean"], found["low"], found["high"]))
    holds, fails = judge(low, high)
    state = "holds" if holds else "does not hold" if fails else "open"
    return claim(text, published, f"{mean:.2f} ({len(values)} cells)", f"{low:.2f} to {high:.2f}", state)


def _later_with_members(grid: Grid, dataset: str) -> dict:
    """Thresholds of depth-equivalent ensembles, along the budgets that have all of them."""
    text, published = f"the threshold moves right with k: {dataset}", "1.5M, 3M, 5M (k = 4, 6, 8; DenseNet)"
    line = [c for c in grid.row(dataset) if c.single and c.seeds]
    deq = {c.budget: {c.of(d).members: d for d in c.named(["deq"], independent=True)} for c in line}
    sizes = sorted(set().union(*deq.values()))
    line = [c for c in line if len(deq[c.budget]) == len(sizes)]
    if len(line) < 2 or len(sizes) < 2:
        return claim(text, published, "not judged")
    middle, ranges = {}, {}
    for k in sizes:
        leads = [lead(c, [deq[c.budget][k]]) for c in line]
        middle[k] = lasting([float(np.mean(x)) for x in leads])
        each = [lasting(x) for x in zip(*leads, strict=False)]
        ranges[k] = f"{_place(line, min(each))} to {_place(line, max(each))}"
    return claim(
        text,
        published,
        "; ".join(f"k = {k}: {_place(line, i)}" for k, i in middle.items()),
        "seeds: " + "; ".join(f"k = {k}: {r}" for k, r in ranges.items()),
        _rising(list(middle.values())),
    )


def _rising(positions: Sequence[int]) -> str:
    """Whether positions rise in their order; open where they neither rise nor fall throughout."""
    steps = [b - a for a, b in pairwise(positions)]
    if not any(steps) or (min(steps) < 0 < max(steps)):
        return "open"
    return "holds" if max(steps) > 0 else "does not hold"


def _earlier_when_harder(grid: Grid) -> dict:
    """Thresholds of the data sets, from the one with the least error of its largest single network."""
    text, published = "harder data switches earlier", "CIFAR-10, CIFAR-100, Tiny ImageNet in turn"
    lines = {d: line for d in grid.datasets if len((line := _line(grid, d))[0]) > 1}
    if len(lines) < 2:
        return claim(text, published, "not judged")
    last = {d: line[-1] for d, (line, _) in lines.items()}
    errors = {d: c.error(c.single, c.seeds) for d, c in last.items()}
    order = sorted(lines, key=lambda d: errors[d])
    found = {d: lasting(lines[d][1]) for d in order}
    return claim(
        text,
        published,
        "; ".join(f"{d} ({errors[d]:.1f} %): {_place(lines[d][0], i)}" for d, i in found.items()),
        state=_rising([-i for i in found.values()]),
    )


def _deq_over_weq(grid: Grid) -> dict:
    """Points that width-equivalents have more error than depth-equivalents of as many members."""
    more = {}
    for c in grid.whole:
        deq, weq = (
            {c.of(d).members: d for d in c.named([kind], independent=True)} for kind in ("deq", "weq")
        )
        gaps = [c.error(weq[k], c.seeds) - c.error(deq[k], c.seeds) for k in deq.keys() & weq if c.seeds]
        if gaps:
            more[c.key] = float(np.mean(gaps))
    return _over_cells("points less error: deq than weq", "deq better", more, _above(0.0))


def _pairs(grid: Grid, dataset: str) -> list[tuple[Cell, str, str]]:
    """Cells of a data set with their depth-equivalent ensemble of four, independent and hatched."""
    found = []
    for c in grid.row(dataset):
        own = [c.named(["deq"], EST_MEMBERS, independent=independent) for independent in (True, False)]
        if c.single and c.seeds and all(own):
            found.append((c, own[0][0], own[1][0]))
    return found


def _fast_threshold(grid: Grid, dataset: str) -> dict:
    """Thresholds of the depth-equivalent ensemble of four, independent and hatched from one mother."""
    text, published = f"fast training moves the threshold: {dataset}", "expected (future work)"
    pairs = _pairs(grid, dataset)
    if len(pairs) < 2:
        return claim(text, published, "not judged")
    line = [c for c, _, _ in pairs]
    slow, fast = (lasting([float(np.mean(lead(pair[0], [pair[i]]))) for pair in pairs]) for i in (1, 2))
    return claim(
        text,
        published,
        f"independent: {_place(line, slow)}; g = 1: {_place(line, fast)}",
        "",
        "open" if slow == fast else "holds" if fast < slow else "does not hold",
    )


def _hatched(grid: Grid, text: str, published: str, *, error: bool) -> dict:
    """Mean over cells of what hatching changes of the depth-equivalent ensemble of four."""
    values = {}
    for c, alone, hatched in (pair for d in grid.datasets for pair in _pairs(grid, d)):
        if error:
            values[c.key] = c.error(hatched, c.seeds) - c.error(alone, c.seeds)
        else:
            seconds = [[c.runs[d][s].seconds for s in c.seeds] for d in (alone, hatched)]
            values[c.key] = float(np.mean(np.log(seconds[0])) - np.mean(np.log(seconds[1])))
    judge = (lambda low, high: (high <= 0.5, low > 0.5)) if error else _above(2.0)
    return _over_cells(text, published, values, judge, logs=not error)


def _reaches_sooner(grid: Grid) -> dict:
    """Epochs of the single network over those of better ensembles, until its final validation error."""
    ratios, reaching, asked = {}, 0, 0
    for c in grid.whole:
        found = []
        for design in c.named(["deq", "weq"], independent=True) if c.single and c.seeds else ():
            if c.error(design, c.seeds) < c.error(c.single, c.seeds):
                alone, together = _mean_curve(c, c.single), _mean_curve(c, design)
                asked += 1
                if epochs := reached(together, alone[-1]):
                    found.append(float(np.log(reached(alone, alone[-1]) / epochs)))
        reaching += len(found)
        if found:
            ratios[c.key] = float(np.mean(found))
    row = _over_cells(
        "times fewer epochs to single accuracy, past it", "1.2 to 5", ratios, _above(1.0), logs=True
    )
    return row | {"measured": f"{row['measured']}, {reaching} of {asked} ensembles reach it"}


def _above(limit: float) -> Callable[[float, float], tuple[bool, bool]]:
    return lambda low, high: (low > limit, high <= limit)


def _seconds(grid: Grid, kind: str, times: float) -> dict:
    """Core seconds of an epoch of four members over those of the single network."""
    ratios = {}
    for c in grid.whole:
        for design in c.named([kind], EST_MEMBERS, independent=True) if c.single and c.seeds else ():
            pairs = [(c.runs[design][s].seconds, c.runs[c.single][s].seconds) for s in c.seeds]
            ratios[c.key] = float(np.mean([np.log(a / b) for a, b in pairs]))
    lower, upper = times / (1 + ABOUT), times * (1 + ABOUT)
    return _over_cells(
        f"times the seconds an epoch: {kind}, k = {EST_MEMBERS}",
        f"about {times:g}",
        ratios,
        lambda low, high: (lower <= low and high <= upper, high < lower or low > upper),
        logs=True,
    )


# What is shown and kept.


def judge(grid: Grid) -> dict:
    """All figures, claims and choices of a grid."""
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
            }
            for c in grid.whole
        ],
    }


def show(result: Mapping) -> None:
    print(f"{result['trainings']} trainings, {result['core_seconds']:,.0f} core seconds")
    print(f"\n{'data set':20}{'budget':>10}{'trained':>9}{'regret':>8}{'raw':>7}  {'advised':34}best")
    for c in result["cells"]:
        trained = f"{c['designs']}×{len(c['seeds'])}"
        print(
            f"{c['dataset']:20}{c['budget']:>10,}{trained:>9}{_number(c['regret']):>8}"
            f"{_number(c['raw_regret']):>7}  {c['advised']:34}  {_first(c['best'])}"
        )
    unjudged = [f"{c['dataset']} at {c['budget']:,}" for c in result["cells"] if c["regret"] is None]
    if unjudged:
        print(f"not judged, fewer than two seeds with all designs: {'; '.join(unjudged)}")
    print(f"\n{'figure':50}{'':>7}{'90 %':>15}{'count':>6}  {'goal':19}verdict")
    for r in result["figures"]:
        ends = "" if r["low"] is None else f"{_number(r['low'])} to {_number(r['high'])}"
        more = [
            f"{k.replace('_', ' ')} {_number(r[k])}"
            for k in ("raw", "mean", "p", "width")
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
    print("\n| claim | published | measured | 90 % | verdict |\n|---|---|---|---|---|")
    for row in result["claims"]:
        print("| " + " | ".join(row.values()) + " |")


def _first(names: Sequence[str]) -> str:
    return "".join(names[:1]) + (f" and {len(names) - 1} as good" if len(names) > 1 else "")


def _number(value: float | None) -> str:
    # Without a sign before zero.
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=RESULTS / "advice-cpu.csv", help="trainings")
    file = parser.parse_args().file
    trainings = read(file)
    if not trainings:
        print(f"nothing to judge: {file} has no trainings yet (benchmarks/advice_train.py writes them)")
        return
    result = judge(Grid(trainings, advised))
    show(result)
    dates = sorted({t.told.date for t in trainings})
    about = {
        "grid": file.name,
        "device": sorted({t.told.device for t in trainings}),
        "trained": [dates[0], dates[-1]],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "scipy")},
    }
    file.with_suffix(".json").write_text(json.dumps(about | result, indent=1) + "\n")


if __name__ == "__main__":
    main()
