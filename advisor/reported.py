"""Trainings that were done elsewhere and reported in a CSV file, one row a training.

`benchmarks/advice_train.py` writes such files; any other program may. A file is read as a whole or refused:
the first thing that is wrong is named with its file, line, rule and remedy. Errors are shares between 0 and
1, lists are joined by semicolons, line 1 is the header.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from advisor.architecture import lower
from advisor.clustering import clusters_of
from advisor.dataset import DATASETS, Augmentation, augmentation_named
from advisor.design import Design, parse_design
from advisor.errors import AdvisorError, DataError
from advisor.layers import Task
from advisor.schedule import MOST_EPOCHS

T = TypeVar("T")

# Columns that are stored.
REQUIRED = (
    "dataset",
    "shape",
    "classes",
    "augmentation",
    "train_images",
    "test_images",
    "design",
    "clusters",
    "epochs",
    "batch",
    "seed",
    "error",
    "member_errors",
    "device",
    "date",
)
# Columns that `benchmarks/advice_train.py` writes for its own evaluation; nothing is stored of them.
OPTIONAL = (
    "validation_images",
    "budget",
    "class",
    "parameters",
    "oracle_error",
    "disagreement",
    "errors_by_members",
    "ensemble_curve",
    "member_curve",
    "network_seconds",
    "core_seconds",
    "makespan_seconds",
    "torch",
)
# Far beyond any data set or seed, and well within SQLite's 64 bits.
MOST_IMAGES = 10**10
MOST_CLASSES = 10**6
MOST_SEED = 2**63 - 1
LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedTraining:
    """A training that a file reports.

    Attributes:
        dataset: name.
        task: input and classes.
        augmentation: of training batches.
        train_images, test_images: sizes of the splits.
        design: short name with its clusters.
        epochs: schedule of a network from scratch.
        batch: images in a step.
        seed: of the training.
        error: of the ensemble on the test images, share.
        member_errors: of each member, in the order of the design.
        device: that it ran on, in words.
        date: when, ISO 8601.
    """

    dataset: str
    task: Task
    augmentation: Augmentation
    train_images: int
    test_images: int
    design: str
    epochs: int
    batch: int
    seed: int
    error: float
    member_errors: tuple[float, ...]
    device: str
    date: str


def read_reported(text: str, name: str) -> list[ReportedTraining]:
    """Return the trainings of a CSV file, in its order.

    Args:
        text: of the file.
        name: of the file, for the wording.

    Raises:
        DataError: a column or a value is wrong.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: list[ReportedTraining] = []
    header: list[str] = []
    try:
        for cells in reader:
            if not header:
                header = cells
                _check_header(header)
            elif cells:
                found.append(_reported(header, cells))
        if not found:
            raise DataError("a table of trainings has a header and at least one row: write the rows first")
    except csv.Error as error:
        raise DataError(
            f"{name}, line {max(reader.line_num, 1)}: the row must be CSV ({error}): mend or remove it"
        ) from None
    except DataError as error:
        raise DataError(f"{name}, line {max(reader.line_num, 1)}: {error}") from None
    return found


