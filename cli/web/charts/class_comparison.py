"""A single network and the ensembles of its size: every metric against the number of members."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import altair as alt

from advisor.estimate import Estimate
from cli.render.formats import duration, epochs_text, size
from cli.web.charts.theme import chart_of, cost_axis, finished
from cli.workflows.answers.examine.class_comparison import ComparedKind, EquivalentComparison, SizedDesign

PANEL = {"width": 270, "height": 190}
NAMES = {
    ComparedKind.WIDTH_EQUIVALENT: "width-equivalent",
    ComparedKind.DEPTH_EQUIVALENT: "depth-equivalent",
    ComparedKind.BEST: "best of any depth",
}
COLOURS = alt.Scale(domain=list(NAMES.values()), range=["#E69F00", "#0072B2", "#009E73"])
SHAPES = alt.Scale(domain=list(NAMES.values()), range=["square", "circle", "diamond"])
Figure = Callable[[SizedDesign], Estimate | None]
Panel = tuple[str, Figure, Callable[[float], str]]
ERROR: Panel = ("test error, %", lambda d: d.test_error.scaled(100), "{:g}".format)
LAYERS: Panel = ("layers of all members", lambda d: Estimate.exact(d.layers), "{:g}".format)
COSTS: tuple[Panel, ...] = (
    ("an epoch of every member", lambda d: d.epoch_seconds, duration),
    ("latency of an image", lambda d: _seconds(d.inference_ms_per_image), duration),
    ("memory to train", lambda d: d.train_peak_bytes, size),
)


def _seconds(milliseconds: Estimate | None) -> Estimate | None:
    return None if milliseconds is None else milliseconds.scaled(1e-3)


def class_comparison_chart(answer: EquivalentComparison, today: date) -> alt.VConcatChart:
    """Return the answer of `advisor equivalents --compare` as a chart.

    Args:
        answer: the answer.
        today: date for the caption.
    """
    measured = answer.single.epoch_seconds is not None
    panels = [_panel(answer, panel) for panel in ((ERROR, *COSTS) if measured else (ERROR, LAYERS))]
    rows = [alt.HConcatChart(hconcat=panels[i : i + 2]) for i in range(0, len(panels), 2)]
    chart: alt.VConcatChart = alt.VConcatChart(vconcat=rows).resolve_scale(color="shared", shape="shared")
    plan, evidence = answer.plan, answer.evidence
    return finished(
        chart,
        f"{plan.design} and k members of its size",
        [
            f"{epochs_text(plan.epochs, plan.patience)} of {plan.dataset} on {plan.device}; 90 % intervals; "
            "dashed: the single network",
            f"Forecast of {today.isoformat()} from {evidence.measurements} measurements and {evidence.runs} "
            "trainings",
        ],
    )


def _panel(answer: EquivalentComparison, panel: Panel) -> alt.LayerChart:
    """Return one metric of every class against the number of members, the single network as a line."""
    label, figure, form = panel
    rows = [
        {"class": NAMES[d.kind], "members": d.members, "value": e.mean, "low": e.low, "high": e.high}
        | {"design": d.design, "figure": form(e.mean)}
        for d in answer.by_members
        if d.kind in NAMES and (e := figure(d)) is not None
    ]
    x = alt.X("members:Q", title="members k", axis=alt.Axis(values=list(range(2, 17, 2)), format="d"))
    own = figure(answer.single)
    y = _axis(panel, rows, own)
    legend = alt.Legend(symbolOpacity=1)
    colour = alt.Color("class:N", title=None, scale=COLOURS, legend=legend)
    data = chart_of(rows)
    layers: list[alt.Chart] = []
    if own is not None:
        alone = chart_of([{"value": own.mean, "low": own.low, "high": own.high}])
        layers = [
            alone.mark_rect(opacity=0.07, color="black").encode(y=alt.Y("low:Q"), y2="high:Q"),
            alone.mark_rule(strokeDash=[4, 3]).encode(y=y),
        ]
    layers += [
        data.mark_area(opacity=0.12).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        data.mark_line().encode(x=x, y=y, color=colour),
        data.mark_point(filled=True, size=30, opacity=1).encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape("class:N", title=None, scale=SHAPES, legend=legend),
            tooltip=[alt.Tooltip(f"{name}:N") for name in ("design", "class", "figure")],
        ),
    ]
    found: alt.LayerChart = alt.LayerChart(layer=layers).properties(title=label, **PANEL)
    return found


def _axis(panel: Panel, rows: list[dict[str, Any]], own: Estimate | None) -> alt.Y:
    """Return the axis of a metric; costs have a logarithmic one with round figures in their own unit."""
    _, _, form = panel
    if panel not in COSTS or not rows:
        return alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    lows = [row["low"] for row in rows] + ([own.low] if own else [])
    highs = [row["high"] for row in rows] + ([own.high] if own else [])
    ends = min(lows), max(highs)
    scale = alt.Scale(type="log", domain=list(ends), nice=False)
    return alt.Y("value:Q", title=None, scale=scale, axis=cost_axis(*ends, form))
