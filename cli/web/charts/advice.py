"""The ranking of `advisor recommend`: error against a cost, single networks and ensembles told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import altair as alt
import numpy as np

from advisor.decision.frontier.dominance import front_of
from advisor.designs.design import DesignClass
from advisor.errors import require_entries
from advisor.estimate import Estimate
from advisor.plans.plan import named
from cli.render.formats import duration, size
from cli.web.charts.theme import ENSEMBLE, SINGLE, SMALL, THIRD, chart_of, cost_axis, finished
from cli.workflows.answers.advise.advice import Advice, AdvisedDesign, PredictedFigures

SIZE = {"width": 560, "height": 360}
NAMES = {
    DesignClass.SINGLE: "single network",
    DesignClass.DEPTH_EQUIVALENT: "depth-equivalent ensemble",
    DesignClass.WIDTH_EQUIVALENT: "width-equivalent ensemble",
    DesignClass.MIXED: "other ensemble",
}
require_entries("cli/web/charts/advice.py: NAMES", NAMES, DesignClass)
COLOURS = alt.Scale(domain=list(NAMES.values()), range=[SINGLE, "#0072B2", ENSEMBLE, THIRD])
SHAPES = alt.Scale(domain=list(NAMES.values()), range=["square", "circle", "triangle-up", "diamond"])
# A cost: its name, its figure, and how it is written.
Cost = tuple[str, Callable[[PredictedFigures], Estimate], Callable[[float], str]]
COSTS: dict[str, Cost] = {
    "time": ("training time", lambda p: p.train_seconds, duration),
    "latency": ("latency of an image", lambda p: p.inference_ms_per_image.scaled(1e-3), duration),
    "memory": ("memory to train", lambda p: p.train_peak_bytes, size),
}
# Room beside the least and the largest cost, as a factor.
MARGIN = 1.1


def advice_chart(advice: Advice, today: date, cost: str = "time") -> alt.LayerChart:
    """Return the ranking of a recommendation as a chart.

    Args:
        advice: the recommendation.
        today: date for the caption.
        cost: name of a cost in `COSTS`, the horizontal axis.
    """
    label, figure, form = COSTS[cost]
    rows = [_row(row, figure, form) for row in advice.recommendations]
    ends = min(r["from"] for r in rows) / MARGIN, max(r["to"] for r in rows) * MARGIN
    x = alt.X(
        "cost:Q",
        title=label,
        scale=alt.Scale(type="log", domain=list(ends), nice=False),
        axis=cost_axis(*ends, form),
    )
    request, device = advice.request, advice.device
    return finished(
        alt.LayerChart(layer=_layers(rows, x)).properties(**SIZE),
        advice.verdict.sentence,
        [
            f"{request.budget} parameters, {request.epochs} epochs of {request.dataset}; 90 % intervals; "
            "dotted: the Pareto front; numbers are ranks",
            f"Forecast of {today.isoformat()} for {device.device_name}, {device.processes} networks train at "
            "a time",
        ],
    )


def _layers(rows: Sequence[dict[str, Any]], x: alt.X) -> list[alt.Chart]:
    legend = alt.Legend(symbolOpacity=1)
    colour = alt.Color("class:N", title=None, scale=COLOURS, legend=legend)
    shape = alt.Shape("class:N", title=None, scale=SHAPES, legend=legend)
    y = alt.Y("error:Q", title="test error, %", scale=alt.Scale(zero=False))
    names = ("rank", "design", "class", "test error", "cost in words", "chance against the best single")
    data = chart_of(rows)
    return [
        chart_of(_front(rows))
        .mark_line(interpolate="step-after", strokeDash=[2, 3], color="#555")
        .encode(x=x, y=y),
        data.mark_rule(opacity=0.45).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        data.mark_rule(opacity=0.45).encode(x=alt.X("from:Q"), x2="to:Q", y=y, color=colour),
        data.mark_point(filled=True, size=75, opacity=1).encode(
            x=x, y=y, color=colour, shape=shape, tooltip=[alt.Tooltip(f"{name}:N") for name in names]
        ),
        data.mark_text(dx=9, dy=-9, fontSize=SMALL).encode(x=x, y=y, text="rank:N"),
    ]


def _front(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows on the front of error and cost, by rising cost."""
    errors, costs = (np.array([row[name] for row in rows]) for name in ("error", "cost"))
    inside = [row for row, on in zip(rows, front_of(errors, costs), strict=True) if on]
    return sorted(inside, key=lambda row: row["cost"])


def _row(
    row: AdvisedDesign, figure: Callable[[PredictedFigures], Estimate], form: Callable[[float], str]
) -> dict[str, Any]:
    error, cost = row.predicted.test_error.scaled(100), figure(row.predicted)
    chance = row.probability_beats_single
    return {
        "rank": row.rank,
        "design": named(row.design, row.method),
        "class": NAMES[row.design_class],
        "error": error.mean,
        "low": error.low,
        "high": error.high,
        "cost": cost.mean,
        "from": cost.low,
        "to": cost.high,
        "test error": f"{error.mean:.2f} % ({error.low:.2f} to {error.high:.2f})",
        "cost in words": f"{form(cost.mean)} ({form(cost.low)} to {form(cost.high)})",
        "chance against the best single": "–" if chance is None else f"{chance:.0%}",
    }
