"""The networks of a plan as bars: mother networks, what is hatched from them, and the epochs of each.

A bar is as long as the parameters of its network. The part that a hatched network has from its mother has the
mother's colour. Lines lead from a mother to her members, and from a teacher to what learns from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import altair as alt

from advisor.errors import require_entries
from advisor.plans.method_traits import CHAINS
from cli.render.formats import count
from cli.web.charts.plans.epochs import epochs_panel
from cli.web.charts.plans.network_rows import (
    STATE_NAMES,
    TOOLTIP,
    NetworkRow,
    label_of,
    ordered,
    tooltip_of,
)
from cli.web.charts.plans.parts import (
    Kind,
    colour_scale,
    kind_names,
    row_scale,
    settings_line,
    text_width,
    tooltips,
)
from cli.web.charts.theme import SMALL, chart_of, finished, named_axis, titled
from cli.workflows.answers.examine.explained_networks import NetworkState
from cli.workflows.answers.examine.explanation import Explanation

# Opacity of the bars and outline of each state.
STATES = {
    NetworkState.DONE: (1.0, "transparent"),
    NetworkState.TRAINING: (0.6, "black"),
    NetworkState.STOPPED: (0.6, "#777777"),
    NetworkState.WAITING: (0.22, "transparent"),
    NetworkState.FAILED: (0.22, "#D55E00"),
    NetworkState.DIVERGED: (0.22, "#D55E00"),
}
require_entries("cli/web/charts/plans/networks.py: STATES", STATES, NetworkState)
# Width of the panel of parameters in pixels.
WIDTH = 360
# Heights of a row in pixels, each with the most networks that have it.
ROWS = ((14, 24), (40, 16), (10**6, 11))
# Room for the figures right of the longest bar, as a factor on its length.
MARGIN = 1.42
# Where lines begin and end left of the bars, and names end, in pixels.
TRUNK, TIP, NAME, NAME_WIDTH = -14, -4, -22, 250


def networks_chart(answer: Explanation, today: date) -> alt.HConcatChart:
    """Return the networks of `advisor explain` as bars, with what hatching adds and the epochs of each.

    Args:
        answer: the answer.
        today: date for the caption.
    """
    return finished(networks_panel(answer), *networks_caption(answer, today))


def networks_part(answer: Explanation, today: date) -> alt.HConcatChart:
    """Return the chart with its title, as a part of a larger one; arguments as for `networks_chart`."""
    return titled(networks_panel(answer), *networks_caption(answer, today))


def names_width(answer: Explanation) -> float:
    """Return the room that the names of the networks take left of the bars, in pixels."""
    return min(max((text_width(label_of(n), SMALL) for n in answer.networks), default=0.0), NAME_WIDTH) - NAME


def networks_caption(answer: Explanation, today: date) -> tuple[str, list[str]]:
    """Return title and lines of the chart; arguments as for `networks_chart`."""
    lines = [settings_line(answer)]
    if answer.plan.method in CHAINS:
        lines.append("Lines: every network begins as a copy of the one before it")
    elif any(network.source for network in answer.networks):
        lines.append(
            "Lines: hatched from; distance: layers that are inserted or changed to make a network of its "
            "mother"
        )
    elif any(network.teacher for network in answer.networks):
        lines.append("Lines: learns from the teacher's outputs")
    run = answer.run
    if run is None:
        lines.append(f"Epochs are expected, not trained; drawn {today.isoformat()}")
    else:
        lines.append(f"Run {run.id} of {run.created_at[:10]} ({run.status}), drawn {today.isoformat()}")
    many = len(answer.networks) > 1
    return f"{answer.plan.design}: its {'networks and how they begin' if many else 'network'}", lines


def networks_panel(answer: Explanation) -> alt.HConcatChart:
    """Return the chart without title and fonts."""
    rows = ordered(answer)
    pixels = next(height for most, height in ROWS if len(rows) <= most)
    panels = [_parameters(answer, rows, pixels), epochs_panel(answer, rows, pixels)]
    beside: alt.HConcatChart = alt.HConcatChart(hconcat=panels, spacing=18)
    return beside


def _parts(answer: Explanation, rows: Sequence[NetworkRow]) -> Iterator[dict[str, Any]]:
    """Return the parts of the bars: what a network has from its source, and what is its own."""
    names = _part_names(answer)
    for y, row in enumerate(rows):
        network = row.network
        first = Kind.MOTHER if row.kind is Kind.GROWN else row.kind
        # Hatching keeps every parameter of a mother, so she is never larger.
        middle = network.inherited_parameters if network.source else network.parameters
        pieces = ((first, 0, middle), (Kind.GROWN, middle, network.parameters))
        for kind, start, end in pieces:
            if end > start:
                yield {
                    "top": y + 0.12,
                    "bottom": y + 0.88,
                    "start": start,
                    "end": end,
                    "part": names[kind],
                    **tooltip_of(answer, row),
                }


def _part_names(answer: Explanation) -> dict[Kind, str]:
    """Return the name of each kind of parameters in the legend."""
    if answer.plan.method in CHAINS:
        return kind_names(answer.plan) | {Kind.MOTHER: "passed on from copy to copy"}
    return kind_names(answer.plan) | {Kind.MOTHER: "the mother's", Kind.GROWN: "added by hatching"}


def _parameters(answer: Explanation, rows: Sequence[NetworkRow], pixels: int) -> alt.LayerChart:
    parts = list(_parts(answer, rows))
    longest = max((row.network.parameters for row in rows), default=1)
    scale, ticks = row_scale(max(len(rows), 1)), _ticks(longest)
    x = alt.X(
        "start:Q",
        title="parameters",
        scale=alt.Scale(domain=[0, MARGIN * longest], nice=False),
        axis=named_axis(ticks, [count(tick) for tick in ticks]),
    )
    names, present = _part_names(answer), {part["part"] for part in parts}
    kinds = [kind for kind in Kind if names[kind] in present]
    legend = alt.Legend(orient="top", symbolOpacity=1, symbolStrokeWidth=0, direction="horizontal")
    bars = (
        chart_of(parts)
        .mark_rect(strokeWidth=1)
        .encode(
            x=x,
            x2="end:Q",
            y=alt.Y("top:Q", scale=scale, axis=None),
            y2="bottom:Q",
            color=alt.Color("part:N", title=None, scale=colour_scale(kinds, names), legend=legend),
            tooltip=tooltips(TOOLTIP),
            **_state(rows),
        )
    )
    layers = [*_lines(rows, scale), bars, *_texts(rows, scale, pixels)]
    found: alt.LayerChart = alt.LayerChart(layer=layers).properties(
        width=WIDTH, height=pixels * max(len(rows), 1)
    )
    return found


def _ticks(longest: int) -> list[float]:
    """Return round numbers up to the longest bar, beyond which the axis has only text."""
    power = 10.0 ** (len(str(longest)) - 1)
    step = next(s for s in (0.2 * power, 0.5 * power, power, 2 * power, 5 * power) if longest / s <= 5)
    return [n * step for n in range(int(longest / step) + 1)]


def _state(rows: Sequence[NetworkRow]) -> dict[str, Any]:
    """Return the encodings of the states of a run; none for a plan, and none where all is done."""
    states = [s for s in STATES if any(row.network.state == s for row in rows)]
    if states in ([], [NetworkState.DONE]):
        return {}
    domain = [STATE_NAMES[state] for state in states]
    legend = alt.Legend(orient="top", direction="horizontal", symbolType="square", symbolFillColor="#777777")
    return {
        "opacity": alt.Opacity(
            "state:O",
            title=None,
            scale=alt.Scale(type="ordinal", domain=domain, range=[STATES[state][0] for state in states]),
            legend=legend,
        ),
        "stroke": alt.Stroke(
            "state:O",
            title=None,
            scale=alt.Scale(type="ordinal", domain=domain, range=[STATES[state][1] for state in states]),
            legend=legend,
        ),
    }


def _lines(rows: Sequence[NetworkRow], scale: alt.Scale) -> list[alt.Chart]:
    """Return lines with arrows from every source to what begins as it or learns from it."""
    trunks: dict[int, int] = {}
    for y, row in enumerate(rows):
        if row.parent is not None:
            trunks[row.parent] = y
    begins = [{"y": y + 0.5, "end": last + 0.5} for y, last in trunks.items()]
    ends = [{"y": y + 0.5} for y, row in enumerate(rows) if row.parent is not None]
    at = alt.Y("y:Q", scale=scale, axis=None)
    ink: dict[str, Any] = {"color": "#777"}
    return [
        chart_of(begins).mark_rule(x=TRUNK, **ink).encode(y=at, y2="end:Q"),
        chart_of(begins).mark_rule(x=TRUNK, x2=0, **ink).encode(y=at),
        chart_of(ends).mark_rule(x=TRUNK, x2=TIP, **ink).encode(y=at),
        chart_of(ends)
        .mark_point(x=TIP, shape="triangle-right", size=22, filled=True, opacity=1, **ink)
        .encode(y=at),
    ]


def _texts(rows: Sequence[NetworkRow], scale: alt.Scale, pixels: int) -> list[alt.Chart]:
    """Return the names of the rows, and the figures right of their bars."""
    named = []
    for y, row in enumerate(rows):
        network = row.network
        apart = "" if network.distance is None else f", distance {network.distance}"
        named.append(
            {
                "y": y + 0.5,
                "name": label_of(network),
                "figures": f"{count(network.parameters)}{apart}",
                "end": network.parameters,
            }
        )
    font = min(SMALL, pixels - 2)
    at = alt.Y("y:Q", scale=scale, axis=None)
    names = chart_of(named).mark_text(align="right", fontSize=font, limit=NAME_WIDTH, x=NAME)
    figures = chart_of(named).mark_text(align="left", fontSize=font, dx=4, color="#333")
    return [
        names.encode(y=at, text="name:N"),
        figures.encode(x="end:Q", y=at, text="figures:N"),
    ]
