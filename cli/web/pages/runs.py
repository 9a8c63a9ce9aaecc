"""The page of all runs: conditions that hold for table and chart, columns to choose, runs to compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cli.render.formats import count, duration, percent
from cli.web.charts.runs import runs_chart
from cli.web.content import Cell, Content, Row, Table, figure_of
from cli.web.query import Query
from cli.workflows.answers.runs.listing import ListedRun
from cli.workflows.home import Home
from cli.workflows.runs.listing import list_runs

PER_PAGE = 50
FILTERS = ("dataset", "status", "method", "family")
CHOSEN = (
    *("id", "created_at", "status", "design", "dataset", "method", "epochs", "parameters"),
    *("train_seconds", "test_error", "predicted_test_error"),
)
# How a column is written; others are written as they are.
FORMS: Mapping[str, Callable[[float], str]] = {
    "parameters": count,
    "train_seconds": duration,
    "predicted_train_seconds": duration,
    "overhead_seconds": duration,
    "test_error": percent,
    "predicted_test_error": percent,
    "mean_member_error": percent,
    "voting_error": percent,
    "super_learner_error": percent,
    "best_member_error": percent,
    "calibration_error": "{:.3f}".format,
}
NUMBERS = ("id", "epochs", "members", "clusters", "batch", "seed", *FORMS)
COLUMNS = tuple(ListedRun.__dataclass_fields__)
HEADS = {
    "id": "run",
    "created_at": "begun",
    "dataset": "data",
    "train_seconds": "training",
    "predicted_train_seconds": "predicted training",
    "overhead_seconds": "beyond training",
}
NONE_MEETS = "No run meets these conditions."
NO_RUN = "There is no run yet: `advisor train` makes one."


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsForm:
    """Values of the form, and what it offers.

    Attributes:
        where: conditions that are set, by column.
        contains: text that a design must contain.
        columns: columns that are shown.
        sort: column to sort by, with ``-`` in front for descending.
        page: number of the page of the table, from 1.
        choices: values that each condition may have.
        query: query of the address, for the links of the table.
    """

    where: Mapping[str, str]
    contains: str
    columns: Sequence[str]
    sort: str
    page: int
    choices: Mapping[str, Sequence[str]]
    query: Query
    all_columns: Sequence[str] = COLUMNS


def runs_form(query: Query, home: Home) -> RunsForm:
    """Return the form of a query.

    Raises:
        UsageError: a value that cannot be understood.
        StorageError: the database cannot be read.
    """
    columns = [name for name in COLUMNS if name in query.texts("column")]
    everything = list_runs(home, (), "id", None).runs
    return RunsForm(
        where={name: query.text(name) for name in FILTERS if query.text(name)},
        contains=query.text("design"),
        columns=columns or CHOSEN,
        sort=query.text("sort", "-id"),
        page=max(query.integer("page", 1) or 1, 1),
        choices={name: sorted({getattr(run, name) for run in everything}) for name in FILTERS},
        query=query,
    )


def runs_content(form: RunsForm, home: Home) -> Content:
    """Return the runs that meet the conditions of a form.

    Args:
        form: the form.
        home: folder of the runs.

    Raises:
        UsageError: an unknown column.
        StorageError: the database cannot be read.
    """
    conditions = [f"{name}={value}" for name, value in form.where.items()]
    found = [run for run in list_runs(home, conditions, form.sort, None).runs if form.contains in run.design]
    finished = [run for run in found if run.test_error is not None]
    return Content(
        heading="Runs",
        verdict=_verdict(found, finished) if found else NONE_MEETS if conditions or form.contains else NO_RUN,
        figures=[figure_of("runs", lambda: runs_chart(finished))] if finished else [],
        tables=[_table(form, found)] if found else [],
        command="advisor runs export --format csv",
    )


def _verdict(found: Sequence[ListedRun], finished: Sequence[ListedRun]) -> str:
    running = sum(run.status == "running" for run in found)
    parts = [f"{len(found)} run{'s' * (len(found) != 1)}"]
    parts.append("all finished" if len(finished) == len(found) else f"{len(finished)} finished")
    parts += [f"{running} training now"] if running else []
    text = ", ".join(parts) + "."
    if finished:
        best = min(finished, key=lambda run: run.test_error or 0.0)
        text += f" Least test error: {percent(best.test_error or 0.0)}, {best.design} (run {best.id})."
    return text


def _pages(form: RunsForm, page: int, pages: int) -> list[tuple[str, str]]:
    """Return the links to other parts of the table."""
    wanted = {"first": 1, "previous": page - 1, "next": page + 1, "last": pages}
    return [
        (f"{name} ({number} of {pages})", "runs" + form.query.address(page=number))
        for name, number in wanted.items()
        if 1 <= number <= pages and number != page
    ]


def _table(form: RunsForm, found: Sequence[ListedRun]) -> Table:
    pages = -(-len(found) // PER_PAGE)
    page = min(form.page, pages)
    first = (page - 1) * PER_PAGE
    return Table(
        caption="Runs" if pages == 1 else f"Runs, part {page} of {pages}",
        columns=["", *(_head(form, name) for name in form.columns)],
        rows=[_row(form, run) for run in found[first : first + PER_PAGE]],
        numeric=[1 + i for i, name in enumerate(form.columns) if name in NUMBERS],
        links=_pages(form, page, pages),
        action="Compare the chosen runs",
    )


def _head(form: RunsForm, name: str) -> Cell:
    """Return the head of a column, which sorts by it, or the other way round if it does already."""
    descending = form.sort == name
    arrow = {name: " ↑", f"-{name}": " ↓"}.get(form.sort, "")
    return Cell(
        text=HEADS.get(name, name.replace("_", " ")) + arrow,
        link="runs" + form.query.address(sort=f"-{name}" if descending else name, page=None),
    )


def _row(form: RunsForm, run: ListedRun) -> Row:
    def cell(name: str) -> Cell | str:
        value = getattr(run, name)
        if name == "id":
            return Cell(text=str(value), link=f"run?id={value}")
        if value is None or value == "":
            return "–"
        if name == "created_at":
            return str(value)[:16].replace("T", " ")
        if name == "train_seconds" and not value:
            return "–"
        if name == "method":
            return str(value).replace("_", " ")
        return FORMS[name](value) if name in FORMS else str(value)

    values = {} if run.test_error is None else {"error": 100 * run.test_error, "time": run.train_seconds}
    return Row(
        cells=[Cell(text="", choice=str(run.id)), *(cell(name) for name in form.columns)],
        values=values,
        marked=run.status == "running",
    )
