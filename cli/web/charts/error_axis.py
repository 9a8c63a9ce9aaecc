"""The axis of errors by epoch: logarithmic where errors fall far, with ticks that a person would choose."""

from __future__ import annotations

import altair as alt

from cli.web.charts.theme import log_ticks, named_axis

# Ratio of the largest to the least error from which on a logarithmic axis reads better.
WIDE = 4.0
# Fewest ticks of 1, 2 and 5 in every decade; below them there are 3 and 7, too.
FEWEST = 4


def error_axis(field: str, low: float, high: float) -> alt.Y:
    """Return the vertical axis of validation errors.

    Args:
        field: field with the errors.
        low: least value of the axis in percent, positive.
        high: largest value of the axis in percent.
    """
    wide = high / low >= WIDE
    return alt.Y(
        f"{field}:Q",
        title="validation error, %",
        scale=alt.Scale(type="log" if wide else "linear", domain=[low, high], nice=False),
        axis=_round(low, high) if wide else alt.Axis(),
    )


def _round(low: float, high: float) -> alt.Axis:
    ticks = log_ticks(low, high)
    if len(ticks) < FEWEST:
        powers = (0.01, 0.1, 1.0, 10.0)
        ticks = [v for power in powers for n in (1, 2, 3, 5, 7) if low <= (v := n * power) <= high]
    return named_axis(ticks, [f"{tick:g}" for tick in ticks])
