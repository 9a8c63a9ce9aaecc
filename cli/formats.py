"""How figures and tables look; everything inside the program is SI and plain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

Plain = dict[str, Any]


def show(renderable: RenderableType) -> None:
    """Print on stdout, with colour on a terminal unless NO_COLOR says otherwise."""
    Console(highlight=False).print(renderable)


def count(value: float) -> str:
    """Parameters and MACs: 1.25M."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """Seconds in a readable unit."""
    for limit, unit, suffix in ((172800, 86400, "d"), (7200, 3600, "h"), (120, 60, "min"), (1, 1, "s")):
        if seconds >= limit:
            return f"{seconds / unit:.3g} {suffix}"
    return f"{seconds * 1000:.3g} ms"


def size(value: float) -> str:
    """Bytes in a readable unit."""
    for limit, suffix in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= limit:
            return f"{value / limit:.3g} {suffix}"
    return f"{value:.0f} B"


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{100 * share:.2f} %" if share < 0.1 else f"{100 * share:.1f} %"


def interval(estimate: Plain | None, form: Callable[[float], str]) -> str:
    """Mean and, on a second line, the interval; a dash where there is no estimate."""
    return "–" if estimate is None else f"{form(estimate['mean'])}\n{spread(estimate, form)}"


def spread(estimate: Plain, form: Callable[[float], str]) -> str:
    """The interval of an estimate, its unit written once if both ends have the same."""
    low, high = form(estimate["low"]), form(estimate["high"])
    number, _, unit = low.partition(" ")
    return f"{number}–{high}" if unit and high.endswith(f" {unit}") else f"{low}–{high}"


def table(title: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> Table:
    """A plain table.

    Args:
        title: above it; may be empty.
        columns: name and side (l or r) of each.
        rows: cells.
    """
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None)
    for name, side in columns:
        drawn.add_column(name, justify="right" if side == "r" else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    return drawn


def or_dash(value: float | None, form: Callable[[float], str]) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None else form(value)
