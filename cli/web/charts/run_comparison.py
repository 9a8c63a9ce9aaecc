"""Runs compared: test error and training time of every group of seeds, and how they learned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from statistics import fmean
from typing import Any

import altair as alt

from advisor.decision.group_difference import mean_over_seeds
from advisor.estimate import Estimate
from advisor.plans.plan import named
from cli.render.formats import duration, percent
from cli.web.charts.error_axis import error_axis
from cli.web.charts.theme import (
    ENSEMBLE,
    FIFTH,
    FOURTH,
    SINGLE,
    THIRD,
    chart_of,
    cost_axis,
    finished,
)
from cli.workflows.answers.runs.comparison import DifferenceBasis, RunComparison, RunGroup
from cli.workflows.answers.runs.curves import RunCurves
from cli.workflows.answers.runs.run import Run
from cli.workflows.runs.watching.sample import even_sample

WIDTH, ROW, CURVES = 265, 30, {"width": 560, "height": 260}
COLOURS = ("#0072B2", SINGLE, THIRD, FOURTH, ENSEMBLE, FIFTH, "#8C6D31", "#777777")
# Pixels of the name of a group.
LABELS = 230
# Points of all curves together, and of one at least.
MOST_POINTS, LEAST_POINTS = 3000, 12
# Room beside the least and the largest figure, as a factor.
MARGIN = 1.1
Rows = list[dict[str, Any]]


def comparison_chart(
    answer: RunComparison, today: date, curves: Sequence[RunCurves] = ()
) -> alt.VConcatChart:
    """Return compared runs as a chart.

    Args:
        answer: the comparison.
        today: date for the caption.
        curves: curves of the runs; without any, how they learned is left out.
    """
    names = _names(answer)
    rows = [alt.HConcatChart(hconcat=[_errors(answer, names), _times(answer, names)], spacing=12)]
    panels: list[Any] = list(rows)
    learned = _learned(answer, names, curves)
    if learned:
        panels.append(_curves(learned, list(names.values())))
    chart: alt.VConcatChart = alt.VConcatChart(vconcat=panels, spacing=20)
    runs, groups = len({run.id for run in answer.runs}), len(names)
    title = f"{runs} run{'s' * (runs != 1)} in {groups} group{'s' * (groups != 1)} of seeds"
    return finished(chart, title, _caption(answer, today, bool(learned)))


def _caption(answer: RunComparison, today: date, learned: bool) -> list[str]:
    data = ", ".join(dict.fromkeys(run.dataset for run in answer.runs))
    devices = ", ".join(dict.fromkeys(run.execution.device for run in answer.runs))
    bases = {g.test_error_mean.basis for g in answer.groups if g.test_error_mean is not None}
    meaning = {
        DifferenceBasis.SEEDS: "Filled: interval over the seeds",
        DifferenceBasis.COUNTING: "Hollow: one seed, interval by counting and forecast seed noise",
    }
    lines = [
        f"{data} on {devices}, {today.isoformat()}; large: mean with 90 % interval; small: single runs",
        ". ".join(text for basis, text in meaning.items() if basis in bases),
    ]
    if learned:
        lines.append("Curves, same colours: mean over the networks in training and the seeds of a group")
    return [line for line in lines if line]


def _names(answer: RunComparison) -> dict[int, str]:
    """Return the name of every group, by its index; the numbers of its runs make it unique."""
    return {
        i: f"run{'s' * (len(group.runs) > 1)} {_ranges(group.runs)}: {named(group.design, group.method)}"
        for i, group in enumerate(answer.groups)
    }


def _ranges(numbers: Iterable[int]) -> str:
    """Return numbers in words, with those that follow each other as a range: 1–3, 7."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}–{r[-1]}" for r in found)


def _errors(answer: RunComparison, names: dict[int, str]) -> alt.LayerChart:
    means = [
        _mean(names[i], group.test_error_mean.value.scaled(100), group)
        for i, group in enumerate(answer.groups)
        if group.test_error_mean is not None
    ]
    single = _singles(answer, names, lambda run: None if run.test is None else 100 * run.test.error)
    axis = alt.X("value:Q", title="test error, %", scale=alt.Scale(zero=False))
    return _panel(means, single, axis, list(names.values()), named_rows=True)


def _times(answer: RunComparison, names: dict[int, str]) -> alt.LayerChart:
    means = [
        _mean(names[i], group.train_seconds_mean.value, group)
        for i, group in enumerate(answer.groups)
        if group.train_seconds_mean is not None
    ]
    single = _singles(answer, names, lambda run: run.train_seconds or None)
    least = min((row["value"] for row in single), default=1.0)
    for row in means:
        # A logarithm has no 0, which the interval of few seeds may reach.
        row["low"] = max(row["low"], least / 2)
    seen = [row[key] for row in means for key in ("low", "high")] + [row["value"] for row in single]
    first, last = (min(seen) / MARGIN, max(seen) * MARGIN) if seen else (1.0, 10.0)
    ticks = cost_axis(first, last, duration)
    ticks.labelOverlap = "greedy"
    scale = alt.Scale(type="log", domain=[first, last], nice=False)
    axis = alt.X("value:Q", title="training time", scale=scale, axis=ticks)
    return _panel(means, single, axis, list(names.values()), named_rows=False)


