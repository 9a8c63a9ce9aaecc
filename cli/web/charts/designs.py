"""All designs that a search looked at: any two of error, time, latency, memory and parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

import altair as alt
import numpy as np

from advisor.decision.frontier.dominance import front_of
from advisor.estimate import Estimate
from advisor.plans.plan import named
from cli.render.formats import count, duration, size
from cli.web.charts.advice import COLOURS, NAMES, SHAPES
from cli.web.charts.theme import chart_of, cost_axis, finished
from cli.workflows.answers.advise.preview import AdvicePreview, EvaluatedDesign
from cli.workflows.answers.advise.request import AnsweredRequest

SIZE = {"width": 760, "height": 360}
# Name of the selection that a reader draws; the page leaves out the rows of other designs.
BRUSH = "brush"
# Room beside the least and the largest figure of an axis, as a factor.
MARGIN = 1.08


@dataclass(frozen=True, slots=True)
class Quantity:
    """A figure of a design that an axis may show.

    Attributes:
        label: title of the axis.
        figure: figure of a design.
        form: how it is written.
    """

    label: str
    figure: Callable[[EvaluatedDesign], Estimate]
    form: Callable[[float], str]


QUANTITIES = {
    "error": Quantity("test error", lambda d: d.predicted.test_error, "{:.3g} %".format),
    "time": Quantity("training time", lambda d: d.predicted.train_seconds, duration),
    "latency": Quantity(
        "latency of an image", lambda d: d.predicted.inference_ms_per_image.scaled(1e-3), duration
    ),
    "memory": Quantity("memory to train", lambda d: d.predicted.memory_bytes, size),
    "parameters": Quantity("parameters", lambda d: Estimate.exact(d.parameters), count),
}


def designs_chart(
    answer: AdvicePreview, today: date, across: str = "time", up: str = "error"
) -> alt.LayerChart:
    """Return the designs of a preview as points with their Pareto front.

    A reader may draw a selection, `BRUSH`, whose fields are the names of the two quantities. A click on a
    point leads to its plan.

    Args:
        answer: the preview.
        today: date for the caption.
        across: name of the horizontal quantity in `QUANTITIES`.
        up: name of the vertical quantity.
    """
    names = across, up
    rows = [_row(answer, design, names) for design in answer.evaluated]
    ranks = {(row.design, row.method.value): row.rank for row in answer.recommendations}
    request, device = answer.request, answer.device
    return finished(
        alt.LayerChart(layer=_layers(rows, ranks, names)).properties(**SIZE),
        f"{QUANTITIES[up].label} against {QUANTITIES[across].label}".capitalize(),
        [
            f"{len(rows)} designs of at most {request.budget} parameters, {request.epochs} epochs of "
            f"{request.dataset}; 90 % intervals of the ranking; dotted: the Pareto front; numbers are ranks",
            f"Forecast of {today.isoformat()} for {device.device_name}, {device.processes} networks train at "
            "a time",
        ],
    )


def _layers(
    rows: Sequence[dict[str, Any]], ranks: dict[tuple[str, str], int], names: tuple[str, str]
) -> list[alt.Chart]:
    across, up = names
    ranked = [
        row | {"rank": ranks[row["name"], row["method"]]}
        for row in rows
        if (row["name"], row["method"]) in ranks
    ]
    x, y = (_axis(kind, rows, ranked, name) for kind, name in ((alt.X, across), (alt.Y, up)))
    legend = alt.Legend(symbolOpacity=1, orient="bottom", columns=2)
    colour = alt.Color("class:N", title=None, scale=COLOURS, legend=legend)
    shape = alt.Shape("class:N", title=None, scale=SHAPES, legend=legend)
    brush = alt.selection_interval(name=BRUSH, encodings=["x", "y"])
    words = ["design", "class", *(f"{QUANTITIES[n].label}" for n in dict.fromkeys(("error", *names)))]
    points = (
        chart_of(rows)
        .mark_point(filled=True, size=36, cursor="pointer")
        .encode(
            x=x,
            y=y,
            color=colour,
            shape=shape,
            href="link:N",
            opacity=alt.condition(brush, alt.value(0.75), alt.value(0.12)),
            tooltip=[alt.Tooltip(f"{word}:N") for word in words],
        )
        .add_params(brush)
    )
    best = chart_of(ranked)
    return [
        chart_of(_front(rows, names))
        .mark_line(interpolate="step-after", strokeDash=[2, 3], color="#777")
        .encode(x=x, y=y),
        best.mark_rule(opacity=0.4).encode(x=x, y=_plain(alt.Y, f"{up} low"), y2=f"{up} high", color=colour),
        best.mark_rule(opacity=0.4).encode(
            x=_plain(alt.X, f"{across} low"), x2=f"{across} high", y=y, color=colour
        ),
        points,
        best.mark_text(dx=9, dy=-9, fontWeight="bold").encode(x=x, y=y, text="rank:N"),
    ]


def _plain(kind: type[alt.X] | type[alt.Y], field: str) -> alt.X | alt.Y:
    return kind(field=field, type="quantitative")


def _axis(
    kind: type[alt.X] | type[alt.Y],
    rows: Sequence[dict[str, Any]],
    ranked: Sequence[dict[str, Any]],
    name: str,
) -> alt.X | alt.Y:
    """Return a logarithmic axis that holds all points, and the intervals of those with a rank."""
    quantity = QUANTITIES[name]
    figures = [r[name] for r in rows] + [r[f"{name} {end}"] for r in ranked for end in ("low", "high")]
    least = min(f for f in figures if f > 0)
    ends = least / MARGIN, max(figures) * MARGIN
    return kind(
        field=name,
        type="quantitative",
        title=quantity.label,
        scale=alt.Scale(type="log", domain=list(ends), nice=False, clamp=True),
        axis=cost_axis(*ends, quantity.form),
    )


def _front(rows: Sequence[dict[str, Any]], names: tuple[str, str]) -> list[dict[str, Any]]:
    """Return the rows on the front of two quantities, both the smaller the better."""
    across, up = (np.array([row[name] for row in rows]) for name in names)
    inside = [row for row, on in zip(rows, front_of(up, across), strict=True) if on]
    return sorted(inside, key=lambda row: row[names[0]])


def _row(answer: AdvicePreview, design: EvaluatedDesign, names: tuple[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": design.design,
        "method": design.method.value,
        "design": named(design.design, design.method),
        "class": NAMES[design.design_class],
        "link": plan_link(answer.request, design.design, design.method.value),
    }
    for name in dict.fromkeys(("error", *names)):
        quantity = QUANTITIES[name]
        figure = quantity.figure(design).scaled(100 if name == "error" else 1)
        found |= {name: figure.mean, f"{name} low": figure.low, f"{name} high": figure.high}
        found |= {quantity.label: _words(figure, quantity.form)}
    return found


def _words(figure: Estimate, form: Callable[[float], str]) -> str:
    return f"{form(figure.mean)} ({form(figure.low)} to {form(figure.high)})"


def plan_link(request: AnsweredRequest, design: str, method: str) -> str:
    """Return the address of the page of a design's plan, relative to another page."""
    facts = {"target": design, "method": method, "dataset": request.dataset, "epochs": request.epochs}
    return f"plan?{urlencode(facts)}"
