"""What all charts have in common: colours, fonts, title and caption.

Colours are those of Okabe and Ito, which people with any colour vision tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import altair as alt

SINGLE, ENSEMBLE, THIRD, FOURTH, FIFTH = "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00"
PALETTE = (SINGLE, ENSEMBLE, THIRD, FOURTH, FIFTH, "#0072B2", "#F0E442", "#000000")
FONT = "Helvetica, Arial, sans-serif"
# Sizes of text in pixels.
TITLE, TEXT, SMALL = 14, 11, 10

AnyChart = TypeVar("AnyChart", alt.Chart, alt.LayerChart, alt.HConcatChart, alt.VConcatChart)


def finished(chart: AnyChart, title: str, lines: Sequence[str]) -> AnyChart:
    """Return a chart with title, caption and fonts.

    Args:
        chart: the chart.
        title: what the chart shows, in one line.
        lines: lines below the title: the designs, the data, what the figures rest on, date and device.
    """
    heading = alt.TitleParams(
        text=title,
        subtitle=list(lines),
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
    return alt.Chart(alt.InlineData(values=list(rows)))
