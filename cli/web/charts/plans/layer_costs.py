"""A training step layer by layer: predicted seconds beside the memory that each layer needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import altair as alt

from cli.render.formats import bounds, count, duration, size
from cli.web.charts.plans.parts import row_scale, text_width, tooltips
from cli.web.charts.theme import FOURTH, SMALL, chart_of, finished, linear_axis, titled
from cli.workflows.answers.examine.explanation import Explanation
from cli.workflows.answers.examine.layers import NetworkForecast

# Width of a panel, and height of a row in pixels.
PANEL, ROW = 300, 13
NAME, NAME_WIDTH = -8, 200
MOST_ROWS = 60
BATCH = "preparing the batch"
TIMES = {
    "forward": "#56B4E9",
    "backward": "#0072B2",
    "optimizer": "#E69F00",
    BATCH: "#999999",
}
MEMORY = {
    "activations kept for the backward pass": "#009E73",
    "weights, gradients, momentum": FOURTH,
}
FIELDS = ("layer", "layers", "part", "figure", "share", "parameters")


@dataclass(frozen=True, slots=True)
class _Row:
    """A layer, or the sum of layers of one block.

    Attributes:
        name: name of the layer or block.
        layers: number of layers.
        parameters: trainable scalars.
        times: seconds of each part in `TIMES`.
        memory: bytes of each part in `MEMORY`.
    """

    name: str
    layers: int
    parameters: int
    times: tuple[float, ...]
    memory: tuple[float, ...]


def layers_chart(answer: Explanation, network: NetworkForecast, today: date) -> alt.HConcatChart:
    """Return where a training step of one network spends its time and memory, layer by layer.

    More layers than a picture has room for are summed by block. The forecast of the optimizer is of all
    layers together; the bars share it out by parameters.

    Args:
        answer: the answer of `advisor explain --layers`.
        network: one of its networks.
        today: date for the caption.
    """
    return finished(_panels(network), *layers_caption(answer, network, today))


def layers_part(answer: Explanation, network: NetworkForecast, today: date) -> alt.HConcatChart:
    """Return the chart with its title, as a part of a larger one; arguments as for `layers_chart`."""
    return titled(_panels(network), *layers_caption(answer, network, today))


def layer_names_width(network: NetworkForecast) -> float:
    """Return the room that the names of the layers take left of the bars, in pixels."""
    return min(max(text_width(row.name, SMALL) for row in rows_of(network)), NAME_WIDTH) - NAME


def layers_caption(answer: Explanation, network: NetworkForecast, today: date) -> tuple[str, list[str]]:
    """Return title and lines of the chart; arguments as for `layers_chart`."""
    step, rows = network.predicted_step_seconds, rows_of(network)
    summed = len(rows) < len(network.layers) + 1
    plan, networks = answer.plan, answer.layers or (network,)
    place = f"network {networks.index(network) + 1} of {len(networks)}; " if len(networks) > 1 else ""
    return f"{network.network}: a training step, layer by layer", [
        f"{plan.design} on {plan.dataset}: {place}{network.batch} images of {network.input}, {plan.dtype} on "
        f"{plan.device}",
        f"Predicted step {duration(step.mean)} ({bounds(step, duration)}, 90 % interval); memory is counted",
        "The optimizer's seconds are shared out by parameters"
        + f"; {len(network.layers)} layers are summed by block" * summed,
        f"Forecast of {today.isoformat()}",
    ]


def rows_of(network: NetworkForecast) -> list[_Row]:
    """Return the layers of a network in order, at most `MOST_ROWS`, summed by block if they are more."""
    depth = max((layer.name.count(".") for layer in network.layers), default=0) + 1
    while depth > 1 and len(_summed(network, depth)) >= MOST_ROWS:
        depth -= 1
    found = _summed(network, depth)
    batch = _Row(BATCH, 0, 0, (0.0, 0.0, 0.0, network.parts.data_seconds), (0.0, 0.0))
    return [batch, *found]


def _summed(network: NetworkForecast, depth: int) -> list[_Row]:
    """Return the sums of layers whose names begin with the same so many parts, in order."""
    found: dict[str, _Row] = {}
    for layer in network.layers:
        name = ".".join(layer.name.split(".")[:depth])
        own = _Row(
            name,
            1,
            layer.parameters,
            (layer.forward_seconds, layer.backward_seconds, layer.optimizer_seconds, 0.0),
            (float(layer.saved_bytes), float(layer.parameter_bytes)),
        )
        before = found.get(name, _Row(name, 0, 0, (0.0,) * len(TIMES), (0.0,) * len(MEMORY)))
        found[name] = _Row(
            name,
            before.layers + 1,
            before.parameters + own.parameters,
            tuple(a + b for a, b in zip(before.times, own.times, strict=True)),
            tuple(a + b for a, b in zip(before.memory, own.memory, strict=True)),
        )
    return list(found.values())


def _panels(network: NetworkForecast) -> alt.HConcatChart:
    rows = rows_of(network)
    panels = [
        _panel(rows, [row.times for row in rows], TIMES, "time of a step", duration, columns=2, named=True),
        _panel(rows, [row.memory for row in rows], MEMORY, "memory", size, columns=1, named=False),
    ]
    beside: alt.HConcatChart = alt.HConcatChart(hconcat=panels, spacing=24).resolve_scale(color="independent")
    return beside


def _panel(
    rows: Sequence[_Row],
    figures: Sequence[tuple[float, ...]],
    colours: dict[str, str],
    title: str,
    form: Callable[[float], str],
    *,
    columns: int,
    named: bool,
) -> alt.LayerChart:
    """Return stacked bars of the rows.

    Args:
        rows: rows in order.
        figures: figures of the parts by row.
        colours: colour of each part, by name.
        title: title of the axis.
        form: how a figure is written.
        columns: columns of the legend.
        named: whether the rows have their names to the left.
    """
    end = max((sum(parts) for parts in figures), default=0.0) or 1.0
    scale = row_scale(max(len(rows), 1))
    names = list(colours)
    x = alt.X(
        "start:Q",
        title=title,
        scale=alt.Scale(domain=[0, end], nice=False),
        axis=linear_axis(end, form),
    )
    legend = alt.Legend(orient="top", symbolOpacity=1, symbolType="square", columns=columns)
    bars = (
        chart_of(list(_bars(rows, figures, names, form)))
        .mark_rect()
        .encode(
            x=x,
            x2="end:Q",
            y=alt.Y("top:Q", scale=scale, axis=None),
            y2="bottom:Q",
            color=alt.Color(
                "part:N",
                title=None,
                scale=alt.Scale(domain=names, range=list(colours.values())),
                legend=legend,
            ),
            tooltip=tooltips(FIELDS),
        )
    )
    layers = [bars]
    if named:
        labels = [{"y": y + 0.5, "name": row.name} for y, row in enumerate(rows)]
        text = chart_of(labels).mark_text(align="right", fontSize=SMALL, x=NAME, limit=NAME_WIDTH)
        layers.append(text.encode(y=alt.Y("y:Q", scale=scale, axis=None), text="name:N"))
    found: alt.LayerChart = alt.LayerChart(layer=layers).properties(
        width=PANEL, height=ROW * max(len(rows), 1)
    )
    return found


def _bars(
    rows: Sequence[_Row],
    figures: Sequence[tuple[float, ...]],
    names: Sequence[str],
    form: Callable[[float], str],
) -> Iterator[dict[str, Any]]:
    whole = sum(sum(parts) for parts in figures) or 1.0
    for y, (row, parts) in enumerate(zip(rows, figures, strict=True)):
        start = 0.0
        for name, figure in zip(names, parts, strict=True):
            if figure > 0:
                yield {
                    "top": y + 0.1,
                    "bottom": y + 0.9,
                    "start": start,
                    "end": start + figure,
                    "part": name,
                    "layer": row.name,
                    "layers": str(row.layers),
                    "figure": form(figure),
                    "share": f"{figure / whole:.1%}",
                    "parameters": count(row.parameters),
                }
                start += figure
