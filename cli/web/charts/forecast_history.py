"""Whether forecasts were right: predicted against actual time, memory and error of all finished runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import altair as alt

from advisor.conformal import Quantity
from cli.render.formats import duration, percent, size
from cli.web.charts.theme import FIFTH, TEXT, chart_of, cost_axis, finished
from cli.workflows.answers.examine.forecast_history import ForecastHistory, PastForecast
from cli.workflows.runs.watching.sample import even_sample

PANEL = {"width": 235, "height": 235}
# Points of a panel. All forecasts that did not hold are drawn first.
MOST_POINTS = 3000
INSIDE, OUTSIDE = "in its 90 % interval", "outside"
COLOURS = alt.Scale(domain=[INSIDE, OUTSIDE], range=["#0072B2", FIFTH])
SHAPES = alt.Scale(domain=[INSIDE, OUTSIDE], range=["circle", "triangle-up"])
# Room beside the least and the largest figure, as a factor.
MARGIN = 1.25
# Least error of the axes in percent, and least share of the outcomes' range that an interval widens it to.
LEAST_ERROR, BELOW = 0.01, 0.2


@dataclass(frozen=True, slots=True)
class Axis:
    """How a quantity is drawn.

    Attributes:
        name: what it is called.
        factor: factor from its unit to that of the axis.
        form: how a figure of the axis is written.
        words: how a figure of the answer is written.
        empty: ends of the axes where there is nothing to draw.
    """

    name: str
    factor: float
    form: Callable[[float], str]
    words: Callable[[float], str]
    empty: tuple[float, float]


AXES = {
    Quantity.TIME: Axis("training time", 1.0, duration, duration, (1.0, 600.0)),
    Quantity.MEMORY: Axis("memory to train", 1.0, size, size, (2.0**23, 2.0**29)),
    Quantity.ERROR: Axis("test error, %", 100.0, "{:g}".format, percent, (1.0, 50.0)),
}


def forecast_history_chart(answer: ForecastHistory, today: date) -> alt.HConcatChart:
    """Return the forecasts of all finished runs as a chart.

    Args:
        answer: the forecasts.
        today: date for the caption.
    """
    counts = {c.quantity: f"{c.inside} of {c.forecasts} inside" for c in answer.coverage}
    panels = [
        _panel(quantity, axis, answer, counts.get(quantity, "none finished"))
        for quantity, axis in AXES.items()
    ]
    chart: alt.HConcatChart = alt.HConcatChart(hconcat=panels, spacing=22).resolve_scale(
        color="shared", shape="shared"
    )
    datasets = sorted({f.dataset for f in answer.forecasts})
    shown = ", ".join(datasets[:3]) + (f" and {len(datasets) - 3} more" if len(datasets) > 3 else "")
    machines = f"{answer.machines} machine" + "s" * (answer.machines != 1)
    return finished(
        chart,
        "Predicted before training, and what it came to",
        [
            f"{answer.runs} finished runs on {machines} ({', '.join(answer.devices) or '–'}), "
            f"{today.isoformat()}; data: {shown or '–'}",
            "Lines: 90 % intervals; diagonal: as predicted. 90 of 100 outcomes should lie in their intervals",
        ],
    )


def _panel(quantity: Quantity, axis: Axis, answer: ForecastHistory, count: str) -> alt.LayerChart:
    rows = [_row(f, axis) for f in sampled([f for f in answer.forecasts if f.quantity is quantity])]
    low, high = _ends(rows) if rows else axis.empty
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    ticks = cost_axis(low, high, axis.form)
    x = alt.X("actual:Q", title=f"actual {axis.name}", scale=scale, axis=_sparse(ticks))
    y = alt.Y("predicted:Q", title=f"predicted {axis.name}", scale=scale, axis=ticks)
    legend = alt.Legend(symbolOpacity=1, orient="bottom", symbolSize=60)
    colour = alt.Color("held:N", title=None, scale=COLOURS, legend=legend)
    shape = alt.Shape("held:N", title=None, scale=SHAPES, legend=legend)
    tooltip = [alt.Tooltip(f"{n}:N") for n in ("run", "design", "data", "forecast", "outcome", "held")]
    data, many = chart_of(rows), len(rows) > 100
    diagonal = chart_of([{"actual": low, "predicted": low}, {"actual": high, "predicted": high}])
    layers = [
        diagonal.mark_line(color="#777", strokeDash=[4, 3], strokeWidth=1).encode(x=x, y=y),
        data.mark_rule(opacity=0.12 if many else 0.4, clip=True).encode(
            x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour
        ),
        data.mark_point(filled=True, size=16 if many else 40, opacity=0.6 if many else 0.9, clip=True).encode(
            x=x, y=y, color=colour, shape=shape, tooltip=tooltip
        ),
    ]
    title = alt.TitleParams(
        text=f"{axis.name.removesuffix(', %')}: {count}",
        fontSize=TEXT + 1,
        fontWeight="normal",
        anchor="start",
    )
    found: alt.LayerChart = alt.LayerChart(layer=layers).properties(title=title, **PANEL)
    return found


def sampled(forecasts: Sequence[PastForecast]) -> list[PastForecast]:
    """Return at most `MOST_POINTS` forecasts: those that did not hold first, then an even sample."""
    outside = [f for f in forecasts if not f.inside]
    if len(outside) >= MOST_POINTS:
        return even_sample(outside, MOST_POINTS)
    inside, room = [f for f in forecasts if f.inside], MOST_POINTS - len(outside)
    return [*outside, *(even_sample(inside, room) if room > 1 else inside[:room])]


def _sparse(ticks: alt.Axis) -> alt.Axis:
    """Return a horizontal axis, whose names may not run into each other."""
    across = ticks.copy()
    across.labelOverlap = "greedy"
    return across


def _ends(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return least and largest figure of both axes; an interval that reaches far beyond is cut off."""
    means = [value for row in rows for value in (row["actual"], row["predicted"])]
    least, most = min(means), max(means)
    low = max(min(row["low"] for row in rows), BELOW * least)
    high = min(max(row["high"] for row in rows), most / BELOW)
    return min(low, least) / MARGIN, max(high, most) * MARGIN


def _row(forecast: PastForecast, axis: Axis) -> dict[str, Any]:
    predicted, factor, words = forecast.predicted, axis.factor, axis.words
    # Logarithms have no 0, which an error of small test sets may be.
    least = LEAST_ERROR if forecast.quantity is Quantity.ERROR else 1e-6
    return {
        "run": forecast.run,
        "design": forecast.design,
        "data": forecast.dataset,
        "actual": max(float(f"{forecast.actual * factor:.4g}"), least),
        "predicted": max(float(f"{predicted.mean * factor:.4g}"), least),
        "low": max(float(f"{predicted.low * factor:.4g}"), least),
        "high": max(float(f"{predicted.high * factor:.4g}"), least),
        "held": INSIDE if forecast.inside else OUTSIDE,
        "forecast": f"{words(predicted.mean)} ({words(predicted.low)} to {words(predicted.high)})",
        "outcome": words(forecast.actual),
    }
