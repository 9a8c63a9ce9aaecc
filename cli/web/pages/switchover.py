"""The page of the switchover: where ensembles have less error than one network of their size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from advisor.decision.threshold.switchover import Threshold
from advisor.designs.budget import parse_budget
from advisor.networks.families import FAMILIES
from advisor.plans.dataset import DATASETS
from cli.render.examine.switchover import training_in_words
from cli.render.formats import count
from cli.web.charts.switchover import switchover_chart
from cli.web.command_line import command_line
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
        asked_text: the same as it was written.
        asked_epochs: epochs that a reader has in mind; None for none.
    """

    request: EstRequest
    asked: int | None
    asked_text: str
    asked_epochs: int | None
    families: tuple[str, ...] = tuple(name for name in FAMILIES if name != "mlp")
    datasets: tuple[str, ...] = tuple(DATASETS)
    readings: tuple[str, ...] = READINGS
    axes: tuple[str, ...] = AXES

    @property
    def point(self) -> tuple[int, int] | None:
        """Epochs and parameters that a reader has in mind, a point of a map of epochs."""
        if self.asked is None or self.asked_epochs is None or self.request.axis != AXES[0]:
            return None
        return self.asked_epochs, self.asked


def switchover_form(query: Query, last: dict[str, Any] | None) -> SwitchoverForm:
    """Return the form of a query; budget and epochs of the reader are those of the last recommendation.

    Args:
        query: query of the address.
        last: request of the last recommendation as it is stored, None if there is none.

    Raises:
        UsageError: a value that cannot be understood.
    """
    members = query.integer("members", MEMBERS) or MEMBERS
    dataset = query.text("dataset", last["dataset"] if last else DATASET)
    known = last if last and last["dataset"] == dataset else {}
    asked = query.text("asked", known.get("budget", ""))
    return SwitchoverForm(
        request=EstRequest(
            family=query.text("family", "resnet"),
            members=members,
            dataset=dataset,
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
        asked_epochs=query.integer("asked_epochs", known.get("epochs")),
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
    return Content(
        heading="Switchover",
        verdict=_verdict(answer, form),
        figures=[figure_of("switchover", lambda: switchover_chart(answer, today, form.point))],
        tables=[_thresholds(answer)],
        command=command_line(
            "est",
            family=request.family,
            members=request.members,
            dataset=request.dataset,
            budget=request.budget,
            epochs=request.epochs,
            g=request.clusters,
            axis=request.axis,
            reading=request.reading,
        ),
    )


def _verdict(answer: SwitchoverMap, form: SwitchoverForm) -> str:
    training, found = next(iter(answer.maps.items()))
    words = training_in_words(training, found.clusters)
    column = _column(answer, form.asked_epochs)
    where = f"{words[0].upper()}{words[1:]}, {answer.columns[column]} {answer.axis}"
    chance = None if form.asked is None else _chance(answer, found, form.asked, column)
    lead = ""
    if chance is not None and form.asked is not None:
        lead = f"At {count(form.asked)} parameters the ensemble is ahead with {100 * chance:.0f} %. "
    if not found.threshold_parameters or all(t.median is None for t in found.threshold_parameters):
        return f"{lead}{where}: on this map {answer.request.members} members are never likelier ahead."
    threshold = found.threshold_parameters[column]
    if threshold.median is None:
        return f"{lead}{where}: the switchover lies beyond this map."
    return (
        f"{lead}{where}: from {count(threshold.median)} parameters on, {answer.request.members} "
        f"{answer.request.family}s have less error than one network of their size ({_interval(threshold)})."
    )


def _column(answer: SwitchoverMap, asked: int | None) -> int:
    """Return the column of the epochs that a reader has in mind, the nearest one in the logarithm."""
    if asked is None or str(answer.axis) != AXES[0]:
        return answer.reference_column
    return int(np.abs(np.log(np.array(answer.columns) / asked)).argmin())


def _chance(answer: SwitchoverMap, found: TrainingMap, asked: int, column: int) -> float | None:
    """Return the chance of the ensemble at a budget, between two rows of the map; None where none fits."""
    rows = [
        (np.log(budget), chance)
        for budget, row in zip(answer.budgets_parameters, found.probability_ensemble_wins, strict=True)
        if (chance := row[column]) is not None
    ]
    if not rows or not rows[0][0] <= np.log(asked) <= rows[-1][0]:
        return None
    budgets, chances = zip(*rows, strict=True)
    return float(np.interp(np.log(asked), budgets, chances))


def _interval(threshold: Threshold) -> str:
    low = "below the map" if threshold.low is None else count(threshold.low)
    high = "beyond it" if threshold.high is None else count(threshold.high)
    return f"90 % interval: {low} to {high}"


def _thresholds(answer: SwitchoverMap) -> Table:
    """Return the thresholds of every training by column."""

    def cells(column: int) -> Iterator[str]:
        yield str(answer.columns[column])
        for found in answer.maps.values():
            yield _threshold(answer, found, column)

    heads = [training_in_words(training, found.clusters) for training, found in answer.maps.items()]
    return Table(
        caption="Switchover threshold in parameters: median and 90 % interval",
        columns=[str(answer.axis), *heads],
        rows=[Row(cells=list(cells(j))) for j in range(len(answer.columns))],
        numeric=range(1 + len(heads)),
    )


def _threshold(answer: SwitchoverMap, found: TrainingMap, column: int) -> str:
    if not found.threshold_parameters:
        return "–"
    threshold, last = found.threshold_parameters[column], count(answer.budgets_parameters[-1])
    if threshold.median is None:
        return f"beyond {last}"
    low = "below the map" if threshold.low is None else count(threshold.low)
    high = f"beyond {last}" if threshold.high is None else count(threshold.high)
    return f"{count(threshold.median)} ({low} to {high})"
