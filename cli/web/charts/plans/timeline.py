"""The steps of a plan as bars on their slots over time, and for a run the actual bars below the predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import altair as alt

from cli.render.formats import bounds, duration
from cli.web.charts.plans.parts import (
    DARK,
    Kind,
    colour_scale,
    fits,
    kind_names,
    kind_of_step,
    kinds_of,
    row_scale,
    settings_line,
    tooltips,
)
from cli.web.charts.theme import SMALL, TEXT, chart_of, finished, linear_axis, titled
from cli.workflows.answers.examine.explanation import ExplainedStep, Explanation, SlotSpan

WIDTH = 640
# Height of a lane in pixels, and of all lanes together at most.
LANE, HEIGHT = 26.0, 900.0
# Width that the names of slots and lanes have at most, in pixels.
SLOT_NAMES = 130
# Room between the slots of a run, in lanes.
GAP = 0.35
TOOLTIP = (
    *("step", "network", "kind", "figures", "when", "takes", "90 % interval"),
    *("epochs", "after", "status"),
)
# Opacity of a bar whose step has not been carried to its end.
UNFINISHED = 0.4
EXPECTED, PREDICTED, ACTUAL = "expected", "predicted", "actual"
SpanOf = Callable[[ExplainedStep], SlotSpan | None]
LANES: dict[str, SpanOf] = {
    EXPECTED: lambda step: step.expected_span_epochs,
    PREDICTED: lambda step: step.predicted_span_seconds,
    ACTUAL: lambda step: step.actual_span_seconds,
}


def timeline_chart(answer: Explanation, today: date) -> alt.LayerChart:
    """Return the steps of `advisor explain` as bars on their slots.

    Beginnings of the steps of a run are not recorded. They follow from the actual seconds by the rule that
    starts steps (`advisor.cost.timeline`). Where seconds were neither predicted nor taken, bars are as long
    as the expected epochs.

    Args:
        answer: the answer.
        today: date for the caption.
    """
    return finished(timeline_panel(answer), *timeline_caption(answer, today))


def timeline_caption(answer: Explanation, today: date) -> tuple[str, list[str]]:
    """Return title and lines of the chart; arguments as for `timeline_chart`."""
    lines, lanes = [settings_line(answer)], _lanes(answer)
    if lanes == (EXPECTED,):
        lines.append(
            "Bars are as long as the expected epochs: no time is known, because nothing was measured here"
        )
    lines += _totals(answer)
    if ACTUAL in lanes:
        lines.append(
            "Actual bars: recorded seconds; beginnings follow from them by the rule that starts steps"
            + "; light: not finished" * _any_unfinished(answer)
        )
    run = answer.run
    if run is None:
        lines.append(f"Forecast of {today.isoformat()}")
    else:
        lines.append(f"Run {run.id} of {run.created_at[:10]} ({run.status}), drawn {today.isoformat()}")
    return f"{answer.plan.design}: when each step runs", lines


def _totals(answer: Explanation) -> list[str]:
    """Return a line on the predicted and actual seconds of the whole training, if any are known."""
    predicted = answer.predicted.train_seconds
    actual = None if answer.actual is None else answer.actual.train_seconds
    said = []
    if predicted is not None:
        interval = bounds(predicted, duration)
        said.append(f"predicted training time {duration(predicted.mean)} ({interval}, 90 % interval)")
    if actual is not None:
        said.append(f"{duration(actual)} recorded, starts of processes included")
    line = "; ".join(said)
    return [line[0].upper() + line[1:]] if line else []


def timeline_panel(answer: Explanation) -> alt.LayerChart:
    """Return the chart without title and fonts."""
    lanes = _lanes(answer)
    slots = max((slot for _, _, span in _spans(answer) for slot in span.slots), default=1)
    geometry = _Geometry(lanes, slots, max((span.end for _, _, span in _spans(answer)), default=0.0) or 1.0)
    rows = list(_rows(answer, geometry))
    panel: alt.LayerChart = alt.LayerChart(layer=_layers(answer, geometry, rows))
    height = geometry.pixels * geometry.height
    found: alt.LayerChart = panel.properties(width=WIDTH, height=height)
    return found


@dataclass(frozen=True)
class _Geometry:
    """Where the lanes of the slots lie, and how far time reaches."""

    lanes: tuple[str, ...]
    slots: int
    end: float

    @property
    def of_slot(self) -> float:
        """Height of a slot with its gap, in lanes."""
        return len(self.lanes) + (GAP if len(self.lanes) > 1 else 0.0)

    @property
    def height(self) -> float:
        """Height of all slots, in lanes."""
        return self.slots * self.of_slot

    @property
    def pixels(self) -> float:
        """Height of a lane in pixels."""
        return min(LANE, HEIGHT / self.height)

    def top(self, slot: int, lane: str) -> float:
        """Return the upper edge of a lane."""
        return (slot - 1) * self.of_slot + self.lanes.index(lane)


def _lanes(answer: Explanation) -> tuple[str, ...]:
    """Return what is drawn of every slot."""
    known = tuple(
        lane for lane in (PREDICTED, ACTUAL) if any(LANES[lane](step) is not None for step in answer.steps)
    )
    return known or (EXPECTED,)


def _spans(answer: Explanation) -> Iterator[tuple[ExplainedStep, str, SlotSpan]]:
    for lane in _lanes(answer):
        for step in answer.steps:
            if (span := LANES[lane](step)) is not None:
                yield step, lane, span


def _any_unfinished(answer: Explanation) -> bool:
    return any(s.actual_span_seconds is not None and s.status != "done" for s in answer.steps)


def _slot(answer: Explanation) -> str:
    return "GPU" if answer.plan.device == "cuda" else "process"


def _rows(answer: Explanation, geometry: _Geometry) -> Iterator[dict[str, Any]]:
    """Return a row for every step, lane and slot."""
    kinds, names = kinds_of(answer), kind_names(answer.plan)
    for step, lane, span in _spans(answer):
        kind = kind_of_step(step, kinds)
        label = step.network_name or Kind.EVALUATION.value
        room = WIDTH * (span.end - span.start) / geometry.end
        written = kind is not Kind.HATCHING and geometry.pixels > SMALL and fits(label, room, SMALL)
        for slot in span.slots:
            top = geometry.top(slot, lane)
            yield {
                "start": span.start,
                "end": span.end,
                "middle": (span.start + span.end) / 2,
                "top": top + 0.08,
                "bottom": top + 0.92,
                "centre": top + 0.5,
                "kind": names[kind],
                "hatching": kind is Kind.HATCHING,
                "opacity": UNFINISHED if lane == ACTUAL and step.status != "done" else 1.0,
                "label": label if written and slot == span.slots[0] else "",
                "ink": "white" if kind in DARK else "black",
                "figures": lane,
                **_texts(step, lane, span),
            }


def _texts(step: ExplainedStep, lane: str, span: SlotSpan) -> dict[str, str]:
    """Return what the tooltip says of a bar besides its kind."""
    form = _epochs if lane == EXPECTED else duration
    more = len(step.after) - 1
    after = f"{step.after[0]} and {more} more" if more > 1 else ", ".join(step.after)
    predicted = lane == PREDICTED and step.seconds is not None
    return {
        "step": step.step,
        "network": step.network or "all members",
        "when": f"{form(span.start)} to {form(span.end)}",
        "takes": form(span.end - span.start),
        "90 % interval": bounds(step.seconds, duration) if predicted and step.seconds else "–",
        "epochs": _epochs_text(step),
        "after": after or "–",
        "status": (step.status or "not finished") if lane == ACTUAL else "–",
    }


def _epochs(value: float) -> str:
    return f"{value:.4g} epochs"


def _epochs_text(step: ExplainedStep) -> str:
    if step.schedule is None:
        return "–"
    trained = "" if step.actual_epochs is None else f", {step.actual_epochs} trained"
    return f"{step.epochs:.4g} expected{trained}"


def _layers(answer: Explanation, geometry: _Geometry, rows: Sequence[dict[str, Any]]) -> list[alt.Chart]:
    scale = row_scale(geometry.height)
    in_epochs = geometry.lanes == (EXPECTED,)
    form: Callable[[float], str] = "{:g}".format if in_epochs else duration
    x = alt.X(
        "start:Q",
        title="expected epochs" if in_epochs else "time since the plan began",
        scale=alt.Scale(domain=[0, geometry.end], nice=False),
        axis=linear_axis(geometry.end, form),
    )
    names = kind_names(answer.plan)
    present = {row["kind"] for row in rows}
    colour = alt.Color(
        "kind:N",
        title=None,
        scale=colour_scale([kind for kind in Kind if names[kind] in present], names),
        legend=alt.Legend(orient="top", symbolOpacity=1, symbolType="square"),
    )
    top = alt.Y("top:Q", scale=scale, axis=None)
    centre = alt.Y("centre:Q", scale=scale, axis=None)
    opacity = alt.Opacity("opacity:Q", scale=None)
    steps = chart_of([row for row in rows if not row["hatching"]])
    hatching = chart_of([row for row in rows if row["hatching"]])
    encoding = {
        "y": top,
        "y2": "bottom:Q",
        "color": colour,
        "tooltip": tooltips(TOOLTIP),
        "opacity": opacity,
    }
    return [
        *_slot_names(answer, geometry, scale),
        steps.mark_rect(stroke="white", strokeWidth=0.5).encode(x=x, x2="end:Q", **encoding),
        # Hatching takes a moment. A line shows it however short it is.
        hatching.mark_rect().encode(x=x, x2="end:Q", **encoding),
        hatching.mark_rule(strokeWidth=1.5).encode(x=x, **encoding),
        chart_of([row for row in rows if row["label"]])
        .mark_text(fontSize=SMALL)
        .encode(x="middle:Q", y=centre, text="label:N", color=alt.Color("ink:N", scale=None)),
    ]


def _slot_names(answer: Explanation, geometry: _Geometry, scale: alt.Scale) -> list[alt.Chart]:
    """Return the names of slots and lanes left of the bars, and a light band behind every slot."""
    several, lanes = len(geometry.lanes) > 1, geometry.lanes
    slots = [
        {
            "top": geometry.top(slot, lanes[0]),
            "bottom": geometry.top(slot, lanes[-1]) + 1,
            "centre": geometry.top(slot, lanes[0]) + len(lanes) / 2,
            "name": f"{_slot(answer)} {slot}",
        }
        for slot in range(1, geometry.slots + 1)
    ]
    centre = alt.Y("centre:Q", scale=scale, axis=None)
    band = chart_of(slots).mark_rect(color="black", opacity=0.04)
    found = [
        band.encode(y=alt.Y("top:Q", scale=scale, axis=None), y2="bottom:Q"),
        chart_of(slots)
        .mark_text(align="right", fontSize=TEXT, x=-64 if several else -8)
        .encode(y=centre, text="name:N"),
    ]
    if several:
        named = [
            {"centre": geometry.top(slot, lane) + 0.5, "name": lane}
            for slot in range(1, geometry.slots + 1)
            for lane in lanes
        ]
        small = chart_of(named).mark_text(align="right", fontSize=SMALL, color="#555", x=-8)
        found.append(small.encode(y=centre, text="name:N"))
    return found


def timeline_part(answer: Explanation, today: date) -> alt.LayerChart:
    """Return the chart with its title, as a part of a larger one; arguments as for `timeline_chart`."""
    return titled(timeline_panel(answer), *timeline_caption(answer, today))
