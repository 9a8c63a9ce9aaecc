"""The epochs of the networks of a plan as bars, expected and trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from cli.web.charts.plans.network_rows import TOOLTIP, NetworkRow, epochs_text, tooltip_of
from cli.web.charts.plans.parts import row_scale, tooltips
from cli.web.charts.theme import SMALL, chart_of, linear_ticks
from cli.workflows.answers.examine.explanation import Explanation

# Width of the panel in pixels.
WIDTH = 170
# Room for the figures right of the longest bar, as a factor on its length.
MARGIN = 1.45


def epochs_panel(answer: Explanation, rows: Sequence[NetworkRow], pixels: int) -> alt.LayerChart:
    """Return the epochs of every network: expected light, and those of a run full.

    Args:
        answer: the answer of `advisor explain`.
        rows: its networks in the order of the picture.
        pixels: height of a row.
    """
    run, bars = answer.run is not None, [_bar(answer, y, row) for y, row in enumerate(rows)]
    most = max((bar["reach"] for bar in bars), default=1) or 1
    scale = row_scale(max(len(rows), 1))
    x = alt.X(
        "zero:Q",
        title="trained of expected epochs" if run else "expected epochs",
        scale=alt.Scale(domain=[0, MARGIN * most], nice=False),
        axis=alt.Axis(format="d", values=_whole(most)),
    )
    top, centre = (alt.Y(f"{name}:Q", scale=scale, axis=None) for name in ("top", "centre"))
    data, texts = chart_of(bars), tooltips(TOOLTIP)
    light = data.mark_rect(color="#999999", opacity=0.35 if run else 0.6)
    layers = [light.encode(x=x, x2="expected:Q", y=top, y2="bottom:Q", tooltip=texts)]
    if run:
        full = data.mark_rect(color="#555555")
        layers.append(full.encode(x=x, x2="trained:Q", y=top, y2="bottom:Q", tooltip=texts))
    if any(bar["high"] > bar["low"] for bar in bars):
        layers.append(data.mark_rule().encode(x=alt.X("low:Q"), x2="high:Q", y=centre))
    written = data.mark_text(align="left", fontSize=min(SMALL, pixels - 2), dx=4, color="#333")
    layers.append(written.encode(x="reach:Q", y=centre, text="text:N"))
    found: alt.LayerChart = alt.LayerChart(layer=layers).properties(
        width=WIDTH, height=pixels * max(len(rows), 1)
    )
    return found


def _bar(answer: Explanation, y: int, row: NetworkRow) -> dict[str, Any]:
    network, interval = row.network, row.network.converging_epochs
    low, high = (network.epochs,) * 2 if interval is None else (interval.low, interval.high)
    trained = network.actual_epochs or 0
    return {
        "top": y + 0.12,
        "bottom": y + 0.88,
        "centre": y + 0.5,
        "zero": 0,
        "expected": network.epochs,
        "trained": trained,
        "low": low,
        "high": high,
        "reach": max(high, trained),
        "text": epochs_text(network),
        **tooltip_of(answer, row),
    }


def _whole(most: float) -> list[float]:
    ticks = linear_ticks(most)
    return ticks[:: 2 if len(ticks) > 5 else 1]
