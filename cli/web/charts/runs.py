"""All finished runs: test error against training time, single networks and ensembles told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from cli.render.formats import count, duration
from cli.web.charts.theme import ENSEMBLE, PALETTE, SINGLE, chart_of, cost_axis, finished
from cli.workflows.answers.runs.listing import ListedRun
from cli.workflows.runs.watching.sample import even_sample

SIZE = {"width": 760, "height": 320}
# Name of the selection that a reader draws.
BRUSH = "brush"
MARGIN = 1.1
# Points of a chart at most; an even sample takes the place of more.
MOST_POINTS = 3_000
KINDS = {"single network": SINGLE, "independent ensemble": ENSEMBLE, "ensemble of fewer clusters": PALETTE[2]}
SHAPES = ["square", "circle", "triangle-up"]
LEAST_SECONDS = 1e-3


def runs_chart(runs: Sequence[ListedRun]) -> alt.LayerChart:
    """Return finished runs as points; a click leads to the run.

    Args:
        runs: runs that have a test error, at least one.
    """
    rows = [_row(run) for run in even_sample(runs, MOST_POINTS)]
    ends = min(r["time"] for r in rows) / MARGIN, max(r["time"] for r in rows) * MARGIN
    x = alt.X(
        "time:Q",
        title="training time",
        scale=alt.Scale(type="log", domain=list(ends), nice=False),
        axis=cost_axis(*ends, duration),
    )
    scale = alt.Scale(domain=list(KINDS), range=list(KINDS.values()))
    legend = alt.Legend(symbolOpacity=1, orient="bottom", columns=3)
    brush = alt.selection_interval(name=BRUSH, encodings=["x", "y"])
    words = ("run", "design", "dataset", "method", "seed", "parameters", "test error", "training time")
    points = (
        chart_of(rows)
        .mark_point(filled=True, size=40, cursor="pointer")
        .encode(
            x=x,
            y=alt.Y("error:Q", title="test error, %", scale=alt.Scale(zero=False)),
            color=alt.Color("kind:N", title=None, scale=scale, legend=legend),
            shape=alt.Shape(
                "kind:N", title=None, scale=alt.Scale(domain=list(KINDS), range=SHAPES), legend=legend
            ),
            href="link:N",
            opacity=alt.condition(brush, alt.value(0.8), alt.value(0.12)),
            tooltip=[alt.Tooltip(f"{word}:N") for word in words],
        )
        .add_params(brush)
    )
    shown = (
        f"{len(rows)} of {len(runs)} finished runs" if len(rows) < len(runs) else f"{len(runs)} finished runs"
    )
    devices = ", ".join(sorted({run.device for run in runs}))
    days = sorted(run.created_at[:10] for run in runs)
    return finished(
        alt.LayerChart(layer=[points]).properties(**SIZE),
        "Test error against training time of finished runs",
        [f"{shown}, {days[0]} to {days[-1]}, on {devices}; a click leads to the run"],
    )


def _row(run: ListedRun) -> dict[str, Any]:
    error = 100 * (run.test_error or 0.0)
    if run.members == 1:
        kind = "single network"
    else:
        kind = "independent ensemble" if run.clusters == run.members else "ensemble of fewer clusters"
    return {
        "run": run.id,
        "design": run.design,
        "dataset": run.dataset,
        "method": run.method,
        "seed": run.seed,
        "parameters": count(run.parameters),
        "error": error,
        "time": max(run.train_seconds, LEAST_SECONDS),
        "kind": kind,
        "test error": f"{error:.2f} %",
        "training time": duration(run.train_seconds),
        "link": f"run?id={run.id}",
    }
