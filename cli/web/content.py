"""What a page or a report shows, before it is HTML: sentences, figures and tables.

A page is made in two steps. A function of `cli.web.pages` turns a typed answer into a `Content`. A template
turns the content into HTML, the same for the local page and for the report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

# Digits of a number in the data of a figure.
DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart with its title and caption, which stand beside it as text.

    Attributes:
        name: name of the figure, unique on its page; files that a reader saves have it.
        title: what the chart shows, in one line.
        caption: designs, data, evidence, date and device.
        specification: Vega-Lite specification as JSON that may stand in a script element; empty where a
            report has it elsewhere.
    """

    name: str
    title: str
    caption: str
    specification: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what is written.
        link: address that it leads to, relative to the page; None for none.
        choice: value of a box that is ticked to choose the row; None for no box.
    """

    text: str
    link: str | None = None
    choice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table.

    Attributes:
        cells: its cells, as text where nothing else is needed.
        values: figures by the names of a chart's axes; a selection in the chart leaves out other rows.
        marked: whether the row stands out.
    """

    cells: Sequence[Cell | str]
    values: Mapping[str, float] = field(default_factory=dict)
    marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        caption: what the table shows.
        columns: heads of the columns; a head with an address sorts by its column.
        rows: rows in their order.
        numeric: places of columns of numbers.
        links: texts and addresses of other parts of the table.
        action: label of the button for the chosen rows; None where none can be chosen.
    """

    caption: str
    columns: Sequence[Cell | str]
    rows: Sequence[Row]
    numeric: Sequence[int] = ()
    links: Sequence[tuple[str, str]] = ()
    action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a page shows below its form.

    Attributes:
        heading: heading of the page.
        verdict: the answer in one sentence; empty for none.
        error: why there is no answer, in one line; empty if there is one.
        warnings: what a reader must know before the figures.
        notes: sentences below all else.
        figures: charts.
        tables: tables.
        details: charts that a reader may open.
        command: command line that does what the page shows; None for none.
        poll_seconds: seconds after which the page asks for its next state; None for never.
        whole: whether the answer is complete; one that is not is followed by another.
        forward: label and address of a page that goes on from here; None for none.
    """

    heading: str
    verdict: str = ""
    error: str = ""
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    details: Sequence[Figure] = ()
    command: str | None = None
    poll_seconds: float | None = None
    whole: bool = True
    forward: tuple[str, str] | None = None


def figure_of(name: str, chart: Callable[[], alt.TopLevelMixin]) -> Figure:
    """Return a chart as a figure: its title and caption become text.

    Args:
        name: name of the figure.
        chart: function that returns the chart, finished with title and caption.
    """
    from altair.utils.schemapi import debug_mode

    # Tests validate every chart; here a reader waits.
    with debug_mode(False):
        specification = chart().to_dict(validate=False)
    title = specification.get("title", {})
    lines = title.get("subtitle", [])
    return Figure(
        name=name,
        title=" ".join(_lines(title.get("text", ""))),
        caption=" ".join(_lines(lines)),
        specification=script_json(_rounded(specification)),
    )


def script_json(value: Any) -> str:
    """Return a value as JSON that cannot end the script element in which it stands."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def _lines(text: str | Sequence[str]) -> Sequence[str]:
    return [text] if isinstance(text, str) else text


def _rounded(value: Any) -> Any:
    """Return a value whose numbers with a fraction have as many digits as a reader can see."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
