"""The page of the switchover: where ensembles have less error than one network of their size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from advisor.decision.threshold.switchover import Threshold
from advisor.designs.budget import parse_budget
from advisor.networks.families import FAMILIES
from advisor.plans.dataset import DATASETS
from cli.render.examine.switchover import training_in_words
from cli.render.formats import count
from cli.web.charts.switchover import switchover_chart
from cli.web.content import Content, Row, Table, figure_of
from cli.web.query import Query
from cli.workflows.answers.examine.switchover import EstRequest, SwitchoverMap, TrainingMap
from cli.workflows.defaults import DATASET, MEMBERS, SEED
from cli.workflows.examine.switchover import est
from cli.workflows.home import Home

READINGS = ("whole", "long")
AXES = ("epochs", "images")


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchoverForm:
    """Values of the form, and what it offers.

    Attributes:
        request: request that the form describes.
        asked: budget that a reader has in mind, parameters; None for none.
    """

    request: EstRequest
    asked: int | None
    asked_text: str
    families: tuple[str, ...] = tuple(name for name in FAMILIES if name != "mlp")
    datasets: tuple[str, ...] = tuple(DATASETS)
    readings: tuple[str, ...] = READINGS
    axes: tuple[str, ...] = AXES


def switchover_form(query: Query) -> SwitchoverForm:
    """Return the form of a query.

    Raises:
        UsageError: a value that cannot be understood.
    """
    members = query.integer("members", MEMBERS) or MEMBERS
    asked = query.text("asked")
    return SwitchoverForm(
        request=EstRequest(
            family=query.text("family", "resnet"),
            members=members,
            dataset=query.text("dataset", DATASET),
            budget=query.text("budget") or None,
            epochs=query.text("epochs") or None,
            # The slider ends at one cluster fewer than the members.
            clusters=min(query.integer("g", 1) or 1, max(members - 1, 1)),
            reading=query.text("reading", READINGS[0]),
            seed=SEED,
            axis=query.text("axis", AXES[0]),
        ),
        asked=parse_budget(asked) if asked else None,
        asked_text=asked,
    )


def switchover_content(form: SwitchoverForm, home: Home, today: date) -> Content:
    """Return the maps of a form.

    Args:
        form: the form.
        home: folder of the database.
        today: date for the caption.

    Raises:
        UsageError: the request cannot be understood.
        InfeasibleError: the lowest budget holds no network.
    """
    answer = est(form.request, home)
    request = form.request
    command = f"advisor est {request.dataset} --family {request.family} --members {request.members}"
    return Content(
        heading="Switchover",
        verdict=_verdict(answer),
        notes=list(_notes(answer, form.asked)),
        figures=[figure_of("switchover", lambda: switchover_chart(answer, today))],
        tables=[_thresholds(answer)],
        command=f"{command} --g {request.clusters} --reading {request.reading}",
    )


def _verdict(answer: SwitchoverMap) -> str:
    training, found = next(iter(answer.maps.items()))
    words = training_in_words(training, found.clusters)
    ends = [t for t in found.threshold_parameters if t.median is not None]
    if not ends:
        return f"{words}: on this map the ensemble of {answer.request.members} is never likelier ahead."
    column = answer.columns[answer.reference_column]
    threshold = found.threshold_parameters[answer.reference_column]
    if threshold.median is None:
        return f"{words}: at {column} {answer.axis} the switchover lies beyond this map."
    return (
        f"{words}, {column} {answer.axis}: from {count(threshold.median)} parameters on, "
        f"{answer.request.members} {answer.request.family}s have less error than one network of their size "
        f"({_interval(threshold)})."
    )


def _notes(answer: SwitchoverMap, asked: int | None) -> Iterator[str]:
    if asked is None:
        return
    training, found = next(iter(answer.maps.items()))
    nearest = min(
        range(len(answer.budgets_parameters)), key=lambda i: abs(answer.budgets_parameters[i] - asked)
    )
    chance = found.probability_ensemble_wins[nearest][answer.reference_column]
    words = "no ensemble fits" if chance is None else f"the chance of the ensemble is {chance:.0%}"
    yield (
        f"At {count(asked)} parameters and {answer.columns[answer.reference_column]} {answer.axis} "
        f"({training_in_words(training, found.clusters)}), {words}."
    )


def _interval(threshold: Threshold) -> str:
    low = "below the map" if threshold.low is None else count(threshold.low)
    high = "beyond it" if threshold.high is None else count(threshold.high)
    return f"90 % interval: {low} to {high}"


def _thresholds(answer: SwitchoverMap) -> Table:
    """Return the thresholds of every training by column."""

    def cells(column: int) -> Iterator[str]:
        yield str(answer.columns[column])
        for found in answer.maps.values():
            yield _threshold(found, column)

    heads = [training_in_words(training, found.clusters) for training, found in answer.maps.items()]
    return Table(
        caption="Switchover threshold in parameters: median and 90 % interval",
        columns=[str(answer.axis), *heads],
        rows=[Row(cells=list(cells(j))) for j in range(len(answer.columns))],
        numeric=range(1 + len(heads)),
    )


def _threshold(found: TrainingMap, column: int) -> str:
    if not found.threshold_parameters:
        return "–"
    threshold = found.threshold_parameters[column]
    if threshold.median is None:
        return "not reached"
    low, high = ("–" if end is None else count(end) for end in (threshold.low, threshold.high))
    return f"{count(threshold.median)} ({low} to {high})"
