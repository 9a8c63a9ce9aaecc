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
# Ink on a light fill, which stays where a dark page turns other dark inks light.
ON_LIGHT = "#101418"
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

# A second, a minute, an hour and a day, in seconds.
UNITS = (1.0, 60.0, 3600.0, 86_400.0)
# So few ticks are too few to read a value.
FEW_TICKS = 2
# Ticks of a linear axis at most.
MOST_TICKS = 8
# Round sizes in bytes.
SIZES = tuple(
    number * 2.0**power for power in range(0, 60, 10) for number in (1, 2, 5, 10, 20, 50, 100, 200, 500)
)

AnyChart = TypeVar("AnyChart", alt.Chart, alt.LayerChart, alt.HConcatChart, alt.VConcatChart)


def finished(chart: AnyChart, title: str, lines: Sequence[str]) -> AnyChart:
    """Return a chart with title, caption and fonts.

    Args:
        chart: the chart.
        title: what the chart shows, in one line.
        lines: lines below the title: the designs, the data, what the figures rest on, date and device.
    """
    return in_theme(titled(chart, title, lines))


def titled(chart: AnyChart, title: str, lines: Sequence[str]) -> AnyChart:
    """Return a chart with title and caption, as a part of a larger one; arguments as for `finished`."""
    heading = alt.TitleParams(
        text=wrap(title, TITLE_WIDTH),
        subtitle=[part for line in lines for part in wrap(_sentence(line), LINE_WIDTH)],
        anchor="start",
        fontSize=TITLE,
        subtitleFontSize=TEXT,
        subtitleColor="#555",
        offset=12,
    )
    found: AnyChart = chart.properties(title=heading)
    return found


def in_theme(chart: AnyChart) -> AnyChart:
    """Return a chart, whole and not part of another, with fonts and background.

    Args:
        chart: the chart.
    """
    found: AnyChart = (
        chart.properties(background="white", padding=12)
        .configure(font=FONT)
        .configure_axis(labelFontSize=TEXT, titleFontSize=TEXT, titleFontWeight="normal", gridOpacity=0.4)
        .configure_legend(labelFontSize=TEXT, titleFontSize=TEXT, titleFontWeight="normal", labelLimit=400)
        .configure_view(strokeOpacity=0)
    )
    return found


def _sentence(line: str) -> str:
    return line if line.endswith(".") else f"{line}."


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
        ticks = size_ticks(low, high)
    else:
        ticks = time_ticks(low, high) if form is duration else log_ticks(low, high)
    return named_axis(ticks, [form(tick) for tick in ticks])


def time_ticks(low: float, high: float) -> list[float]:
    """Return round times of a logarithmic axis, as a person counts them.

    Args:
        low: least value of the axis, seconds.
        high: largest value of the axis, seconds.
    """
    found = [time for time in TIMES if low <= time <= high]
    if len(found) > FEW_TICKS:
        return found
    unit = max((unit for unit in UNITS if unit <= low), default=low)
    return [unit * tick for tick in log_ticks(low / unit, high / unit)]


def size_ticks(low: float, high: float) -> list[float]:
    """Return round sizes of a logarithmic axis.

    Args:
        low: least value of the axis, bytes.
        high: largest value of the axis, bytes.
    """
    found = [each for each in SIZES if low <= each <= high]
    if len(found) > FEW_TICKS:
        return found
    unit = 1024.0 ** max(math.floor(math.log(low, 1024)), 0)
    return [unit * tick for tick in log_ticks(low / unit, high / unit)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return round values of a logarithmic axis: 1, 2 and 5 of every decade, more if few.

    Args:
        low: least value of the axis, positive.
        high: largest value of the axis.
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)

    def ticks(steps: Sequence[float]) -> list[float]:
        return [v for n in decades for step in steps if low <= (v := step * 10.0**n) <= high]

    few = ticks((1, 2, 5))
    return few if len(few) > FEW_TICKS else ticks((1, 1.5, 2, 3, 4, 5, 6, 7, 8))
    return [v for n in decades for v in (10.0**n, 2 * 10.0**n, 5 * 10.0**n) if low <= v <= high]


def round_times(end: float) -> list[float]:
    """Return round times of a linear axis from 0, about as many as fit beside each other.

    Args:
        end: end of the axis, seconds, positive.
    """
    step = next((time for time in TIMES if end / time <= MOST_TICKS), TIMES[-1])
    return [n * step for n in range(int(end / step) + 1)]


def linear_ticks(end: float) -> list[float]:
    """Return round whole numbers of a linear axis from 0: multiples of 1, 2 or 5 times a power of ten.

    Args:
        end: end of the axis, positive.
    """
    steps = (number * 10**power for power in range(12) for number in (1, 2, 5))
    step = next(step for step in steps if end / step <= MOST_TICKS)
    return [float(n * step) for n in range(int(end / step) + 1)]


def linear_axis(end: float, form: Callable[[float], str]) -> alt.Axis:
    """Return a linear axis from 0, whose ticks are round in its own unit.

    Args:
        end: end of the axis, positive.
        form: how a value is written: `duration`, `size` or as a number.
    """
    if form is size:
        step = next(step for step in SIZES if end / step <= MOST_TICKS / 2)
        ticks = [n * step for n in range(int(end / step) + 1)]
    else:
        ticks = round_times(end) if form is duration else linear_ticks(end)
    return named_axis(ticks, [form(tick) if tick else "0" for tick in ticks])
