"""The page of the frontier: every way to train a given ensemble, error against time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from advisor.designs.presets import PRESETS
from advisor.plans.dataset import DATASETS
from advisor.plans.method_traits import CLUSTERED
from cli.render.formats import bounds, duration, percent, size
from cli.web.charts.frontier import frontier_chart, in_words
from cli.web.command_line import command_line
from cli.web.content import Cell, Content, Row, Table, figure_of
from cli.web.query import Query
from cli.workflows.answers.examine.frontier import Frontier, FrontierRow
from cli.workflows.defaults import DATASET
from cli.workflows.examine.sweeps.frontier import frontier
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.home import Home

ENSEMBLE = "4xresnet-20-16"
COLUMNS = ("method", "g", "test error", "a member", "training", "memory", "latency", "runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierForm:
    """Values of the form, and what it offers.

    Attributes:
        ensemble: ensemble without a number of clusters.
        dataset: name of the data set.
        epochs: epochs of a network trained from scratch; None for the published schedule.
    """

    ensemble: str
    dataset: str
    epochs: int | None
    datasets: tuple[str, ...] = tuple(DATASETS)
    presets: tuple[str, ...] = tuple(PRESETS)


def frontier_form(query: Query) -> FrontierForm:
    """Return the form of a query.

    Raises:
        UsageError: a value that cannot be understood.
    """
    return FrontierForm(
        ensemble=query.text("ensemble", ENSEMBLE),
        dataset=query.text("dataset", DATASET),
        epochs=query.integer("epochs"),
    )


def frontier_content(form: FrontierForm, home: Home, today: date) -> Content:
    """Return the ways to train an ensemble.

    Args:
        form: the form.
        home: folder of the database.
        today: date for the caption.

    Raises:
        UsageError: the request cannot be understood.
    """
    request = PlanRequest(target=form.ensemble, dataset=form.dataset, epochs=form.epochs)
    answer = frontier(request, None, home)
    return Content(
        heading="Frontier",
        verdict=_verdict(answer),
        notes=[f"{in_words(each.method)} cannot train it: {each.reason}." for each in answer.inapplicable],
        figures=[figure_of("frontier", lambda: frontier_chart(answer, today))],
        tables=[
            Table(
                caption=f"Ways to train {answer.plan.design}; those on the front stand out",
                columns=COLUMNS,
                rows=[Row(cells=list(_cells(row)), marked=row.on_front) for row in answer.rows],
                numeric=(1, 2, 3, 4, 5, 6),
            )
        ],
        command=command_line("frontier", form.ensemble, dataset=form.dataset, epochs=form.epochs),
    )


def _verdict(answer: Frontier) -> str:
    front = sorted((row for row in answer.rows if row.on_front), key=lambda row: row.test_error.mean)
    text = "Least error: " + "; less time: ".join(map(_way, front[:3])) + "."
    if not answer.never_worth:
        return f"{text} Every method has a place on the front."
    names = ", ".join(in_words(each.method) for each in answer.never_worth)
    return f"{text} Never worth it here, because another way has less error in less time: {names}."


def _way(row: FrontierRow) -> str:
    clusters = f" g={row.clusters}" if row.method in CLUSTERED else ""
    if row.train_seconds is None:
        time = f"{row.time_over_full_data.mean:.2f} × the time of full data"
    else:
        time = duration(row.train_seconds.mean)
    return f"{in_words(row.method)}{clusters}, {percent(row.test_error.mean)} in {time}"


def _cells(row: FrontierRow) -> Iterator[Cell | str]:
    yield in_words(row.method)
    yield "–" if row.clusters is None else str(row.clusters)
    yield f"{percent(row.test_error.mean)} ({bounds(row.test_error, percent)})"
    yield percent(row.mean_member_error.mean)
    if row.train_seconds is None:
        yield f"{row.time_over_full_data.mean:.2f} × full data"
    else:
        yield f"{duration(row.train_seconds.mean)} ({bounds(row.train_seconds, duration)})"
    yield "–" if row.train_peak_bytes is None else size(row.train_peak_bytes.mean)
    yield "–" if row.inference_ms_per_image is None else duration(row.inference_ms_per_image.mean / 1000)
    if len(row.runs) == 1:
        (run,) = row.runs
        yield Cell(text=f"run {run.run}: {percent(run.test_error)}", link=f"run?id={run.run}")
    else:
        yield ", ".join(f"{run.run}: {percent(run.test_error)}" for run in row.runs) or "–"
