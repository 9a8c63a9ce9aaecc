"""Thresholds of a switchover map in words, and the answer of `advisor est` in sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from advisor.decision.threshold.error_source import ScheduleReading
from advisor.decision.threshold.map_grid import Axis
from advisor.decision.threshold.switchover import Threshold
from cli.render.formats import bounded, count
from cli.workflows.answers.examine.switchover import EnsembleTraining, SwitchoverMap, TrainingMap

Form = Callable[[float], str]

READINGS = {
    ScheduleReading.WHOLE: "whole schedules of each length",
    ScheduleReading.LONG: "read off one long schedule",
}
NOT_REACHED = "not reached"
# Chances that differ by less along an axis are the same.
ALIKE = 0.05


def columns_in_words(answer: SwitchoverMap) -> str:
    """Return what the columns are, and what is the same in all of them."""
    if answer.axis is Axis.IMAGES:
        return f"Training images: whole schedules of {answer.schedule_epochs} epochs on each number"
    on = "" if answer.request.images is None else f", on {answer.images[0]:,} training images"
    return f"Epochs: {READINGS[answer.reading]}{on}"


def budgets_with_ensembles(answer: SwitchoverMap, column: int) -> list[int]:
    """Return the largest budgets that all have an ensemble in a column.

    A threshold at the least of them may lie below it.
    """
    chances = [row[column] for row in answer.full_data.probability_ensemble_wins]
    return _last_with_ensembles(answer.budgets_parameters, chances)


def columns_with_ensembles(answer: SwitchoverMap, budget: int) -> list[int]:
    """Return the last epochs, or images, that all have an ensemble of a budget."""
    return _last_with_ensembles(answer.columns, answer.full_data.probability_ensemble_wins[budget])


def _last_with_ensembles(grid: Sequence[int], chances: Sequence[float | None]) -> list[int]:
    falling = zip(grid[::-1], chances[::-1], strict=True)
    return [point for point, _ in takewhile(lambda pair: pair[1] is not None, falling)][::-1]


def threshold(found: Threshold, grid: Sequence[float], form: Form) -> str:
    """Return a median with its interval; a threshold at an end of the grid is marked ≤ or >."""
    if found.low is None:
        return NOT_REACHED
    figures = found.median, found.low, found.high
    median, low, high = (bounded(figure, grid[0], grid[-1], form) for figure in figures)
    return f"{median} ({low}–{high})"


def sooner(answer: SwitchoverMap, budget: int) -> str:
    """Return how many times sooner the ensemble reaches the error; the ends of the grid bound the ratio."""
    schedule, grid = answer.schedule_epochs, columns_with_ensembles(answer, budget)
    ratio = answer.full_data.times_sooner[budget]
    if ratio.high is None:
        return NOT_REACHED

    def shown(value: float | None) -> str:
        if value is None:
            return f"<{schedule / grid[-1]:.2g}x"
        return f"≥{value:.2g}x" if value >= schedule / grid[0] else f"{value:.2g}x"

    return f"{shown(ratio.median)} ({shown(ratio.low)}–{shown(ratio.high)})"


def words(answer: SwitchoverMap) -> list[str]:
    """Return the answer in sentences, the evidence last."""
    lines = []
    if len(answer.budgets_parameters) > 1:
        by_full_data = _takes_over(answer, answer.full_data)
        lines.append(f"{_reference(answer)} the ensemble trained on full data {by_full_data}.")
        lines += _fast_in_words(answer)
    if answer.axis is Axis.EPOCHS and len(answer.epochs) > 1:
        lines.append(
            f"At {count(answer.budgets_parameters[-1])} parameters the single network's error of "
            f"{answer.schedule_epochs} epochs is reached sooner by: {sooner(answer, -1)}."
        )
    if answer.axis is Axis.IMAGES:
        lines += _images_in_words(answer)
    if answer.reading is ScheduleReading.LONG:
        lines.append("MotherNets have no map here: hatched members have no epochs of one long schedule.")
    return [*lines, _evidence_in_words(answer)]


def _images_in_words(answer: SwitchoverMap) -> list[str]:
    """Return what the axis of images means, and by how much the chances change along it."""
    lines = ["Epochs are the same on every number of images, so more images mean more steps."]
    rows = [[p for p in row if p is not None] for row in answer.full_data.probability_ensemble_wins]
    moves = [max(row) - min(row) for row in rows if row]
    if len(answer.images) > 1 and moves:
        alike = ": the forecast knows of no effect on who wins" if max(moves) < ALIKE else ""
        lines.append(
            f"From {answer.images[0]:,} to {answer.images[-1]:,} images the chance at one budget changes by "
            f"{100 * max(moves):.0f} points at most{alike}."
        )
    return lines


def _reference(answer: SwitchoverMap) -> str:
    """Return a phrase for the column that sentences are about."""
    if answer.axis is Axis.EPOCHS:
        return f"At {answer.schedule_epochs} epochs"
    return f"After {answer.schedule_epochs} epochs on {answer.images[answer.reference_column]:,} images"


def _takes_over(answer: SwitchoverMap, found: TrainingMap) -> str:
    """Return a phrase on where ensembles of one training win in the column that sentences are about."""
    column = answer.reference_column
    here = found.threshold_parameters[column]
    if here.median is not None:
        where = threshold(here, budgets_with_ensembles(answer, column), count)
        return f"takes over at {where} parameters"
    return (
        f"does not take over within the grid, up to {count(answer.budgets_parameters[-1])} parameters "
        f"({here.reached:.0%} of the draws do)"
    )


def _fast_in_words(answer: SwitchoverMap) -> list[str]:
    equal_epochs = answer.maps.get(EnsembleTraining.MOTHERNETS_EQUAL_EPOCHS)
    equal_time = answer.maps.get(EnsembleTraining.MOTHERNETS_EQUAL_TIME)
    if equal_epochs is None or equal_time is None:
        return []
    schedule = equal_time.ensemble_epochs[answer.epochs.index(answer.schedule_epochs)]
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
