"""Errors by class and the confusion matrix as tables that fit into 80 columns.

Up to `MATRIX_CLASSES` classes, every class has a row and the whole matrix is drawn. With more classes the
worst of them and the most frequent confusions are shown; JSON has all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render.formats import or_dash, percent, table
from cli.workflows.answers.runs.class_errors import Confusion, ErrorOfClass, ErrorsByClass

# Most classes whose matrix is drawn: its columns of up to 5 digits fit into 80 characters.
MATRIX_CLASSES = 12
# Rows of worst classes and of most frequent confusions where there are more classes.
MOST_ROWS = 10
# A name longer than this loses its end, so that two of them stand in one row of 80 characters.
NAME_COLUMNS = 24


def errors_by_class(found: ErrorsByClass) -> RenderableType:
    """Return the error of each class and the confusion matrix, or the worst of both."""
    if len(found.classes) <= MATRIX_CLASSES:
        title = "confusion matrix: true class by row, answer by column"
        return Group(_classes(found.classes, found.confusions), "", _bold(title), _matrix(found))
    worst = sorted((c for c in found.classes if c.wrong), key=lambda c: (-(c.error or 0), -c.wrong))
    if not worst:
        return Text(f"no test image of the {len(found.classes):,} classes is wrong")
    shown, frequent = worst[:MOST_ROWS], found.confusions[:MOST_ROWS]
    return Group(
        _bold(f"{len(shown)} worst of {len(found.classes):,} classes"),
        _classes(shown, found.confusions),
        "",
        _bold(f"{len(frequent)} most frequent of {len(found.confusions):,} confusions"),
        _frequent(frequent),
        Text("All classes and the whole confusion matrix: --json.", style="dim"),
    )


def _bold(title: str) -> Text:
    # The title of a table would be broken at the width of the table.
    return Text(title, style="bold")


def _classes(classes: Sequence[ErrorOfClass], confusions: Sequence[Confusion]) -> Table:
    # The confusions are in order, so the first of a class is its most frequent one.
    first: dict[int, Confusion] = {}
    for confusion in confusions:
        first.setdefault(confusion.class_index, confusion)
    return table(
        "",
        [("class", "l"), ("images", "r"), ("wrong", "r"), ("error", "r"), ("mostly taken for", "l")],
        [
            [
                _label(c.class_index, c.name),
                f"{c.images:,}",
                f"{c.wrong:,}",
                or_dash(c.error, percent),
                _taken_for(first[c.class_index]) if c.class_index in first else "–",
            ]
            for c in classes
        ],
    )


def _taken_for(confusion: Confusion) -> str:
    return f"{_label(confusion.taken_for, confusion.taken_for_name)} ({confusion.images:,})"


def _label(index: int, name: str | None) -> str:
    """Return the index of a class, and as much of its name as there is room for."""
    if name is None or name == str(index):
        return str(index)
    return f"{index} {name if len(name) <= NAME_COLUMNS else name[: NAME_COLUMNS - 1] + '…'}"


def _matrix(found: ErrorsByClass) -> Table:
    """Return the confusion matrix: a row for each true class, a column for each class that is answered."""
    drawn = Table(header_style="bold", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    images: dict[tuple[int, int], int] = defaultdict(int)
    for confusion in found.confusions:
        images[confusion.class_index, confusion.taken_for] = confusion.images
    for c in found.classes:
        images[c.class_index, c.class_index] = c.images - c.wrong
    drawn.add_column("", justify="right", style="bold")
    for c in found.classes:
        drawn.add_column(str(c.class_index), justify="right", no_wrap=True)
    for c in found.classes:
        numbers = (images[c.class_index, answer.class_index] for answer in found.classes)
        drawn.add_row(str(c.class_index), *(str(number) if number else "·" for number in numbers))
    return drawn


def _frequent(confusions: Sequence[Confusion]) -> Table:
    return table(
        "",
        [("class", "l"), ("taken for", "l"), ("images", "r")],
        [
            [_label(c.class_index, c.name), _label(c.taken_for, c.taken_for_name), f"{c.images:,}"]
            for c in confusions
        ],
    )