def _mean(name: str, value: Estimate, group: RunGroup) -> dict[str, Any]:
    return {
        "group": name,
        "value": value.mean,
        "low": max(value.low, 0.0),
        "high": value.high,
        "seeds": len(group.counted),
        "several": len(group.counted) > 1,
    }


def _singles(answer: RunComparison, names: dict[int, str], figure: Callable[[Run], float | None]) -> Rows:
    group_of = {number: names[i] for i, group in enumerate(answer.groups) for number in group.runs}
    runs = {run.id: run for run in answer.runs}
    return [
        {"group": group_of[number], "value": value, "run": number, "seed": run.seed}
        | {
            "test error": "–" if run.test is None else percent(run.test.error),
            "time": duration(run.train_seconds),
        }
        for number, run in runs.items()
        if (value := figure(run)) is not None
    ]


def _colour(groups: Sequence[str]) -> alt.Color:
    """Return the colours of groups; the rows with their names are the legend."""
    scale = alt.Scale(domain=list(groups), range=[COLOURS[i % len(COLOURS)] for i in range(len(groups))])
    return alt.Color("group:N", scale=scale, legend=None)


def _panel(means: Rows, single: Rows, x: alt.X, groups: Sequence[str], *, named_rows: bool) -> alt.LayerChart:
    axis = alt.Axis(labelLimit=LABELS, ticks=False, domain=False) if named_rows else None
    y = alt.Y("group:N", title=None, sort=list(groups), axis=axis, scale=alt.Scale(domain=list(groups)))
    colour = _colour(groups)
    data, runs = chart_of(means), chart_of(single)
    tooltip = [alt.Tooltip(f"{name}:N") for name in ("group", "run", "seed", "test error", "time")]
    layers = [
        data.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q"), x2="high:Q", y=y, color=colour),
        runs.mark_point(filled=True, size=22, opacity=0.6, yOffset=8).encode(
            x=x, y=y, color=colour, tooltip=tooltip
        ),
    ]
    of_seeds = [row for row in means if row["several"]]
    alone = [row for row in means if not row["several"]]
    # An axis without any row has no extent, and the renderer would say so.
    if of_seeds:
        filled = chart_of(of_seeds).mark_point(filled=True, size=80, opacity=1)
        layers.append(filled.encode(x=x, y=y, color=colour))
    if alone:
        hollow = chart_of(alone).mark_point(filled=False, size=80, opacity=1, fill="white")
        layers.append(hollow.encode(x=x, y=y, color=colour))
    found: alt.LayerChart = alt.LayerChart(layer=layers).properties(width=WIDTH, height=alt.Step(ROW))
    return found


def _learned(answer: RunComparison, names: dict[int, str], curves: Sequence[RunCurves]) -> Rows:
    """Return the mean validation error of every group by epoch, with its interval where there are seeds."""
    by_run = {curve.run: _curve(curve) for curve in curves}
    rows: Rows = []
    most = max(MOST_POINTS // max(len(names), 1), LEAST_POINTS)
    for i, group in enumerate(answer.groups):
        known = [found for number in group.counted or group.runs if (found := by_run.get(number))]
        common = sorted(set.intersection(*map(set, known))) if known else []
        floor = min((50 / c.validation_images for c in curves), default=0.01)
        for epoch in even_sample(common, most):
            values = [100 * errors[epoch] for errors in known]
            mean = mean_over_seeds(values) if len(values) > 1 else Estimate.exact(fmean(values))
            row = {"value": mean.mean, "low": mean.low, "high": mean.high}
            rows.append(
                {"group": names[i], "epoch": epoch} | {k: round(max(v, floor), 4) for k, v in row.items()}
            )
    return rows


def _curve(curves: RunCurves) -> dict[int, float]:
    """Return the mean validation error of the networks in training by epoch; teachers are left out."""
    errors: dict[int, list[float]] = defaultdict(list)
    for network in curves.networks:
        for point in network.points if network.cluster is not None else ():
            if point.validation_error is not None:
                errors[point.epoch].append(point.validation_error)
    return {epoch: fmean(values) for epoch, values in errors.items()}


def _curves(rows: Rows, groups: Sequence[str]) -> alt.LayerChart:
    values = [row["value"] for row in rows]
    low, high = min(values) / MARGIN, min(max(values) * MARGIN, 100.0)
    y = error_axis("value", low, high)
    x = alt.X(
        "epoch:Q",
        title="epochs, those of mother networks included",
        axis=alt.Axis(format="d", tickMinStep=1, grid=False),
    )
    colour, data = _colour(groups), chart_of(rows)
    tooltip = [alt.Tooltip("group:N"), alt.Tooltip("epoch:Q"), alt.Tooltip("value:Q", format=".3g")]
    layers = [
        data.mark_area(opacity=0.13, clip=True).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        data.mark_line(strokeWidth=1.8, clip=True).encode(x=x, y=y, color=colour),
        data.mark_point(filled=True, size=12, clip=True).encode(x=x, y=y, color=colour, tooltip=tooltip),
    ]
    found: alt.LayerChart = alt.LayerChart(layer=layers).properties(**CURVES)
    return found
