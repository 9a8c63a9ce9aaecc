"""A single network and the ensembles of its size as a picture: every metric against the number of members."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from advisor.estimate import Estimate
from cli.render.formats import duration, size
from cli.render.picture import empty_figure, save
from cli.workflows.answers.examine.class_comparison import (
    ComparedKind,
    EquivalentComparison,
    SizedDesign,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Width and height of a panel in inches.
PANEL, HEIGHT = 3.9, 3.1
# Colours of Okabe and Ito, and markers that differ without colour.
STYLES = {
    ComparedKind.WIDTH_EQUIVALENT: ("#E69F00", "s", "width-equivalent"),
    ComparedKind.DEPTH_EQUIVALENT: ("#0072B2", "o", "depth-equivalent"),
    ComparedKind.BEST: ("#009E73", "D", "best of any depth"),
}
Figure = Callable[[SizedDesign], Estimate | None]
Panel = tuple[str, Figure, Callable[[float], str]]
ERROR: Panel = ("test error in %", lambda d: d.test_error.scaled(100), "{:g}".format)
LAYERS: Panel = ("layers of all members", lambda d: Estimate.exact(d.layers), "{:g}".format)
COSTS: tuple[Panel, ...] = (
    ("an epoch of every member", lambda d: d.epoch_seconds, duration),
    ("latency of an image", lambda d: d.inference_ms_per_image, lambda ms: duration(ms / 1000)),
    ("memory to train", lambda d: d.train_peak_bytes, size),
)


def plot(answer: EquivalentComparison, path: Path) -> None:
    """Draw the answer of `advisor equivalents --compare` to a PNG or SVG file.

    Raises:
        StorageError: a file that cannot be written.
    """
    measured = answer.single.epoch_seconds is not None
    panels = (ERROR, *COSTS) if measured else (ERROR, LAYERS)
    rows = len(panels) // 2
    figure = empty_figure(2 * PANEL, rows * HEIGHT + 0.9)
    grid = np.atleast_1d(figure.subplots(rows, 2, sharex=True)).flat
    for axes, panel in zip(grid, panels, strict=True):
        _panel(axes, answer, panel)
    plan = answer.plan
    figure.suptitle(
        f"{plan.design} and k members of its size\n{plan.epochs} epochs of {plan.dataset}, 90 % intervals",
        fontsize=12,
    )
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    save(figure, path, "the comparison")


def _panel(axes: Axes, answer: EquivalentComparison, panel: Panel) -> None:
    """Draw one metric of every class against the number of members, the single network as a line."""
    from matplotlib.ticker import LogLocator, NullLocator

    label, figure, form = panel
    own = figure(answer.single)
    if own is not None:
        axes.axhline(own.mean, color="black", linestyle="dashed", linewidth=1.2, label="single network")
        axes.axhspan(own.low, own.high, color="black", alpha=0.06, linewidth=0)
    for kind, (colour, marker, name) in STYLES.items():
        found = [(d.members, e) for d in answer.by_members if d.kind is kind if (e := figure(d)) is not None]
        if not found:
            continue
        members = [k for k, _ in found]
        axes.plot(members, [e.mean for _, e in found], color=colour, marker=marker, markersize=4, label=name)
        axes.fill_between(
            members, [e.low for _, e in found], [e.high for _, e in found], color=colour, alpha=0.12
        )
    axes.set_title(label, fontsize=10)
    axes.set_xlabel("members k")
    axes.set_xticks(range(2, 17, 2))
    if panel in COSTS:
        axes.set_yscale("log")
        # Memory is counted in powers of 2.
        ticks = LogLocator(base=2) if form is size else LogLocator(subs=(1, 2, 5))
        axes.yaxis.set_major_locator(ticks)
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: form(value))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
