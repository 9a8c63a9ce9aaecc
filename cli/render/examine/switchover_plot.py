"""The switchover of a data set as a picture: one panel for each training, the threshold with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from advisor.decision.threshold.map_grid import Axis
from advisor.decision.threshold.switchover import Threshold
from advisor.estimate import Floats
from cli.render.examine.switchover import EXTRAPOLATED, letter_of, marked_name, shade, training_in_words
from cli.render.examine.switchover_words import columns_in_words
from cli.render.formats import count
from cli.render.picture import empty_figure, save
from cli.workflows.answers.examine.switchover import SwitchoverMap, TrainingMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Width and height of a panel in inches: a PNG has 600 dots per panel. Narrow panels fit the width of a page.
PANEL, HEIGHT = 4.0, 4.8
LABELS = {Axis.EPOCHS: "epochs of the single network", Axis.IMAGES: "training images"}


def plot(answer: SwitchoverMap, path: Path) -> None:
    """Draw the answer of `advisor est` to a PNG or SVG file.

    Raises:
        StorageError: a file that cannot be written.
    """
    maps, request = answer.maps, answer.request
    figure = empty_figure(PANEL * len(maps) + 0.6, HEIGHT)
    panels = np.atleast_1d(figure.subplots(1, len(maps), sharey=True))
    for axes, (training, found) in zip(panels, maps.items(), strict=True):
        axes.set_title(training_in_words(training, found.clusters), fontsize=10)
        _panel(axes, answer, found)
    panels[0].set_ylabel("total parameters")
    figure.suptitle(
        f"Chance in % that the better ensemble of {request.members} has less error than one network of "
        f"its size\n"
        f"{request.family} on {request.dataset}. {columns_in_words(answer)}",
        fontsize=12,
    )
    _legend(figure)
    save(figure, path, "the map")


def _legend(figure: Figure) -> None:
    """Draw the meaning of colours, letters and lines below all panels."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries = [
        Patch(color=_colour(0.0), label="s: single network likelier ahead"),
        Patch(color=_colour(1.0), label="d, w: depth-, width-equivalent ensemble likelier ahead; D, W: both"),
        Line2D([], [], color="black", linewidth=1.5, label="switchover threshold (median)"),
        Line2D([], [], color="black", linewidth=1, linestyle="dashed", label="its 90 % interval"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=min(4, 2 * len(figure.axes)), fontsize=9)


def _colour(probability: float) -> tuple[float, float, float]:
    """Return the colour of a probability as in the terminal, its parts between 0 and 1."""
    red, green, blue = (part / 255 for part in shade(probability))
    return red, green, blue


def _panel(axes: Axes, answer: SwitchoverMap, found: TrainingMap) -> None:
    budgets, columns = answer.budgets_parameters, answer.columns
    mark = f" ({EXTRAPOLATED} extrapolated)" if any(answer.extrapolated) else ""
    chances = found.probability_ensemble_wins
    colours = np.array([[(1.0,) * 3 if p is None else _colour(p) for p in row] for row in chances])
    axes.set(xscale="log", yscale="log", xlabel=LABELS[answer.axis] + mark)
    axes.pcolormesh(_edges(columns), _edges(budgets), colours)
    for i, budget in enumerate(budgets):
        for j, column in enumerate(columns):
            chance, letter = chances[i][j], letter_of(found, i, j)
            text = "–" if chance is None else f"{letter} {100 * chance:.0f}"
            # The box has the cell's own colour, so that a line passes behind the figure.
            box = {"color": colours[i, j], "pad": 1}
            axes.text(column, budget, text, ha="center", va="center", fontsize=8, bbox=box)
    if found.threshold_parameters:
        _threshold(axes, answer, found.threshold_parameters)
    axes.set_xlim(*_edges(columns)[[0, -1]])
    axes.set_ylim(*_edges(budgets)[[0, -1]])
    axes.minorticks_off()
    axes.set_xticks(columns, [marked_name(answer, j).strip() for j in range(len(columns))], fontsize=8)
    axes.set_yticks(budgets, [count(b) for b in budgets], fontsize=8)


def _threshold(axes: Axes, answer: SwitchoverMap, thresholds: Sequence[Threshold]) -> None:
    """Draw medians and intervals; figures beyond the grid lie above the picture."""
    if all(threshold.median is None for threshold in thresholds):
        axes.set_title(f"{axes.get_title()}: not reached", fontsize=10)
    beyond = float(2 * _edges(answer.budgets_parameters)[-1])

    def line(figures: Iterable[float | None], width: float, style: str) -> None:
        heights = [beyond if figure is None else figure for figure in figures]
        axes.plot(answer.columns, heights, color="black", linewidth=width, linestyle=style, alpha=0.7)

    line((t.median for t in thresholds), 1.5, "solid")
    line((t.low for t in thresholds), 1, "dashed")
    line((t.high for t in thresholds), 1, "dashed")


def _edges(centres: Sequence[int]) -> Floats:
    """Return the edges of cells around points, halfway in the logarithm, shape (points + 1,)."""
    points = np.log(np.array(centres, dtype=float))
    if len(points) == 1:
        return np.asarray(np.exp(points[0] + np.array([-0.5, 0.5])), dtype=float)
    between = (points[1:] + points[:-1]) / 2
    first, last = 2 * points[0] - between[0], 2 * points[-1] - between[-1]
    return np.asarray(np.exp(np.concatenate([[first], between, [last]])), dtype=float)
