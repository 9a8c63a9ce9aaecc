"""The page of a plan: its networks, its steps over time, and where a step's time and memory go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from advisor.errors import UsageError
from advisor.plans.dataset import DATASETS
from advisor.plans.method_traits import Method
from cli.render.formats import bounds, count, duration, percent, size
from cli.web.charts.plans.explanation import MOST_NETWORKS
from cli.web.charts.plans.layer_costs import layers_chart
from cli.web.charts.plans.networks import networks_chart
from cli.web.charts.plans.timeline import timeline_chart
from cli.web.command_line import command_line
from cli.web.content import Content, Figure, Row, Table, figure_of
from cli.web.query import Query
from cli.workflows.answers.examine.explanation import ExplainedStep, Explanation
from cli.workflows.defaults import DATASET
from cli.workflows.examine.explain import explain
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.home import Home

DESIGN = "4xresnet-20-16@g1"
STEPS = ("step", "network", "epochs", "predicted", "actual", "state")
# Most rows of the table of steps.
MOST_STEPS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanForm:
    """Values of the form, and what it offers.

    Attributes:
        target: design.
        dataset: name of the data set.
        epochs: epochs of a network trained from scratch; None for the published schedule.
        method: training method; empty for that of the design.
    """

    target: str
    dataset: str
    epochs: int | None
    method: str
    datasets: tuple[str, ...] = tuple(DATASETS)
    methods: tuple[str, ...] = tuple(method.value for method in Method)


def plan_form(query: Query) -> PlanForm:
    """Return the form of a query.

    Raises:
        UsageError: a value that cannot be understood.
    """
    target = query.text("target", DESIGN)
    if any(mark in target for mark in ("/", "\\", ".json")):
        raise UsageError(f"this page shows designs and no plan files, got {target!r:.60}")
    if target == "last" or target.isdecimal():
        raise UsageError(f"a run has a page of its own: run?id={target}")
    return PlanForm(
        target=target,
        dataset=query.text("dataset", DATASET),
        epochs=query.integer("epochs"),
        method=query.text("method"),
    )


def plan_content(form: PlanForm, home: Home, today: date) -> Content:
    """Return the plan of a form.

    Args:
        form: the form.
        home: folder of the database.
        today: date for the captions.

    Raises:
        UsageError: the request cannot be understood.
    """
    request = PlanRequest(
        target=form.target, dataset=form.dataset, epochs=form.epochs, method=form.method or None
    )
    answer = explain(request, None, home, layers=True)
    return Content(
        heading="Plan",
        verdict=predicted_sentence(answer),
        notes=answer.notes,
        figures=plan_figures(answer, today),
        tables=[steps_table(answer)],
        details=_layer_figures(answer, today),
        command=command_line(
            "train", form.target, dataset=form.dataset, epochs=form.epochs, method=form.method or None
        ),
    )


def predicted_sentence(answer: Explanation) -> str:
    """Return what is predicted of a plan in one sentence."""
    plan, predicted = answer.plan, answer.predicted
    parts = []
    if predicted.test_error is not None:
        error = predicted.test_error
        parts.append(f"test error {percent(error.mean)} ({bounds(error, percent)})")
    if predicted.train_seconds is not None:
        seconds = predicted.train_seconds
        parts.append(f"{duration(seconds.mean)} of training ({bounds(seconds, duration)})")
    if predicted.train_peak_bytes is not None:
        parts.append(f"{size(predicted.train_peak_bytes.mean)} of memory")
    figures = ", ".join(parts) or "nothing is predicted"
    return f"{plan.design} by {plan.method}, {plan.epochs} epochs of {plan.dataset}: {figures}."


def plan_figures(answer: Explanation, today: date) -> list[Figure]:
    """Return the networks of a plan or a run, and its steps over time."""
    return [
        figure_of("networks", lambda: networks_chart(answer, today)),
        figure_of("timeline", lambda: timeline_chart(answer, today)),
    ]


def _layer_figures(answer: Explanation, today: date) -> list[Figure]:
    networks = (answer.layers or ())[:MOST_NETWORKS]

    def figure(place: int) -> Figure:
        return figure_of(f"layers-{place + 1}", lambda: layers_chart(answer, networks[place], today))

    return [figure(place) for place in range(len(networks))]


def steps_table(answer: Explanation) -> Table:
    """Return the steps of a plan or a run."""
    left_out = len(answer.steps) - MOST_STEPS
    return Table(
        caption="Steps" + (f" ({left_out} more are left out)" if left_out > 0 else ""),
        columns=STEPS,
        rows=[Row(cells=list(_cells(step))) for step in answer.steps[:MOST_STEPS]],
        numeric=(2, 3, 4),
    )


def _cells(step: ExplainedStep) -> Iterator[str]:
    yield step.step
    yield step.network or "all members"
    yield count(step.epochs) if step.epochs else "–"
    seconds = step.seconds
    yield "–" if seconds is None else f"{duration(seconds.mean)} ({bounds(seconds, duration)})"
    yield "–" if step.actual_seconds is None else duration(step.actual_seconds)
    yield step.status or "–"
