"""Every way to train an ensemble: error against time, the front, and finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import altair as alt

from advisor.estimate import Estimate
from advisor.plans.method_traits import CLUSTERED, Method
from cli.render.examine.slots import slot_name
from cli.render.formats import duration, epochs_text
from cli.web.charts.slots import ways_panel
from cli.web.charts.theme import PALETTE, SMALL, chart_of, cost_axis, in_theme, titled
from cli.workflows.answers.examine.frontier import Frontier, FrontierRow

SLOTS_CAPTION = "Members of a mother network train side by side, snapshots of a chain one after the other"
SIZE = {"width": 560, "height": 360}
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "stroke")
# Room beside the least and the largest time, as a factor.
MARGIN = 1.15


def frontier_chart(answer: Frontier, today: date) -> alt.LayerChart | alt.VConcatChart:
    """Return the answer of `advisor frontier` as a chart; where it has them, with the times by slots below.

    Args:
        answer: the answer.
        today: date for the caption.
    """
    errors = titled(_errors(answer), *_caption(answer, today))
    if not answer.rows[0].by_slots:
        return in_theme(errors)
    name = slot_name(answer.plan.device)
    slots = titled(_by_slots(answer, name), f"{answer.plan.design}: training time by {name}", [SLOTS_CAPTION])
    below: alt.VConcatChart = alt.VConcatChart(vconcat=[errors, slots], spacing=36)
    apart: alt.VConcatChart = below.resolve_scale(color="independent", shape="independent")
    return in_theme(apart)


def _by_slots(answer: Frontier, name: str) -> alt.LayerChart:
    ways = [
        (in_words(row.method), f"g={row.clusters}" if row.method in CLUSTERED else "", row.by_slots)
        for row in answer.rows
    ]
    return ways_panel(ways, _colours(list(dict.fromkeys(method for method, _, _ in ways))), name)


def _errors(answer: Frontier) -> alt.LayerChart:
    """Return error against time."""
    measured = any(row.train_seconds for row in answer.rows)
    rows = [_row(row) for row in answer.rows]
    ends = min(r["from"] for r in rows) / MARGIN, max(r["to"] for r in rows) * MARGIN
    x = alt.X(
        "time:Q",
        title="training time" if measured else "training time over that of full data, by a formula",
        scale=alt.Scale(type="log", domain=list(ends), nice=False),
        axis=cost_axis(*ends, duration if measured else "{:g}".format),
    )
    y = alt.Y("error:Q", title="test error, %", scale=alt.Scale(zero=False))
    return alt.LayerChart(layer=_layers(answer.rows, rows, x, y)).properties(**SIZE)


def _caption(answer: Frontier, today: date) -> tuple[str, list[str]]:
    plan, evidence = answer.plan, answer.evidence
    return (
        f"{plan.design}: every g and every method",
        [
            f"{epochs_text(plan.epochs, plan.patience)} of {plan.dataset}, {plan.processes} networks at once "
            f"on {plan.device}; 90 % intervals; crosses: finished runs; dotted: the front",
            f"Forecast of {today.isoformat()} from {evidence.measurements} measurements and {evidence.runs} "
            "trainings",
        ],
    )


def _layers(
    answered: Sequence[FrontierRow], rows: Sequence[dict[str, Any]], x: alt.X, y: alt.Y
) -> list[alt.Chart]:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    colours = _colours(methods)
    shapes = alt.Scale(domain=methods, range=[SHAPES[i % len(SHAPES)] for i in range(len(methods))])
    legend = alt.Legend(symbolOpacity=1)
    colour = alt.Color("method:N", title=None, scale=colours, legend=legend)
    data = chart_of(rows)
    front = chart_of(sorted((r for r in rows if r["front"]), key=lambda r: r["time"]))
    clustered = chart_of([r for r in rows if r["clusters"]])
    tooltip = [alt.Tooltip(f"{n}:N") for n in ("method", "clusters", "test error", "training time")]
    runs = [found for row in answered for found in _runs(row)]
    layers: list[alt.Chart] = [
        front.mark_line(interpolate="step-after", strokeDash=[2, 3], color="#555").encode(x=x, y=y),
        clustered.mark_line(opacity=0.6).encode(x=x, y=y, color=colour, order="clusters:Q"),
        data.mark_rule(opacity=0.5).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        data.mark_rule(opacity=0.5).encode(x=alt.X("from:Q"), x2="to:Q", y=y, color=colour),
        data.mark_point(filled=True, size=60, opacity=1).encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape("method:N", title=None, scale=shapes, legend=legend),
            tooltip=tooltip,
        ),
        clustered.mark_text(dx=11, dy=-8, fontSize=SMALL).encode(x=x, y=y, text="label:N", color=colour),
    ]
    if runs:
        crosses = chart_of(runs).mark_point(shape="cross", size=110, angle=45, strokeWidth=2, filled=False)
        tooltip = [alt.Tooltip("run:Q"), alt.Tooltip("error:Q")]
        layers.append(crosses.encode(x=x, y=y, color=colour, tooltip=tooltip))
    return layers


def _colours(methods: Sequence[str]) -> alt.Scale:
    return alt.Scale(domain=list(methods), range=[PALETTE[i % len(PALETTE)] for i in range(len(methods))])


def time_of(row: FrontierRow) -> Estimate:
    """Return the training time of a row, or its ratio to that of full data where nothing was measured."""
    return row.time_over_full_data if row.train_seconds is None else row.train_seconds


def _row(row: FrontierRow) -> dict[str, Any]:
    time, error = time_of(row), row.test_error.scaled(100)
    return {
        "method": in_words(row.method),
        # Full data have as many clusters as members, so they end the line of MotherNets.
        "clusters": row.clusters if row.method in CLUSTERED else None,
        "label": f"g={row.clusters}",
        "time": time.mean,
        "from": time.low,
        "to": time.high,
        "error": error.mean,
        "low": error.low,
        "high": error.high,
        "front": row.on_front,
        "test error": f"{error.mean:.2f} % ({error.low:.2f} to {error.high:.2f})",
        "training time": duration(time.mean) if row.train_seconds else f"{time.mean:.2f} of full data",
    }


def _runs(row: FrontierRow) -> list[dict[str, Any]]:
    """Return the finished runs of a row that stand on the axis of time."""
    return [
        {
            "method": in_words(row.method),
            "run": run.run,
            "time": run.train_seconds,
            "error": round(100 * run.test_error, 3),
        }
        for run in row.runs
        if run.train_seconds is not None and row.train_seconds is not None
    ]


def in_words(method: Method) -> str:
    """Return the name of a training method for a legend."""
    return method.value.replace("_", " ")
