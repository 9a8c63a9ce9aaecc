"""The page that tells whether forecasts are right: predicted against actual over all finished runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

from advisor.conformal import Quantity
from advisor.errors import require_entries
from cli.render.formats import bounds, duration, percent, size
from cli.web.charts.forecast_history import forecast_history_chart
from cli.web.content import Cell, Content, Row, Table, figure_of
from cli.workflows.answers.examine.forecast_history import ForecastHistory, PastForecast
from cli.workflows.home import Home
from cli.workflows.runs.watching.forecast_history import forecast_history

NAMES = {
    Quantity.TIME: "time",
    Quantity.MEMORY: "memory",
    Quantity.ERROR: "test error",
    Quantity.LATENCY: "latency",
}
FORMS: dict[Quantity, Callable[[float], str]] = {
    Quantity.TIME: duration,
    Quantity.MEMORY: size,
    Quantity.ERROR: percent,
    Quantity.LATENCY: "{:.3g} ms".format,
}
require_entries("cli/web/pages/forecasts.py: FORMS", FORMS, Quantity)
require_entries("cli/web/pages/forecasts.py: NAMES", NAMES, Quantity)
COLUMNS = ("run", "design", "data", "quantity", "predicted", "actual", "in its interval")
# Rows of the table: the newest runs with three forecasts each.
MOST_ROWS = 60
NOTHING = "No finished run has a forecast yet: `advisor train` makes one before it trains."


def forecasts_content(home: Home, today: date) -> Content:
    """Return all forecasts whose outcomes are known.

    Args:
        home: folder of the runs.
        today: date for the caption.
    """
    answer = forecast_history(home)
    if not answer.forecasts:
        return Content(heading="Is it right?", verdict=NOTHING)
    return Content(
        heading="Is it right?",
        verdict=_verdict(answer),
        figures=[figure_of("forecasts", lambda: forecast_history_chart(answer, today))],
        tables=[
            Table(
                caption="Forecasts of the newest runs",
                columns=COLUMNS,
                rows=[
                    Row(cells=list(_cells(each)), marked=not each.inside)
                    for each in answer.forecasts[:MOST_ROWS]
                ],
                numeric=(0, 4, 5),
            )
        ],
        notes=["Rows that stand out lie outside their interval of 90 %."],
        command="advisor explain last",
    )


def _verdict(answer: ForecastHistory) -> str:
    newest = answer.forecasts[0]
    last = ", ".join(
        f"{NAMES[each.quantity]} {_held(each)}" for each in answer.forecasts if each.run == newest.run
    )
    held = ", ".join(
        f"{each.inside} of {each.forecasts} forecasts of {NAMES[each.quantity]}" for each in answer.coverage
    )
    return f"Last run ({newest.run}, {newest.design}): {last}. All runs: inside are {held}; 90 % should be."


def _held(each: PastForecast) -> str:
    return "inside its interval" if each.inside else "outside"


def _cells(each: PastForecast) -> Iterator[Cell | str]:
    form = FORMS[each.quantity]
    yield Cell(text=str(each.run), link=f"run?id={each.run}")
    yield each.design
    yield each.dataset
    yield NAMES[each.quantity]
    yield f"{form(each.predicted.mean)} ({bounds(each.predicted, form)})"
    yield form(each.actual)
    yield "yes" if each.inside else "no"
