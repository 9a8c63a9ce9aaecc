"""Every way to train an ensemble as a picture: error against time, the front, and finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.estimate import Estimate
from advisor.plans.method_traits import CLUSTERED, Method
from cli.render.formats import duration
from cli.render.picture import empty_figure, save
from cli.workflows.answers.examine.frontier import Frontier, FrontierRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Width and height in inches.
SIZE = (7.6, 5.2)
# Colours of Okabe and Ito, with grey for yellow, and markers that differ without colour. Their numbers have
# no common divisor, so 72 methods would look different.
COLOURS = ("#000000", "#E69F00", "#D55E00", "#009E73", "#56B4E9", "#0072B2", "#CC79A7", "#888888")
MARKERS = ("s", "^", "v", "D", "P", "o", "h", "X", "*")
STYLES = {method: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, method in enumerate(Method)}


def plot(answer: Frontier, path: Path) -> None:
    """Draw the answer of `advisor frontier` to a PNG or SVG file.

    Raises:
        StorageError: a file that cannot be written.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    figure = empty_figure(*SIZE)
    axes = figure.subplots()
    plan, measured = answer.plan, any(row.train_seconds for row in answer.rows)
    for method in dict.fromkeys(row.method for row in answer.rows):
        _method(axes, method, [row for row in answer.rows if row.method is method])
    _front(axes, [row for row in answer.rows if row.on_front])
    _finished(axes, answer.rows)
    axes.set_xscale("log")
    axes.set_xlabel("training time" if measured else "training time over that of full data, by a formula")
    axes.set_ylabel("test error in %")
    if measured:
        axes.xaxis.set_major_formatter(lambda seconds, _: duration(seconds))
        axes.tick_params(axis="x", labelsize=8)
    else:
        axes.xaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}")
    # One decade may be all there is: 1, 2 and 5 of each have a label.
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    figure.suptitle(
        f"{plan.design}: every g and every method\n{plan.epochs} epochs of {plan.dataset}, 90 % intervals",
        fontsize=12,
    )
    figure.legend(loc="outside right upper", fontsize=8)
    save(figure, path, "the frontier")


def _time(row: FrontierRow) -> Estimate:
    return row.time_over_full_data if row.train_seconds is None else row.train_seconds


def _method(axes: Axes, method: Method, rows: Sequence[FrontierRow]) -> None:
    """Draw the rows of a method with their intervals; numbers of clusters are joined by a line."""
    colour, marker = STYLES[method]
    times, errors = [_time(row) for row in rows], [row.test_error.scaled(100) for row in rows]
    axes.errorbar(
        [t.mean for t in times],
        [e.mean for e in errors],
        xerr=[[t.mean - t.low for t in times], [t.high - t.mean for t in times]],
        yerr=[[e.mean - e.low for e in errors], [e.high - e.mean for e in errors]],
        color=colour,
        marker=marker,
        elinewidth=0.6,
        linewidth=1.2 if len(rows) > 1 else 0,
        label=method.replace("_", " "),
    )
    if method in CLUSTERED:
        for row, time, error in zip(rows, times, errors, strict=True):
            axes.annotate(
                f"g={row.clusters}",
                (time.mean, error.mean),
                textcoords="offset points",
                xytext=(5, 5),
                fontsize=7,
                color=colour,
            )


def _front(axes: Axes, rows: Sequence[FrontierRow]) -> None:
    """Draw the front as steps: the least error that each time buys."""
    inside = sorted(rows, key=lambda row: _time(row).mean)
    axes.step(
        [_time(row).mean for row in inside],
        [100 * row.test_error.mean for row in inside],
        where="post",
        color="black",
        linestyle="dotted",
        linewidth=1,
        label="front",
    )


def _finished(axes: Axes, rows: Sequence[FrontierRow]) -> None:
    """Draw finished runs as crosses in the colours of their methods."""
    label = "finished run"
    for row in rows:
        for run in row.runs:
            if run.train_seconds is None or row.train_seconds is None:
                continue
            axes.plot(
                run.train_seconds,
                100 * run.test_error,
                color=STYLES[row.method][0],
                marker="x",
                markersize=9,
                markeredgewidth=2,
                linestyle="none",
                label=label,
            )
            label = "_nolegend_"
