"""What all charts have in common: colours, fonts, title and caption.

Colours are those of Okabe and Ito, which people with any colour vision tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from typing import Any, TypeVar

import altair as alt

from cli.render.formats import duration, size

SINGLE, ENSEMBLE, THIRD, FOURTH, FIFTH = "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00"
PALETTE = (SINGLE, ENSEMBLE, THIRD, FOURTH, FIFTH, "#0072B2", "#F0E442", "#000000")
FONT = "Helvetica, Arial, sans-serif"
# Sizes of text in pixels.
TITLE, TEXT, SMALL = 14, 11, 10
# Characters of a line of the title, and of one below it, in the width of a usual chart.
TITLE_WIDTH, LINE_WIDTH = 88, 125
# Round times of a logarithmic axis in seconds: of a second, a minute, an hour and a day.
TIMES = (
    *(number * power for power in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1) for number in (1, 2, 5)),
    *(10.0, 30.0),
    *(60.0 * number for number in (1, 2, 5, 10, 30)),
    *(3600.0 * number for number in (1, 2, 5, 12)),
    *(86_400.0 * number for number in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)

AnyChart = TypeVar("AnyChart", alt.Chart, alt.LayerChart, alt.HConcatChart, alt.VConcatChart)


def finished(chart: AnyChart, title: str, lines: Sequence[str]) -> AnyChart:
    """Return a chart with title, caption and fonts.

    Args:
        chart: the chart.
        title: what the chart shows, in one line.
        lines: lines below the title: the designs, the data, what the figures rest on, date and device.
    """
    heading = alt.TitleParams(
        text=wrap(title, TITLE_WIDTH),
        subtitle=[part for line in lines for part in wrap(line, LINE_WIDTH)],
        anchor="start",
        fontSize=TITLE,
        subtitleFontSize=TEXT,
        subtitleColor="#555",
        offset=12,
    )
    found: AnyChart = (
        chart.properties(title=heading, background="white", padding=12)
        .configure(font=FONT)
        .configure_axis(labelFontSize=TEXT, titleFontSize=TEXT, titleFontWeight="normal", gridOpacity=0.4)
        .configure_legend(labelFontSize=TEXT, titleFontSize=TEXT, titleFontWeight="normal", labelLimit=400)
        .configure_view(strokeOpacity=0)
    )
    return found


def chart_of(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """Return a chart without marks on rows, which it carries with it.

    Args:
        rows: values by field name.
    """
    # Altair copies a list of rows, and every value in it, whenever charts are joined. A tuple stays as it is.
    return alt.Chart(alt.InlineData(values=tuple(rows)))


def named_axis(values: Sequence[float], names: Sequence[str]) -> alt.Axis:
    """Return an axis that has a tick with a name of its own at each value.

    Args:
        values: values in the units of the data.
        names: what is written at each of them.
    """
    written = {f"{value:.9g}": name for value, name in zip(values, names, strict=True)}
    return alt.Axis(
        values=list(values),
        labelExpr=f"{written}[format(datum.value, '.9~g')]",
        labelOverlap=False,
        labelFlush=False,
        tickSize=3,
    )


def cost_axis(low: float, high: float, form: Callable[[float], str]) -> alt.Axis:
    """Return a logarithmic axis of a cost, whose ticks are round in its own unit.

    Args:
        low: least value of the axis.
        high: largest value of the axis.
        form: how a value is written: `duration`, `size` or as a number.
    """
    if form is size:
        ticks = log_ticks(low, high, binary=True)
    else:
        ticks = time_ticks(low, high) if form is duration else log_ticks(low, high)
    return named_axis(ticks, [form(tick) for tick in ticks])


def time_ticks(low: float, high: float) -> list[float]:
    """Return round times of a logarithmic axis, as a person counts them.

    Args:
        low: least value of the axis, seconds.
        high: largest value of the axis, seconds.
    """
    return [time for time in TIMES if low <= time <= high] or log_ticks(low, high)


def log_ticks(low: float, high: float, *, binary: bool = False) -> list[float]:
    """Return round values of a logarithmic axis: 1, 2 and 5 of every decade, or powers of 2.

    Args:
        low: least value of the axis, positive.
        high: largest value of the axis.
        binary: whether values are counted in powers of 2.
    """
    if binary:
        return [2.0**n for n in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [v for n in decades for v in (10.0**n, 2 * 10.0**n, 5 * 10.0**n) if low <= v <= high]
