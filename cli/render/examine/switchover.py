"""The switchover of a data set for a person: maps that read without colour, and thresholds."""

from __future__ import annotations

from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from advisor.decision.threshold.map_grid import Axis
from advisor.designs.design import DesignClass
from advisor.estimate import Estimate
from cli.render.examine.switchover_words import (
    budgets_with_ensembles,
    columns_in_words,
    columns_with_ensembles,
    sooner,
    threshold,
    words,
)
from cli.render.formats import ROUNDING, bounds, count, percent, table
from cli.workflows.answers.examine.switchover import EnsembleTraining, SwitchoverMap, TrainingMap

LETTERS = {
    DesignClass.SINGLE: "s",
    DesignClass.DEPTH_EQUIVALENT: "d",
    DesignClass.WIDTH_EQUIVALENT: "w",
}
_TRAININGS = {
    EnsembleTraining.FULL_DATA: "full data",
    EnsembleTraining.MOTHERNETS_EQUAL_EPOCHS: "MotherNets g={clusters}, equal epochs",
    EnsembleTraining.MOTHERNETS_EQUAL_TIME: "MotherNets g={clusters}, time of full data",
}
LEGEND = (
    "Digits: chance in % that the better ensemble has less error, training noise included; d depth-, "
    "w width-equivalent if it is above 50, D and W if that of both classes is, else s single network; "
    "* first budget past the threshold; – no ensemble fits. Each cell compares the designs that are best "
    "there."
)
ENDS = (
    "Median (90 % interval). > is not reached within the grid, ≤ reached at its first point that has an "
    "ensemble; below 1x the ensemble is later."
)
# Orange where the single network wins, white at an even chance, blue where the ensemble does (Okabe and Ito).
_SINGLE, _EVEN, _ENSEMBLE = (230, 159, 0), (255, 255, 255), (86, 180, 233)
# Mark of a column of more images than any evidence supports.
EXTRAPOLATED = "^"


def switchover(answer: SwitchoverMap) -> RenderableType:
    """Return the map and the thresholds of every training, and the answer in sentences."""
    request = answer.request
    title = (
        f"{request.members} {request.family} members against one network of their total size, "
        f"on {request.dataset}"
    )
    parts: list[RenderableType] = [
        Text(title, style="bold"),
        Text(columns_in_words(answer)),
        "",
        # The maps stand side by side if the terminal is wide enough.
        Columns([_map(answer, training) for training in answer.maps], padding=(0, 4)),
        Text(LEGEND, style="dim"),
        Text(ENDS, style="dim"),
    ]
    if any(answer.extrapolated):
        parts.append(Text(_extrapolated(answer), style="dim"))
    if len(answer.budgets_parameters) > 1:
        parts += ["", _by_column(answer)]
    if len(answer.columns) > 1:
        parts += ["", _by_budget(answer)]
    parts += ["", _errors(answer)]
    return Group(*parts, "", *(Text(line) for line in words(answer)))


def _map(answer: SwitchoverMap, training: EnsembleTraining) -> Table:
    """Return the map of one training. Both axes rise as in a picture, so the columns are named below."""
    found = answer.maps[training]
    title = training_in_words(training, found.clusters)
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_header=False,
    )
    for _ in ("parameters", *answer.columns):
        drawn.add_column(justify="right", no_wrap=True)
    budgets = answer.budgets_parameters
    for i, budget in reversed(list(enumerate(budgets))):
        drawn.add_row(count(budget), *(_cell(found, budgets, i, j) for j in range(len(answer.columns))))
    drawn.add_row(
        answer.axis.value,
        *(marked_name(answer, j) for j in range(len(answer.columns))),
        style="bold",
    )
    drawn.add_row()
    return drawn


def _cell(found: TrainingMap, budgets: Sequence[int], budget: int, column: int) -> Text:
    chance = found.probability_ensemble_wins[budget][column]
    if chance is None:
        return Text("– ")
    letter = letter_of(found, budget, column)
    star = "*" if budget == _first_past(found, budgets, column) else " "
    red, green, blue = shade(chance)
    return Text(f"{letter}{100 * chance:3.0f}{star}", style=f"black on rgb({red},{green},{blue})")


def letter_of(found: TrainingMap, budget: int, column: int) -> str:
    """Return the letter of the likelier class of a cell, a capital where both classes of ensembles win."""
    letter = LETTERS[found.likelier_class[budget][column]]
    return letter.upper() if found.both_classes_likelier[budget][column] else letter


