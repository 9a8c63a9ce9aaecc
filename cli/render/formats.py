"""The text of figures and tables. Inside the program figures are plain numbers in SI units."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.console import Shortened, results
from cli.streams import writing
from cli.workflows.answers.answer import Answer

if TYPE_CHECKING:
    # The module imports numpy, which would slow `runs list` down.
    from advisor.estimate import Estimate

# Numbers from here on round to four digits, so the next unit is easier to read.
BEYOND_THREE_DIGITS = 999.5
# Relative tolerance: thresholds are interpolated in logarithms, which moves the ends of a grid by rounding.
ROUNDING = 1e-6
# Width of a design's name in a table, in characters.
DESIGN_COLUMNS = 20


def show(renderable: RenderableType) -> None:
    """Print on stdout, with colour on a terminal unless NO_COLOR is set.

    Raises:
        StorageError: standard output cannot be written.
        ReaderGoneError: nobody reads it any more.
    """
    with writing():
        results().print(renderable)


def digits(value: float) -> str:
    """Return a number with three significant digits; a larger one with all digits and without an exponent."""
    return f"{value:,.0f}" if value >= BEYOND_THREE_DIGITS else f"{value:.3g}"


def count(value: float) -> str:
    """Return a number of parameters or MACs: 1.25M."""
    for unit, below, suffix in ((1e9, 1e6, "G"), (1e6, 1e3, "M"), (1e3, 1, "k")):
        if value >= BEYOND_THREE_DIGITS * below:
            return f"{digits(value / unit)}{suffix}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """Return a time in a readable unit."""
    least_second = BEYOND_THREE_DIGITS / 1000
    for limit, unit, suffix in (
        (172800, 86400, "d"),
        (7200, 3600, "h"),
        (120, 60, "min"),
        (least_second, 1, "s"),
    ):
        if seconds >= limit:
            return f"{digits(seconds / unit)} {suffix}"
    return f"{digits(seconds * 1000)} ms"


def size(value: float) -> str:
    """Return a number of bytes in a readable unit: 1,020 MiB are 0.996 GiB."""
    for power, suffix in ((40, "TiB"), (30, "GiB"), (20, "MiB")):
        if value >= BEYOND_THREE_DIGITS * 2 ** (power - 10):
            return f"{digits(value / 2**power)} {suffix}"
    return f"{digits(value / 2**10)} KiB" if value >= 2**10 else f"{value:.0f} B"


def dollars(value: float) -> str:
    """Return an amount in USD without the unit: with cents, or with three digits below one dollar."""
    return f"{value:,.2f}" if value >= 1 else f"{value:.3g}"


def usd_line(cost: Estimate | None) -> str:
    """Return a further line of a cell on the time of training: its cost; empty where there is no price."""
    return "" if cost is None else f"\n{dollars(cost.mean)} USD"


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.2f} %" if share < 0.1 else f"{100 * share:.1f} %"


def deviation(share: float) -> str:
    """Return a relative deviation as a percentage with its sign: +9.1 %."""
    return f"{100 * share:+.1f} %" if abs(share) < 1 else f"{100 * share:+,.0f} %"


def design_lines(name: str) -> str:
    """Return the name of a design for a table; the name of a mixture is broken between its members."""
    lines = [""]
    for member in name.replace("+", "+\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(member) > DESIGN_COLUMNS:
            lines.append(member)
        else:
            lines[-1] += member
    return "\n".join(lines)


def interval(estimate: Estimate | None, form: Callable[[float], str]) -> str:
    """Return the mean and, on a second line, the interval; a dash where there is no estimate."""
    if estimate is None:
        return "–"
    return f"{form(estimate.mean)}\n{bounds(estimate, form)}"


def epochs_text(epochs: int, patience: int | None) -> str:
    """Return the length of a training, fixed or at most, in words."""
    return f"{epochs} epochs" if patience is None else f"at most {epochs} epochs ({patience} without a gain)"


def bounds(estimate: Estimate, form: Callable[[float], str]) -> str:
    """Return the interval of an estimate, with the unit written once if both ends have the same."""
    low, high = form(estimate.low), form(estimate.high)
    number, _, unit = low.partition(" ")
    return f"{number}–{high}" if unit and high.endswith(f" {unit}") else f"{low}–{high}"


def bounded(value: float | None, least: float, most: float, form: Callable[[float], str]) -> str:
    """Return a threshold; one at an end of the searched range, or beyond it, is marked ≤ or >.

    Args:
        value: threshold; None for one beyond the largest.
        least: smallest threshold that could be found.
        most: largest threshold that could be found.
        form: text of a figure.
    """
    if value is not None and value <= least * (1 + ROUNDING):
        return f"≤{form(least)}"
    return f">{form(most)}" if value is None or value >= most * (1 - ROUNDING) else form(value)


def table(
    title: str,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[str]],
    shortened: Collection[str] = (),
) -> Table:
    """Return a plain table.

    Args:
        title: text above the table; may be empty.
        columns: name and alignment (l or r) of each column.
        rows: cells of each row.
        shortened: names of columns whose cells lose their middle where a row is too long for a line; all
            others keep their width then. Without any, long cells are broken.
    """
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None)
    gives_way = [name in shortened for name, _ in columns]
    for (name, side), short in zip(columns, gives_way, strict=True):
        drawn.add_column(
            name,
            justify="right" if side == "r" else "left",
            overflow="fold",
            no_wrap=bool(shortened) and not short,
        )
    for row in rows:
        # Names of files and messages may have brackets, which rich would read as markup.
        drawn.add_row(
            *(Shortened(cell) if short else Text(cell) for cell, short in zip(row, gives_way, strict=True))
        )
    return drawn


def tight_table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table with one space between its columns, for many columns of intervals; cells are broken.

    Args:
        columns: name and alignment (l or r) of each column.
        rows: cells of each row.
    """
    drawn = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for name, side in columns:
        drawn.add_column(name, justify="right" if side == "r" else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    return drawn


def or_dash(value: float | None, form: Callable[[float], str]) -> str:
    """Return a figure, or a dash where there is none."""
    return "–" if value is None else form(value)


def facts(answer: Answer) -> RenderableType:
    """Return an answer as one line for each key."""
    lines = (f"{key}: {value}" for key, value in answer.to_json().items() if key != "schema_version")
    return Group(*map(Text, lines))
