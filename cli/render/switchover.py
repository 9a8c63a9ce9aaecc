"""The switchover of a data set for a person: maps that read without colour, thresholds, and sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from advisor.decision.epoch_axis import ScheduleReading
from advisor.decision.switchover import Threshold
from advisor.designs.design import DesignClass
from cli.render.formats import ROUNDING, bounded, count, table
from cli.workflows.answers.examine.switchover import EnsembleTraining, SwitchoverMap, TrainingMap

Form = Callable[[float], str]

READINGS = {
    ScheduleReading.WHOLE: "whole schedules of each length",
    ScheduleReading.LONG: "read off one long schedule",
}
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
    "w width-equivalent if it is above 50, else s single network; * first budget past the threshold; "
    "– no ensemble fits."
)
ENDS = (
    "Median (90 % interval). > is not reached within the grid, ≤ reached at its first point that has an "
    "ensemble; below 1x the ensemble is later."
)
# Orange where the single network wins, white at an even chance, blue where the ensemble does (Okabe and Ito).
_SINGLE, _EVEN, _ENSEMBLE = (230, 159, 0), (255, 255, 255), (86, 180, 233)
NOT_REACHED = "not reached"


def switchover(answer: SwitchoverMap) -> RenderableType:
    """Return the map and the thresholds of every training, and the answer in sentences."""
    request = answer.request
    title = (
        f"{request.members} {request.family} members against one network of their total size, "
        f"on {request.dataset}"
    )
    parts: list[RenderableType] = [
        Text(title, style="bold"),
        Text(f"Epochs: {READINGS[answer.reading]}"),
        "",
        # The maps stand side by side if the terminal is wide enough.
        Columns([_map(answer, training) for training in answer.maps], padding=(0, 4)),
        Text(LEGEND, style="dim"),
        Text(ENDS, style="dim"),
    ]
    if len(answer.budgets_parameters) > 1:
        parts += ["", _by_epochs(answer)]
    if len(answer.epochs) > 1:
        parts += ["", _by_budget(answer)]
    return Group(*parts, "", *(Text(line) for line in words(answer)))


def _map(answer: SwitchoverMap, training: EnsembleTraining) -> Table:
    """Return the map of one training. Both axes rise as in a picture, so the epochs stand below."""
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
    for _ in ("parameters", *answer.epochs):
        drawn.add_column(justify="right", no_wrap=True)
    budgets = answer.budgets_parameters
    for i, budget in reversed(list(enumerate(budgets))):
        drawn.add_row(count(budget), *(_cell(found, budgets, i, j) for j in range(len(answer.epochs))))
    # A star may follow every figure, so the axis leaves its place free.
    drawn.add_row("epochs", *(f"{epochs} " for epochs in answer.epochs), style="bold")
    drawn.add_row()
    return drawn


def _cell(found: TrainingMap, budgets: Sequence[int], budget: int, epochs: int) -> Text:
    chance = found.probability_ensemble_wins[budget][epochs]
    if chance is None:
        return Text("– ")
    letter = LETTERS[found.likelier_class[budget][epochs]]
    star = "*" if budget == _first_past(found, budgets, epochs) else " "
    red, green, blue = shade(chance)
    return Text(f"{letter}{100 * chance:3.0f}{star}", style=f"black on rgb({red},{green},{blue})")


def _first_past(found: TrainingMap, budgets: Sequence[int], epochs: int) -> int | None:
    """Return the position of the least budget past the median threshold."""
    thresholds = found.threshold_parameters
    median = thresholds[epochs].median if thresholds else None
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


def _by_epochs(answer: SwitchoverMap) -> Table:
    maps, grid = answer.maps, _budgets_with_ensembles(answer)
    rows = [
        [str(epochs), *(_threshold(m.threshold_parameters[j], grid, count) for m in maps.values())]
        for j, epochs in enumerate(answer.epochs)
    ]
    columns = [(training_in_words(name, m.clusters).replace(", ", "\n"), "r") for name, m in maps.items()]
    return table("Threshold in parameters: the ensemble wins from here on", [("epochs", "r"), *columns], rows)


def _by_budget(answer: SwitchoverMap) -> Table:
    thresholds, grid = answer.full_data.threshold_epochs, answer.epochs
    rows = [
        [
            count(budget),
            answer.designs[i].single,
            _best_ensemble(answer, i),
            _threshold(thresholds[i], grid, "{:.0f}".format),
            _sooner(answer, i),
        ]
        for i, budget in reversed(list(enumerate(answer.budgets_parameters)))
    ]
    columns = [
        ("parameters", "r"),
        ("single", "l"),
        ("ensemble", "l"),
        ("wins from", "r"),
        ("sooner", "r"),
    ]
    title = (
        "Threshold in epochs; how much sooner the ensemble has the single network's "
        f"error of {answer.schedule_epochs}"
    )
    return table(title, columns, rows)


def _best_ensemble(answer: SwitchoverMap, budget: int) -> str:
    """Return the better ensemble of a budget at the end of the schedule."""
    kind = answer.full_data.better_ensemble_class[budget][answer.schedule_column]
    return "–" if kind is None else str(answer.designs[budget].of_class(kind))


def _budgets_with_ensembles(answer: SwitchoverMap) -> list[int]:
    """Return the largest budgets that all have an ensemble.

    A threshold at the least of them may lie below it.
    """
    chances = answer.full_data.probability_ensemble_wins
    falling = zip(answer.budgets_parameters[::-1], chances[::-1], strict=True)
    return [b for b, _ in takewhile(lambda row: any(p is not None for p in row[1]), falling)][::-1]


def _threshold(threshold: Threshold, grid: Sequence[float], form: Form) -> str:
    """Return a median with its interval; a threshold at an end of the grid is marked ≤ or >."""
    if threshold.low is None:
        return NOT_REACHED
    figures = threshold.median, threshold.low, threshold.high
    median, low, high = (bounded(figure, grid[0], grid[-1], form) for figure in figures)
    return f"{median} ({low}–{high})"


def _sooner(answer: SwitchoverMap, budget: int) -> str:
    """Return how many times sooner the ensemble reaches the error; the ends of the grid bound the ratio."""
    schedule, grid = answer.schedule_epochs, answer.epochs
    ratio = answer.full_data.times_sooner[budget]

    def shown(value: float | None) -> str:
        if value is None:
            return f"<{schedule / grid[-1]:.2g}x"
        return f"≥{value:.2g}x" if value >= schedule / grid[0] else f"{value:.2g}x"

    if ratio.high is None:
        return NOT_REACHED
    return f"{shown(ratio.median)} ({shown(ratio.low)}–{shown(ratio.high)})"


def words(answer: SwitchoverMap) -> list[str]:
    """Return the answer in sentences, the evidence last."""
    lines = []
    if len(answer.budgets_parameters) > 1:
        by_full_data = _takes_over(answer, answer.full_data)
        lines.append(f"At {answer.schedule_epochs} epochs the ensemble trained on all data {by_full_data}.")
        lines += _fast_in_words(answer)
    if len(answer.epochs) > 1:
        lines.append(
            f"At {count(answer.budgets_parameters[-1])} parameters the single network's error of "
            f"{answer.schedule_epochs} epochs is reached sooner by: {_sooner(answer, -1)}."
        )
    if answer.reading is ScheduleReading.LONG:
        lines.append("MotherNets have no map here: hatched members have no epochs of one long schedule.")
    return [*lines, _evidence_in_words(answer)]


def _takes_over(answer: SwitchoverMap, found: TrainingMap) -> str:
    """Return a phrase on where ensembles of one training win at the end of the schedule."""
    threshold = found.threshold_parameters[answer.schedule_column]
    if threshold.median is not None:
        return f"takes over at {_threshold(threshold, _budgets_with_ensembles(answer), count)} parameters"
    return (
        f"does not take over within the grid, up to {count(answer.budgets_parameters[-1])} parameters "
        f"({threshold.reached:.0%} of the draws do)"
    )


def _fast_in_words(answer: SwitchoverMap) -> list[str]:
    equal_epochs = answer.maps.get(EnsembleTraining.MOTHERNETS_EQUAL_EPOCHS)
    equal_time = answer.maps.get(EnsembleTraining.MOTHERNETS_EQUAL_TIME)
    if equal_epochs is None or equal_time is None:
        return []
    schedule = equal_time.ensemble_epochs[answer.schedule_column]
    return [
        f"Fast training: with as many epochs MotherNets g={answer.request.clusters} "
        f"{_takes_over(answer, equal_epochs)}; in the training time of full data, {schedule} "
        f"epochs, it {_takes_over(answer, equal_time)}."
    ]


def _evidence_in_words(answer: SwitchoverMap) -> str:
    evidence, name = answer.evidence, answer.request.dataset
    runs, published = evidence.runs_on_dataset, evidence.published_errors_on_dataset
    known = f"{published} published errors" if published else "no published error"
    if answer.reading is ScheduleReading.LONG:
        known += f", {evidence.curves_on_dataset} of {evidence.curves} learning curves"
    if evidence.simple_classifiers:
        known += ", errors of simple classifiers"
    if runs:
        own = f"{runs} training{'s' * (runs > 1)}"
        return f"Evidence on {name}: {own} and {known}; the rest is prior."
    if published or evidence.simple_classifiers:
        return f"Evidence on {name}: {known}, no training of yours; the rest is prior."
    return f"Evidence on {name}: no training and {known}; all of this is prior, from other data."
