"""The page on which several runs stand side by side, seeds as a mean with its interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from cli.render.formats import duration, percent
from cli.web.charts.run_comparison import comparison_chart
from cli.web.command_line import command_line
from cli.web.content import Cell, Content, Row, Table, figure_of
from cli.web.query import Query
from cli.workflows.answers.runs.comparison import GroupDifference, RunComparison
from cli.workflows.home import Home
from cli.workflows.runs.comparison import compare_runs
from cli.workflows.runs.watching.curves import curves_of_runs

COLUMNS = ("runs", "design", "method", "test error", "less error than the first group", "training")
NONE_CHOSEN = "Choose runs in the table of Runs, then compare them."


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareForm:
    """Values of the form.

    Attributes:
        runs: numbers of the runs.
    """

    runs: tuple[str, ...]

    @property
    def text(self) -> str:
        """The numbers as a reader writes them."""
        return " ".join(self.runs)


def compare_form(query: Query) -> CompareForm:
    """Return the form of a query; the numbers stand in one value or in several."""
    return CompareForm(runs=tuple(dict.fromkeys(" ".join(query.texts("id")).replace(",", " ").split())))


def compare_content(form: CompareForm, home: Home, today: date) -> Content:
    """Return the comparison of the runs of a form.

    Args:
        form: the form.
        home: folder of the runs.
        today: date for the caption.

    Raises:
        UsageError: no such run.
    """
    if not form.runs:
        return Content(heading="Compare", verdict=NONE_CHOSEN)
    answer = compare_runs(home, form.runs)
    curves = curves_of_runs(home, [run.id for run in answer.runs])
    return Content(
        heading="Compare",
        verdict=_verdict(answer),
        figures=[figure_of("comparison", lambda: comparison_chart(answer, today, curves))],
        tables=[_table(answer)],
        command=command_line("runs compare", *form.runs),
    )


def _verdict(answer: RunComparison) -> str:
    known = [(group.test_error, group.design) for group in answer.groups if group.test_error is not None]
    groups = len(answer.groups)
    text = f"{len(answer.runs)} runs in {groups} group{'s' * (groups != 1)} of seeds."
    if not known:
        return f"{text} None is finished."
    error, design = min(known)
    return f"{text} Least test error: {percent(error)}, {design}."


def _table(answer: RunComparison) -> Table:
    differences = {each.group: each for each in answer.differences}
    return Table(
        caption="Groups of runs that differ by nothing but their seed",
        columns=COLUMNS,
        rows=[
            Row(cells=list(_cells(answer, place, differences.get(place))))
            for place in range(len(answer.groups))
        ],
        numeric=(3, 4, 5),
    )


def _cells(answer: RunComparison, place: int, difference: GroupDifference | None) -> Iterator[Cell | str]:
    group = answer.groups[place]
    if len(group.runs) == 1:
        yield Cell(text=str(group.runs[0]), link=f"run?id={group.runs[0]}")
    else:
        yield ", ".join(map(str, group.runs))
    yield group.design
    yield group.method.value.replace("_", " ")
    yield "–" if group.test_error is None else percent(group.test_error)
    if difference is None or difference.test_error is None:
        yield "–"
    else:
        value = difference.test_error.value
        text = f"{-100 * value.mean:.2f} ({-100 * value.high:.2f} to {-100 * value.low:.2f}) points"
        yield text.replace("-", "−")
    seconds = [run.train_seconds for run in answer.runs if run.id in group.runs]
    yield duration(sum(seconds) / len(seconds))
