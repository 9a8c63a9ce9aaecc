"""Answers that a page draws, as short tables: curves of a run, past forecasts, advice for a form."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from advisor.plans.plan import named
from cli.render.formats import bounds, digits, duration, or_dash, percent, table
from cli.render.verdict import verdict_lines
from cli.workflows.answers.advise.preview import AdvicePreview
from cli.workflows.answers.examine.forecast_history import ForecastHistory
from cli.workflows.answers.runs.curves import RunCurves

# Most rows of a table.
MOST_ROWS = 30


def run_curves(answer: RunCurves) -> RenderableType:
    """Return how far a run is, and where each of its networks stands."""
    progress = answer.progress
    rows = [
        [
            network.name,
            network.network,
            f"{len(network.points)} of {network.planned_epochs}",
            or_dash(network.points[-1].validation_error if network.points else None, percent),
        ]
        for network in answer.networks[:MOST_ROWS]
    ]
    columns = [("name", "l"), ("network", "l"), ("epochs", "r"), ("validation error", "r")]
    line = (
        f"Run {answer.run}, {answer.design} on {answer.dataset}: {answer.status}, {progress.epochs_done} of "
        f"{progress.epochs_planned:.0f} epochs in {duration(progress.seconds_spent)}."
    )
    return Group(Text(line), table("", columns, rows))


def forecast_history(answer: ForecastHistory) -> RenderableType:
    """Return how many forecasts held, and the newest of them."""
    held = [f"{each.quantity}: {each.inside} of {each.forecasts} inside" for each in answer.coverage]
    rows = [
        [
            str(each.run),
            each.design,
            each.quantity.value,
            f"{digits(each.predicted.mean)} ({bounds(each.predicted, digits)})",
            digits(each.actual),
        ]
        for each in answer.forecasts[:MOST_ROWS]
    ]
    columns = [("run", "r"), ("design", "l"), ("quantity", "l"), ("predicted", "r"), ("actual", "r")]
    return Group(*map(Text, held), table("", columns, rows))


def advice_preview(answer: AdvicePreview) -> RenderableType:
    """Return the verdict and the ranking."""

    def cells() -> Iterator[list[str]]:
        for row in answer.recommendations:
            error, seconds = row.predicted.test_error, row.predicted.train_seconds
            yield [
                f"{row.rank}{' =' if row.tie else ''}",
                named(row.design, row.method),
                f"{percent(error.mean)} ({bounds(error, percent)})",
                f"{duration(seconds.mean)} ({bounds(seconds, duration)})",
            ]

    columns = [("#", "r"), ("design", "l"), ("test error", "r"), ("training", "r")]
    return Group(*map(Text, verdict_lines(answer.verdict)), table("", columns, list(cells())))
