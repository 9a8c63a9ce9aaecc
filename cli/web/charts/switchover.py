"""The switchover of a data set: one panel for each training, the threshold with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import altair as alt
import numpy as np

from advisor.decision.threshold.map_grid import Axis
from advisor.decision.threshold.switchover import Threshold
from cli.render.examine.switchover import EXTRAPOLATED, letter_of, marked_name, training_in_words
from cli.render.examine.switchover_words import columns_in_words
from cli.render.formats import count
from cli.web.charts.theme import ENSEMBLE, ON_LIGHT, SINGLE, SMALL, chart_of, finished, named_axis
from cli.workflows.answers.examine.switchover import SwitchoverMap, TrainingMap

LABELS = {Axis.EPOCHS: "epochs of the single network", Axis.IMAGES: "training images"}
# Width of a column and height of a row in pixels.
COLUMN, ROW = 44, 30
MEDIAN, INTERVAL = "switchover threshold (median)", "its 90 % interval"
# Colours of a chance of 0, an even one and one of 100 %.
CHANCES = alt.Scale(domain=[0, 50, 100], range=[SINGLE, "#ffffff", ENSEMBLE], interpolate="rgb")


def switchover_chart(
    answer: SwitchoverMap, today: date, point: tuple[int, int] | None = None
) -> alt.HConcatChart:
    """Return the answer of `advisor est` as a chart.

    Args:
        answer: the answer.
        today: date for the caption.
        point: column and parameters that a reader has in mind, which every panel marks; None for none.
    """
    request, evidence = answer.request, answer.evidence
    panels = [
        _panel(answer, found, training_in_words(training, found.clusters), point, first=i == 0)
        for i, (training, found) in enumerate(answer.maps.items())
    ]
    panels_beside: alt.HConcatChart = alt.hconcat(*panels, spacing=24).resolve_scale(
        color="shared", strokeDash="shared"
    )
    return finished(
        panels_beside,
        f"Chance in % that the better ensemble of {request.members} has less error than one network of its "
        "size",
        [
            f"{request.family} on {request.dataset}. {columns_in_words(answer)}",
            "d, w: depth-, width-equivalent ensemble likelier ahead (capital: both are); s: single network; "
            "–: no ensemble fits",
            f"Forecast of {today.isoformat()} from {evidence.runs} trainings, {evidence.runs_on_dataset} of "
            f"them on this data, and {evidence.published_errors_on_dataset} published errors on it",
        ],
    )


def _panel(
    answer: SwitchoverMap, found: TrainingMap, name: str, point: tuple[int, int] | None, *, first: bool
) -> alt.LayerChart:
    columns, budgets = answer.columns, answer.budgets_parameters
    mark = f" ({EXTRAPOLATED} extrapolated)" if any(answer.extrapolated) else ""
    across, up = edges(columns), edges(budgets)
    x = alt.X(
        "left:Q",
        scale=alt.Scale(type="log", domain=[across[0], across[-1]], nice=False),
        axis=named_axis(columns, [marked_name(answer, j).strip() for j in range(len(columns))]),
        title=LABELS[answer.axis] + mark,
    )
    y = alt.Y(
        "low:Q",
        scale=alt.Scale(type="log", domain=[up[0], up[-1]], nice=False),
        axis=named_axis(budgets, [count(b) for b in budgets]) if first else None,
        title="total parameters",
    )
    colour = alt.Color("chance:Q", scale=CHANCES, title="ensemble ahead, %")
    cells = chart_of(list(_cells(answer, found)))
    tooltip = [alt.Tooltip(f"{name}:N") for name in ("budget", LABELS[answer.axis], "chance of the ensemble")]
    squares = cells.mark_rect().encode(x=x, x2="right:Q", y=y, y2="high:Q", color=colour, tooltip=tooltip)
    figures = cells.mark_text(fontSize=SMALL).encode(x="column:Q", y="parameters:Q", text="figure:N")
    figures = figures.encode(color=alt.value(ON_LIGHT))
    layers: list[alt.Chart] = [squares, figures]
    if found.threshold_parameters:
        layers.insert(1, _threshold(columns, found.threshold_parameters, above=float(2 * up[-1])))
        if all(threshold.median is None for threshold in found.threshold_parameters):
            name = f"{name}: not reached"
    if point is not None and across[0] <= point[0] <= across[-1] and up[0] <= point[1] <= up[-1]:
        asked = chart_of([{"column": point[0], "parameters": point[1], "asked": f"asked: {count(point[1])}"}])
        ring = asked.mark_point(size=260, strokeWidth=2.5, filled=False, color=ON_LIGHT)
        layers.append(ring.encode(x="column:Q", y="parameters:Q", tooltip="asked:N"))
    size = {"width": COLUMN * max(len(columns), 4), "height": ROW * max(len(budgets), 4)}
    title = alt.TitleParams(text=name, fontSize=SMALL + 1, fontWeight="normal")
    panel: alt.LayerChart = alt.LayerChart(layer=layers).properties(title=title, **size)
    return panel


def _cells(answer: SwitchoverMap, found: TrainingMap) -> Iterator[dict[str, Any]]:
    columns, budgets = answer.columns, answer.budgets_parameters
    across, up = edges(columns), edges(budgets)
    for i, budget in enumerate(budgets):
        for j, column in enumerate(columns):
            chance = found.probability_ensemble_wins[i][j]
            percent = None if chance is None else round(100 * chance)
            text = "–" if percent is None else f"{letter_of(found, i, j)} {percent}"
            yield {
                "left": across[j],
                "right": across[j + 1],
                "low": up[i],
                "high": up[i + 1],
                "column": column,
                "parameters": budget,
                "chance": percent,
                "figure": text,
                "budget": count(budget),
                LABELS[answer.axis]: column,
                "chance of the ensemble": "no ensemble fits" if percent is None else f"{percent} %",
            }


def _threshold(columns: Sequence[int], thresholds: Sequence[Threshold], above: float) -> alt.Chart:
    """Return medians and intervals as lines; figures beyond the grid lie above the picture."""
    rows = [
        {"column": column, "threshold": above if figure is None else figure, "line": line, "meaning": meaning}
        for column, t in zip(columns, thresholds, strict=True)
        for line, meaning, figure in (
            ("median", MEDIAN, t.median),
            ("low", INTERVAL, t.low),
            ("high", INTERVAL, t.high),
        )
    ]
    dash = alt.Scale(domain=[MEDIAN, INTERVAL], range=[[1, 0], [4, 3]])
    found: alt.Chart = (
        chart_of(rows)
        .mark_line(color="black", opacity=0.5, clip=True)
        .encode(
            x="column:Q",
            y="threshold:Q",
            detail="line:N",
            strokeDash=alt.StrokeDash("meaning:N", scale=dash, title=None),
        )
    )
    return found


def edges(centres: Sequence[int]) -> list[float]:
    """Return the edges of cells around points, halfway in the logarithm, one more than the points."""
    points = np.log(np.array(centres, dtype=float))
    if len(points) == 1:
        return [float(e) for e in np.exp(points[0] + np.array([-0.5, 0.5]))]
    between = (points[1:] + points[:-1]) / 2
    first, last = 2 * points[0] - between[0], 2 * points[-1] - between[-1]
    return [float(e) for e in np.exp(np.concatenate([[first], between, [last]]))]