def _first_past(found: TrainingMap, budgets: Sequence[int], column: int) -> int | None:
    """Return the position of the least budget past the median threshold."""
    thresholds = found.threshold_parameters
    median = thresholds[column].median if thresholds else None
    if median is None:
        return None
    return next(i for i, b in enumerate(budgets) if b * (1 + ROUNDING) >= median)


def shade(chance: float) -> tuple[int, int, int]:
    """Return the colour of a probability as red, green and blue, 0 to 255."""
    end, share = (_ENSEMBLE, 2 * chance - 1) if chance >= 0.5 else (_SINGLE, 1 - 2 * chance)
    red, green, blue = (round(e + (x - e) * share) for e, x in zip(_EVEN, end, strict=True))
    return red, green, blue


def training_in_words(training: EnsembleTraining, clusters: int) -> str:
    """Return the title of a training of the ensembles."""
    return _TRAININGS[training].format(clusters=clusters)


def _column_name(answer: SwitchoverMap, column: int) -> str:
    """Return the number of epochs or of images of a column."""
    number = answer.columns[column]
    return str(number) if answer.axis is Axis.EPOCHS else count(number)


def marked_name(answer: SwitchoverMap, column: int) -> str:
    """Return the name of a column and its mark.

    A star may follow every figure of the column, so a name without a mark leaves its place free.
    """
    return _column_name(answer, column) + (EXTRAPOLATED if answer.extrapolated[column] else " ")


def _extrapolated(answer: SwitchoverMap) -> str:
    limit = answer.extrapolated_beyond_images
    return (
        f"{EXTRAPOLATED} extrapolated: beyond {limit:,} images, twice the most of any evidence on these data."
    )


def _by_column(answer: SwitchoverMap) -> Table:
    maps = answer.maps
    rows = []
    for j in range(len(answer.columns)):
        grid = budgets_with_ensembles(answer, j)
        found = (threshold(m.threshold_parameters[j], grid, count) for m in maps.values())
        rows.append([marked_name(answer, j), *found])
    columns = [(training_in_words(name, m.clusters).replace(", ", "\n"), "r") for name, m in maps.items()]
    title = "Threshold in parameters: the ensemble wins from here on"
    return table(title, [(answer.axis.value, "r"), *columns], rows)


def _by_budget(answer: SwitchoverMap) -> Table:
    by_epochs = answer.axis is Axis.EPOCHS
    found = answer.full_data.threshold_epochs if by_epochs else answer.full_data.threshold_images
    form = "{:.0f}".format if by_epochs else count
    rows = []
    for i, budget in reversed(list(enumerate(answer.budgets_parameters))):
        wins = threshold(found[i], columns_with_ensembles(answer, i), form)
        row = [count(budget), answer.designs[i].single, _best_ensemble(answer, i), wins]
        rows.append([*row, sooner(answer, i)] if by_epochs else row)
    columns = [("parameters", "r"), ("single", "l"), ("ensemble", "l"), ("wins from", "r")]
    if by_epochs:
        title = (
            "Threshold in epochs; how much sooner the ensemble has the single network's "
            f"error of {answer.schedule_epochs}"
        )
        return table(title, [*columns, ("sooner", "r")], rows)
    reference = _column_name(answer, answer.reference_column)
    return table(f"Threshold in training images; designs are those of {reference}", columns, rows)


def _errors(answer: SwitchoverMap) -> Table:
    """Return the expected errors of the three classes by size, in the column that sentences are about."""
    column, errors = answer.reference_column, answer.full_data.errors
    rows = [
        [count(budget), *(_error(by_budget[i][column]) for by_budget in errors.values())]
        for i, budget in reversed(list(enumerate(answer.budgets_parameters)))
    ]
    columns = [("parameters", "r"), *((kind.replace("_", "-"), "r") for kind in errors)]
    name = f"{_column_name(answer, column)} {answer.axis.value}"
    return table(f"Expected test error on full data at {name}", columns, rows)


def _error(error: Estimate | None) -> str:
    return "–" if error is None else f"{percent(error.mean)} ({bounds(error, percent)})"


def _best_ensemble(answer: SwitchoverMap, budget: int) -> str:
    """Return the better ensemble of a budget in the column that sentences are about."""
    kind = answer.full_data.better_ensemble_class[budget][answer.reference_column]
    return "–" if kind is None else str(answer.designs[budget].of_class(kind))
