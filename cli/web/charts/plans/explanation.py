"""The picture of `advisor explain`: networks above the timeline of the steps, and a step layer by layer."""

from __future__ import annotations

from datetime import date

import altair as alt

from cli.render.examine.slots import slot_name
from cli.web.charts.plans.layer_costs import layer_names_width, layers_part
from cli.web.charts.plans.networks import names_width, networks_part
from cli.web.charts.plans.parts import settings_line
from cli.web.charts.plans.timeline import SLOT_NAMES, timeline_part
from cli.web.charts.slots import slots_are_known, slots_panel
from cli.web.charts.theme import chart_of, in_theme, titled
from cli.workflows.answers.examine.explanation import Explanation

# Most networks whose steps are drawn layer by layer.
MOST_NETWORKS = 4


def explanation_chart(answer: Explanation, today: date) -> alt.VConcatChart:
    """Return the answer of `advisor explain` as one picture.

    Args:
        answer: the answer.
        today: date for the captions.
    """
    layers = (answer.layers or ())[:MOST_NETWORKS]
    parts: list[alt.HConcatChart | alt.LayerChart] = [
        networks_part(answer, today),
        timeline_part(answer, today),
        *([_slots_part(answer)] if slots_are_known(answer.by_slots) else []),
        *(layers_part(answer, network, today) for network in layers),
    ]
    left = max(names_width(answer), SLOT_NAMES, *(layer_names_width(network) for network in layers))
    for part in parts:
        _begin_at(part, left)
    below: alt.VConcatChart = alt.VConcatChart(vconcat=parts, spacing=36)
    apart: alt.VConcatChart = below.resolve_scale(
        color="independent", opacity="independent", stroke="independent"
    )
    return in_theme(apart)


def _slots_part(answer: Explanation) -> alt.LayerChart:
    """Return the training time on the numbers of slots that were asked for."""
    name = slot_name(answer.plan.device)
    lines = [
        settings_line(answer),
        "90 % intervals of the training; the other lines are bounds below it",
    ]
    return titled(slots_panel(answer.by_slots, name), f"Training time by {name}", lines)


def _begin_at(part: alt.HConcatChart | alt.LayerChart, left: float) -> None:
    """Add an invisible mark left of a part, so that all parts and their titles begin at one line."""
    first = part.hconcat[0] if isinstance(part, alt.HConcatChart) else part
    first.layer.append(chart_of([{}]).mark_point(x=-left, y=0, opacity=0, size=1))
