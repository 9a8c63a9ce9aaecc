"""`advisor report`: the pages as one file that opens offline.

It has the last recommendation, all runs, chosen runs in detail, and what became of forecasts. Contents,
template of the answers, style and script are those of the local page. Vega is in it once. Charts of many runs
are alike, so all of them are packed into one. Links to pages that a file does not have become text.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from advisor.errors import StorageError, UsageError
from advisor.files import replacing
from cli.web.charts.files import POLICY, bundle
from cli.web.content import Cell, Content, Row, Table, script_json
from cli.web.html import rendered, static_text
from cli.web.pages.advice import stored_advice_content
from cli.web.pages.forecasts import forecasts_content
from cli.web.pages.run import RunForm, run_content
from cli.web.pages.runs import runs_content, runs_form
from cli.web.query import Query
from cli.workflows.advise.last_recommendation import last_advice
from cli.workflows.files import cannot_write
from cli.workflows.home import Home

# Content of the file, as errors name it.
REPORT = "the report"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What a report has.

    Attributes:
        runs: numbers of the runs that are shown in detail, or ``last``.
        recommendation: whether the last recommendation must be in it; None if there is one.
    """

    runs: Sequence[str] = ()
    recommendation: bool | None = None


def write_report(path: Path, home: Home, options: ReportOptions, today: date) -> None:
    """Write a report.

    Args:
        path: HTML file.
        home: folder of the database.
        options: what the report has.
        today: date for the captions.

    Raises:
        UsageError: a run that does not exist, a recommendation that was not made, or nothing to report.
        StorageError: the file cannot be written.
    """
    contents = [
        _offline(content, f"part-{place}") for place, content in enumerate(_contents(home, options, today), 1)
    ]
    if not contents:
        raise UsageError("there is nothing to report yet: `advisor recommend` or `advisor train` comes first")
    charts = {figure.name: figure.specification for content in contents for figure in content.figures}
    text = rendered(
        "report.html",
        contents=[_without_charts(content) for content in contents],
        charts=packed(charts),
        policy=POLICY,
        style=static_text("page.css"),
        script=static_text("page.js"),
        vega=bundle(),
        today=today.isoformat(),
    )
    try:
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, REPORT, error) from None


def packed(charts: Mapping[str, str]) -> str:
    """Return specifications by the names of their charts as compressed JSON, in base 64.

    Args:
        charts: specifications as JSON.
    """
    parts = (f"{json.dumps(name)}:{specification}" for name, specification in charts.items())
    return base64.b64encode(zlib.compress(f"{{{','.join(parts)}}}".encode(), 9)).decode()


def _without_charts(content: Content) -> Content:
    return replace(content, figures=[replace(figure, specification="") for figure in content.figures])


def _contents(home: Home, options: ReportOptions, today: date) -> Iterator[Content]:
    if not home.database.exists():
        if options.runs or options.recommendation:
            raise StorageError(f"there is no database in {home.path}: name its folder with --home")
        return
    advice = _advice(home, required=options.recommendation is True)
    if advice is not None and options.recommendation is not False:
        yield advice
    runs = runs_content(runs_form(Query(), home), home)
    if runs.tables:
        yield runs
    for run in dict.fromkeys(options.runs):
        yield run_content(RunForm(run=run), home, today)
    if runs.tables:
        yield forecasts_content(home, today)


def _advice(home: Home, *, required: bool) -> Content | None:
    try:
        created_at, advice = last_advice(home)
    except UsageError:
        if required:
            raise
        return None
    return stored_advice_content(advice, date.fromisoformat(created_at[:10]))


def _offline(content: Content, prefix: str) -> Content:
    """Return a content without links, boxes and further questions; names of figures become unique."""
    return replace(
        content,
        figures=[
            replace(
                figure,
                name=f"{prefix}-{figure.name}",
                specification=script_json(_without_links(json.loads(figure.specification))),
            )
            for figure in content.figures
        ],
        tables=[_plain_table(table) for table in content.tables],
        details=(),
        poll_seconds=None,
        forward=None,
    )


def _plain_table(table: Table) -> Table:
    return replace(
        table,
        links=(),
        action=None,
        columns=[_text(column) for column in table.columns],
        rows=[_plain_row(row) for row in table.rows],
    )


def _plain_row(row: Row) -> Row:
    return replace(row, cells=[_text(cell) for cell in row.cells])


def _text(cell: Cell | str) -> str:
    return cell if isinstance(cell, str) else cell.text


def _without_links(value: Any) -> Any:
    """Return a specification whose points lead nowhere."""
    if isinstance(value, dict):
        return {name: _without_links(item) for name, item in value.items() if name not in ("href", "link")}
    return [_without_links(item) for item in value] if isinstance(value, list) else value
