"""Training time against the number of slots: of one plan with its bounds, and of every way to train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from cli.render.formats import duration
from cli.web.charts.theme import ENSEMBLE, SINGLE, SMALL, THIRD, chart_of, cost_axis, named_axis
from cli.workflows.answers.examine.slot_forecast import SlotForecast

SIZE = {"width": 560, "height": 260}
# Room beside the least and the largest value, as a factor.
MARGIN = 1.2
MAKESPAN, WORK, CHAIN = "training", "all steps over the slots", "longest chain of steps"


def slots_are_known(found: Sequence[SlotForecast]) -> bool:
    """Return whether there are forecasts with seconds to draw."""
    return bool(found) and all(each.train_seconds is not None for each in found)


def slots_panel(found: Sequence[SlotForecast], name: str) -> alt.LayerChart:
    """Return the training time of a plan against the slots, and the two bounds below it.

    Args:
        found: forecasts, whose seconds are known.
        name: what a slot is, in the plural.
    """
    rows = [row for each in found for row in _bounds(each)]
    ends = min(r["low"] for r in rows) / MARGIN, max(r["high"] for r in rows) * MARGIN
    x, y = _slots_axis([each.slots for each in found], name), _time_axis(ends)
    colour = alt.Color(
        "line:N",
        title=None,
        scale=alt.Scale(domain=[MAKESPAN, WORK, CHAIN], range=[SINGLE, ENSEMBLE, THIRD]),
        legend=alt.Legend(symbolOpacity=1),
    )
    own = chart_of([row for row in rows if row["line"] == MAKESPAN])
    tooltip = [alt.Tooltip(f"{n}:N") for n in ("line", "slots", "time")]
    return alt.LayerChart(
        layer=[
            chart_of(rows).mark_line(opacity=0.7).encode(x=x, y=y, color=colour),
            own.mark_rule(opacity=0.6).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
            # A single number of slots has no line.
            chart_of(rows)
            .mark_point(filled=True, size=50, opacity=1)
            .encode(x=x, y=y, color=colour, tooltip=tooltip),
        ]
    ).properties(**SIZE)


def _bounds(each: SlotForecast) -> list[dict[str, Any]]:
    """Return the makespan of a forecast and its bounds, as rows."""
    makespan, work, chain = each.train_seconds, each.work_seconds, each.critical_path_seconds
    assert makespan is not None
    assert work is not None
    assert chain is not None
    lines = ((MAKESPAN, makespan), (WORK, work.scaled(1 / each.slots)), (CHAIN, chain))
    return [
        {"line": line, "slots": each.slots, "seconds": e.mean, "time": duration(e.mean)}
        | ({"low": e.low, "high": e.high} if line == MAKESPAN else {"low": e.mean, "high": e.mean})
        for line, e in lines
    ]


def ways_panel(
    ways: Sequence[tuple[str, str, Sequence[SlotForecast]]], colours: alt.Scale, name: str
) -> alt.LayerChart:
    """Return the training time of every way against the slots, a line a way.

    Args:
        ways: method, label and forecasts of each way.
        colours: colours of the methods.
        name: what a slot is, in the plural.
    """
    known = all(each.train_seconds is not None for _, _, found in ways for each in found)
    rows = [_row(method, label, each) for method, label, found in ways for each in found]
    ends = min(r["seconds"] for r in rows) / MARGIN, max(r["seconds"] for r in rows) * MARGIN
    counts = [each.slots for each in ways[0][2]]
    x = _slots_axis(counts, name)
    y = _time_axis(ends) if known else _time_axis(ends, "time over that of full data on one, by a formula")
    colour = alt.Color("method:N", title=None, scale=colours, legend=alt.Legend(symbolOpacity=1))
    tooltip = [alt.Tooltip(f"{n}:N") for n in ("method", "way", "slots", "time")]
    # Ways differ most on the fewest slots.
    first = chart_of([row for row in rows if row["slots"] == counts[0] and row["label"]])
    data = chart_of(rows)
    return alt.LayerChart(
        layer=[
            data.mark_line(opacity=0.7).encode(x=x, y=y, color=colour, detail="way:N"),
            data.mark_point(filled=True, size=40, opacity=1).encode(x=x, y=y, color=colour, tooltip=tooltip),
            first.mark_text(dx=-7, align="right", fontSize=SMALL).encode(
                x=x, y=y, color=colour, text="label:N"
            ),
        ]
    ).properties(**SIZE)


def _row(method: str, label: str, each: SlotForecast) -> dict[str, Any]:
    known = each.train_seconds
    value = (each.time_over_full_data or 0.0) if known is None else known.mean
    return {
        "method": method,
        "way": f"{method} {label}".strip(),
        "label": label,
        "slots": each.slots,
        "seconds": value,
        "time": f"{value:.3g} of full data" if known is None else duration(value),
    }


def _slots_axis(counts: Sequence[int], name: str) -> alt.X:
    """Return a logarithmic axis with a tick at every number of slots."""
    least, most = counts[0], max(counts[-1], counts[0] + 1)
    return alt.X(
        "slots:Q",
        title=name,
        scale=alt.Scale(type="log", domain=[least / MARGIN, most * MARGIN], nice=False),
        axis=named_axis([float(n) for n in counts], [f"{n:,}" for n in counts]),
    )


def _time_axis(ends: tuple[float, float], ratio: str | None = None) -> alt.Y:
    """Return a logarithmic axis of seconds, or of ratios that a title names."""
    return alt.Y(
        "seconds:Q",
        title="training time" if ratio is None else ratio,
        scale=alt.Scale(type="log", domain=list(ends), nice=False),
        axis=cost_axis(*ends, duration if ratio is None else "{:g}".format),
    )
