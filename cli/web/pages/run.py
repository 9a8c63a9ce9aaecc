"""The page of a run: its curves, live while another process trains it, and what was predicted beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from advisor.estimate import Estimate
from advisor.plans.records import RunStatus
from cli.render.formats import bounds, duration, percent, size
from cli.web.charts.run_curves import run_curves_chart
from cli.web.content import Content, Row, Table, figure_of
from cli.web.pages.plan import plan_figures, steps_table
from cli.web.query import Query
from cli.workflows.answers.examine.explanation import Explanation
from cli.workflows.answers.runs.class_errors import ErrorsByClass
from cli.workflows.answers.runs.curves import RunCurves
from cli.workflows.answers.runs.run import Run
from cli.workflows.examine.explain import explain
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.home import Home
from cli.workflows.runs.description import show_run
from cli.workflows.runs.lookup import run_id_of, trains_now
from cli.workflows.runs.watching.curves import run_curves

POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForm:
    """Values of the form.

    Attributes:
        run: number of the run, or ``last``.
    """

    run: str


def run_form(query: Query) -> RunForm:
    """Return the form of a query."""
    return RunForm(run=query.text("id", "last"))


def run_state(query: Query, home: Home) -> tuple[object, ...]:
    """Return what a run's page depends on beside the database: whether a process trains the run."""
    return (trains_now(home, query.text("id", "last")),)


def run_content(form: RunForm, home: Home, today: date) -> Content:
    """Return a run as it stands.

    Args:
        form: the form.
        home: folder of the run.
        today: date for the captions.

    Raises:
        UsageError: no such run.
    """
    number = str(run_id_of(form.run, home))
    run, curves = show_run(home, number), run_curves(home, number)
    explained = explain(PlanRequest(target=number), None, home)
    tables = [_figures(run, explained), steps_table(explained)]
    if run.by_class is not None:
        tables.append(_classes(run.by_class))
    return Content(
        heading=f"Run {number}: {run.design}",
        verdict=_verdict(run, curves),
        notes=[note for note in (run.message, run.hint or "") if note],
        figures=[
            figure_of("curves", lambda: run_curves_chart(curves, today)),
            *plan_figures(explained, today),
        ],
        tables=tables,
        command=_command(run),
        forward=("plan of this design", _plan_link(run)),
        poll_seconds=POLL_SECONDS if run.status is RunStatus.RUNNING else None,
    )


def _verdict(run: Run, curves: RunCurves) -> str:
    progress = curves.progress
    what = f"{run.design} by {run.method} on {run.dataset}"
    if run.status is RunStatus.RUNNING:
        text = f"{what}: training, {progress.epochs_done} of {progress.epochs_planned:.0f} epochs"
        left = progress.seconds_left
        return (
            f"{text}." if left is None else f"{text}, {duration(left.mean)} left ({bounds(left, duration)})."
        )
    if run.test is None:
        return f"{what}: {run.status}, {progress.epochs_done} of {progress.epochs_planned:.0f} epochs."
    text = f"{what}: test error {percent(run.test.error)} after {duration(run.train_seconds)}"
    predicted = None if run.predicted is None else run.predicted.test_error
    if predicted is None:
        return f"{text}."
    held = "inside" if predicted.low <= run.test.error <= predicted.high else "outside"
    return f"{text}, {held} its forecast of {percent(predicted.mean)} ({bounds(predicted, percent)})."


def _plan_link(run: Run) -> str:
    facts = {"target": run.design, "method": run.method.value, "dataset": run.dataset, "epochs": run.epochs}
    return f"plan?{urlencode(facts)}"


def _command(run: Run) -> str | None:
    if run.status in (RunStatus.DONE, RunStatus.RUNNING, RunStatus.DIVERGED):
        return f"advisor runs show {run.id}"
    return f"advisor resume {run.id}"


def _figures(run: Run, explained: Explanation) -> Table:
    """Return predicted beside actual figures."""
    predicted, actual = explained.predicted, explained.actual
    memory = None if actual is None else actual.train_peak_bytes

    def row(name: str, forecast: Estimate | None, form: Callable[[float], str], value: float | None) -> Row:
        told = "–" if forecast is None else f"{form(forecast.mean)} ({bounds(forecast, form)})"
        return Row(cells=[name, told, "–" if value is None else form(value)])

    rows = [
        row("training time", predicted.train_seconds, duration, run.train_seconds or None),
        row("beyond training", predicted.overhead_seconds, duration, run.overhead_seconds),
        row("memory to train", predicted.train_peak_bytes, size, memory),
        row("test error", predicted.test_error, percent, None if run.test is None else run.test.error),
    ]
    return Table(
        caption="Predicted beside actual",
        columns=("", "predicted", "actual"),
        rows=[*rows, *_outcome(run)],
        numeric=(1, 2),
    )


def _outcome(run: Run) -> Iterator[Row]:
    if run.test is None:
        return
    yield Row(cells=["mean error of a member", "–", percent(run.test.mean_member_error)])
    yield Row(cells=["disagreement of two members", "–", percent(run.test.disagreement)])
    yield Row(cells=["negative log-likelihood, nats", "–", f"{run.test.nll:.3g}"])


def _classes(found: ErrorsByClass) -> Table:
    return Table(
        caption="Test errors by class",
        columns=("class", "images", "error"),
        rows=[
            Row(
                cells=[
                    each.name or f"class {each.class_index}",
                    str(each.images),
                    "–" if each.error is None else percent(each.error),
                ]
            )
            for each in found.classes
        ],
        numeric=(1, 2),
    )