def _check_header(header: list[str]) -> None:
    known = (*REQUIRED, *OPTIONAL)
    for column in header:
        if column not in known:
            close = difflib.get_close_matches(column, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "remove it"
            raise DataError(f"unknown column {column[:LONGEST_TEXT]!r}: {hint}")
        if header.count(column) > 1:
            raise DataError(f"the column {column!r} must stand there once: remove the other")
    missing = [column for column in REQUIRED if column not in header]
    if missing:
        raise DataError(f"the column {missing[0]!r} is missing: add it (all of {', '.join(REQUIRED)})")


def _reported(header: list[str], cells: list[str]) -> ReportedTraining:
    if len(cells) != len(header):
        raise DataError(
            f"a row must have the {len(header)} cells of the header, got {len(cells)}: complete or remove it"
        )
    row = dict(zip(header, cells, strict=True))
    task = _task(row)
    design = _design(row, task)
    errors = tuple(_share(text, "member_errors") for text in row["member_errors"].split(";"))
    if len(errors) != len(design.members):
        raise DataError(
            f"member_errors must be one error for each of {len(design.members)} members, got {len(errors)}: "
            "correct the cell"
        )
    return ReportedTraining(
        dataset=_dataset(row, task),
        task=task,
        augmentation=_told("augmentation", row, augmentation_named),
        train_images=_whole(row, "train_images", 1, MOST_IMAGES),
        test_images=_whole(row, "test_images", 1, MOST_IMAGES),
        design=design.name,
        epochs=_whole(row, "epochs", 1, MOST_EPOCHS),
        batch=_whole(row, "batch", 2, MOST_IMAGES),
        seed=_whole(row, "seed", 0, MOST_SEED),
        error=_share(row["error"], "error"),
        member_errors=errors,
        device=_text(row, "device"),
        date=_date(row),
    )


def _task(row: Mapping[str, str]) -> Task:
    classes = _whole(row, "classes", 2, MOST_CLASSES)
    return _told("shape", row, lambda text: Task.parse(text, classes))


def _dataset(row: Mapping[str, str], task: Task) -> str:
    """Name of the data set; one that the program knows must be the one that it knows."""
    name = _text(row, "dataset")
    known = DATASETS.get(name)
    if known is not None and known.task != task:
        raise DataError(
            f"{name} has images of {known.task.text} in {known.task.classes} classes, got {task.text} and "
            f"{task.classes}: give other data another name"
        )
    return name


def _design(row: Mapping[str, str], task: Task) -> Design:
    design = _told("design", row, lambda text: _buildable(text, task))
    clusters = _whole(row, "clusters", 1, len(design.members))
    if clusters != design.clusters:
        raise DataError(
            f"clusters must be the {design.clusters} of the design, got {clusters}: write the design with "
            "@g, or correct the cell"
        )
    return design


def _buildable(name: str, task: Task) -> Design:
    """Read a design and do with it what the predictor will: count its members and cluster them."""
    design = parse_design(name)
    for member in dict.fromkeys(design.members):
        lower(member, task)
    clusters_of(design)
    return design


def _told(column: str, row: Mapping[str, str], read: Callable[[str], T]) -> T:
    """Read a cell; what is wrong is told with the column's name."""
    try:
        return read(_text(row, column))
    except DataError:
        raise
    except AdvisorError as error:
        raise DataError(f"{column}: {error}") from None


def _text(row: Mapping[str, str], column: str) -> str:
    text = row[column]
    # A design of many members is long; no other text is.
    longest = 100 * LONGEST_TEXT if column == "design" else LONGEST_TEXT
    if not text.strip() or not text.isprintable() or len(text) > longest:
        raise DataError(
            f"{column} must be 1 to {longest} printable characters, got {text[:40]!r}: correct the cell"
        )
    return text.strip()


def _whole(row: Mapping[str, str], column: str, least: int, most: int) -> int:
    text = row[column].strip()
    # As ASCII digits: int() also reads 1_000, and takes long over millions of digits.
    if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise DataError(
        f"{column} must be a whole number between {least} and {most}, got {text[:40]!r}: correct the cell"
    )


def _share(text: str, column: str) -> float:
    try:
        value = float(text) if len(text) <= LONGEST_TEXT else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise DataError(
            f"{column} must be a share between 0 and 1, got {text[:40]!r}: write 0.153 for 15.3 percent"
        )
    return value


def _date(row: Mapping[str, str]) -> str:
    try:
        return date.fromisoformat(row["date"].strip()).isoformat()
    except ValueError:
        raise DataError(
            f"date must be a day as 2026-01-31, got {row['date'][:40]!r}: correct the cell"
        ) from None
