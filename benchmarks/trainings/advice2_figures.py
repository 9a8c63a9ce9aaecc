"""Figures of the advice on the second grid: regret, forecasts of the error, one network or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from advice2_rules import ADVICE, BEFORE, PROBE_SEED, VERDICT, Place, Replay, networks_exist
from advice2_tuned import contest
from advice_intervals import LEVEL, bootstrapped, coverage, verdict
from advice_regret import Rule, raw_regret, regret
from advice_replay import Cell, Forecast
from scipy.stats import binomtest

Row = dict[str, Any]
# Goals for the long schedules: points of regret, shares, and a factor.
SAME_SEEDS, CROSS_FITTED, INSIDE, FACTOR, MISS, RIGHT = 0.5, 0.3, 0.85, 4.0, 0.12, 0.9


def regrets(cells: Sequence[Cell], rules: Mapping[str, Rule], replays: Mapping[Place, Replay]) -> list[Row]:
    """Return the mean regret of every rule over cells of one length of schedule, points.

    Args:
        cells: the cells, no two with the same data set and budget.
        rules: the advice and its competitors.
        replays: the default procedure by `Cell.place`.
    """
    found, ours = [], {}
    for name, rule in rules.items():
        row: Row = {"rule": name}
        measures: dict[str, Callable[[Cell, Rule], float | None]] = {
            "same_seeds": raw_regret,
            "cross_fitted": regret,
            "as_trained": partial(regret_as_trained, name=name, replays=replays),
        }
        for measure, function in measures.items():
            values = {c.key: r for c in cells if (r := function(c, rule)) is not None}
            if name == ADVICE:
                ours[measure] = values
            row[measure] = bootstrapped(values) | {"cells": len(values)}
            less = {key: ours[measure][key] - r for key, r in values.items() if key in ours[measure]}
            row[f"advice_minus_this_{measure}"] = bootstrapped(less)
        found.append(row)
    return found


def regret_as_trained(cell: Cell, rule: Rule, name: str, replays: Mapping[Place, Replay]) -> float | None:
    """Return the points that the networks of a user of a rule have above the mean of the best design.

    A rule leaves the networks of a design that it has trained. Of others the mean over seeds counts.

    Args:
        cell: the cell.
        rule: the rule.
        name: its name.
        replays: the default procedure by `Cell.place`.
    """
    chosen = rule(cell, cell.seeds)
    if not chosen:
        return None
    replay = replays[cell.place]
    reached = sum(
        share * cell.error(d, [PROBE_SEED] if networks_exist(name, d, replay) else cell.seeds)
        for d, share in chosen.items()
    )
    return reached - min(cell.error(d, cell.seeds) for d in cell.runs)


def on_a_fresh_seed(cells: Sequence[Cell], replays: Mapping[Place, Replay]) -> dict[str, Row]:
    """Return the points above the least error of a seed that named nothing, by who names the design.

    Every seed but that of probes scores once. Whoever trains all designs with one other seed, or with all
    others, and takes the best shows how much of a regret is the luck of the seed that scores.

    Args:
        cells: the cells; those with one seed are left out.
        replays: the default procedure by `Cell.place`.
    """
    found: dict[str, dict[Any, float]] = {}
    for cell in (c for c in cells if len(c.seeds) > 1):
        replay, every = replays[cell.place], list(cell.runs)
        points: dict[str, list[float]] = {}
        for seed in (s for s in cell.seeds if s != PROBE_SEED):
            others = [s for s in cell.seeds if s != seed]
            least = min(cell.error(d, [seed]) for d in every)
            named = {
                ADVICE: [replay.after.choice],
                VERDICT: [replay.verdict],
                BEFORE: [replay.before.choice],
                "random design": every,
                "best of all designs, each trained once": [d for s in others for d in cell.best(every, [s])],
                "best of all designs on all other seeds": cell.best(every, others),
            }
            for name, designs in named.items():
                error = float(np.mean([cell.error(d, [seed]) for d in designs]))
                points.setdefault(name, []).append(error - least)
        for name, values in points.items():
            found.setdefault(name, {})[cell.key] = float(np.mean(values))
    return {name: bootstrapped(values) | {"cells": len(values)} for name, values in found.items()}


def worse_after_probing(cells: Sequence[Cell], rules: Mapping[str, Rule]) -> list[Row]:
    """Return the cells whose advice has more error on the same seeds after probing than before, in points."""
    found = []
    for cell in cells:
        after, before = raw_regret(cell, rules[ADVICE]), raw_regret(cell, rules[BEFORE])
        if after is not None and before is not None and after > before + 1e-9:
            found.append({"dataset": cell.dataset, "budget": cell.budget, "points": after - before})
    return found


def forecasts(replays: Sequence[Replay], forecast: Callable[[Replay], Forecast]) -> Row:
    """Return how well errors were forecast: coverage of single trainings, width, and miss of their means.

    The miss is relative to the mean error over seeds, of at least half an image. What the count of wrong test
    images alone makes of it is set beside it (`counting_miss`: mean deviation of a Poisson variable, as all
    seeds share the images), and the sum of all misses over the sum of all errors (`pooled_miss`). The width
    is the geometric mean of upper over lower ends, without the noise of counting.

    Args:
        replays: the default procedure on some cells.
        forecast: function that returns the forecast in question.
    """
    covered: dict[object, list[bool]] = {}
    widths, factors, actual, missed, counts = [], [], [], [], []
    for replay in replays:
        cell, foreseen = replay.cell, forecast(replay)
        for design, runs in cell.runs.items():
            low, high = foreseen.ends[design]
            kept = [runs[PROBE_SEED]] if design in foreseen.at_hand else runs.values()
            errors = [t.reported.error for t in kept]
            covered[(*cell.place, design)] = [low <= error <= high for error in errors]
            widths.append(100 * (high - low))
            factors.append(foreseen.factors[design])
            actual.append(max(float(np.mean(errors)), 0.5 / cell.reported.test_images))
            missed.append(abs(foreseen.error[design] - actual[-1]))
            counts.append(actual[-1] * cell.reported.test_images)
    found = coverage(covered, widths)
    if actual:
        misses = np.array(missed) / actual
        found |= {
            "factor": float(np.exp(np.mean(np.log(factors)))),
            "largest_factor": max(factors),
            "mean_miss": float(misses.mean()),
            "median_miss": float(np.median(misses)),
            "pooled_miss": sum(missed) / sum(actual),
            "counting_miss": float(np.mean(np.sqrt(2 / np.pi / np.array(counts)))),
        }
    return found


def by_dataset(replays: Sequence[Replay], forecast: Callable[[Replay], Forecast]) -> dict[str, Row]:
    """Return the figures of `forecasts` for each data set."""
    names = dict.fromkeys(replay.cell.dataset for replay in replays)
    return {name: forecasts([r for r in replays if r.cell.dataset == name], forecast) for name in names}


def one_or_several(replays: Mapping[Place, Replay], cells: Sequence[Cell]) -> Row:
    """Return the share of right choices where the two kinds differ by more than a standard error.

    Args:
        replays: the default procedure by `Cell.place`.
        cells: the cells that count.
    """
    rows = []
    for cell in cells:
        held = contest(cell)
        if held is None or abs(held.lead) <= held.standard_error:
            continue
        before, several = (
            cell.of(forecast.choice).kind != "single"
            for forecast in (replays[cell.place].before, replays[cell.place].after)
        )
        rows.append(
            {
                "dataset": cell.dataset,
                "budget": cell.budget,
                "epochs": cell.epochs,
                "lead": held.lead,
                "several": several,
                "right": several is (held.lead > 0),
                "right_at_first_sight": before is (held.lead > 0),
            }
        )
    right = sum(row["right"] for row in rows)
    ends = binomtest(right, len(rows)).proportion_ci(LEVEL, method="wilson") if rows else None
    return {
        "share": right / len(rows) if rows else None,
        "low": float(ends.low) if ends else None,
        "high": float(ends.high) if ends else None,
        # A constant answer sets the scale.
        "always_several": sum(row["lead"] > 0 for row in rows) / len(rows) if rows else None,
        "cells": rows,
    }


def goals(
    regret_rows: Sequence[Row], before: Row, after: Row, choices: Row, worse: Sequence[Row]
) -> list[Row]:
    """Return the goals with their figures and verdicts.

    Args:
        regret_rows: rows of `regrets`, the advice first.
        before: forecasts at first sight.
        after: forecasts after probing.
        choices: what `one_or_several` returned.
        worse: cells whose advice became worse by probing.
    """
    ours = regret_rows[0]
    others = [r for r in regret_rows if r["rule"] not in (ADVICE, VERDICT, BEFORE)]

    def row(name: str, value: float | None, limit: float, ends: Sequence = (), least: bool = False) -> Row:
        sign = "≥" if least else "≤"
        return {
            "figure": name,
            "value": value,
            "goal": f"{sign} {limit:g}",
            "verdict": verdict(value, limit, ends, least),
        }

    found = [
        row(f"regret, points, {measure.replace('_', ' ')}", m["mean"], limit, (m["low"], m["high"]))
        for measure, limit in (("same_seeds", SAME_SEEDS), ("cross_fitted", CROSS_FITTED))
        for m in (ours[measure],)
    ]
    less = {r["rule"]: r["advice_minus_this_same_seeds"]["mean"] for r in others}
    not_beaten = [rule for rule, mean in less.items() if mean is not None and mean >= 0]
    found.append(row("rules with no more regret, same seeds", float(len(not_beaten)), 0))
    found[-1]["rules"] = not_beaten
    found.append(row("cells that are worse after probing, same seeds", float(len(worse)), 0))
    inside = after["share"]
    found += [
        row("first sight: share inside", before["share"], INSIDE, least=True),
        row("first sight: mean width, factor", before.get("factor"), FACTOR),
        row("after probing: mean miss", after.get("mean_miss"), MISS),
        row("after probing: share inside", inside, INSIDE, least=True),
        row("after probing: share inside, not too wide", inside, 0.95),
        row("one or several: share right", choices["share"], RIGHT, (choices["low"], choices["high"]), True),
    ]
    return found
