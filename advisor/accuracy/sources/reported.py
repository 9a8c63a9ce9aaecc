"""Trainings of other programs, reported in a CSV file with one row for each training.

Format: line 1 is the header; errors are shares between 0 and 1; lists are joined by semicolons. An optional
column may be missing, and its cells may be empty. `ReportedTraining` explains the columns that are stored.
`benchmarks/advice_train.py` writes such files.

A file is read completely or not at all: the first mistake is an error that names file, line, rule and remedy.
"""

from __future__ import annotations

import csv
import difflib
import io
from dataclasses import dataclass

from advisor.accuracy.sources.csv_cells import (
    LONGEST_TEXT,
    Row,
    day,
    is_filled,
    number,
    parsed,
    share,
    shares,
    text_of,
    whole_number,
)
from advisor.designs.clustering import clusters_of
from advisor.designs.design import Design, parse_design
from advisor.errors import DataError, lookup
from advisor.names import check_line
from advisor.networks.architecture import lower
from advisor.networks.layers import Task
from advisor.plans.dataset import DATASETS, Augmentation, DatasetFacts
from advisor.plans.schedule import MOST_EPOCHS

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
# In the order in which `benchmarks/trainings/grid_runner.py` writes them. `validation_images`,
# `errors_by_members`, the two curves and `weight_decay` are stored; the other columns serve the evaluation of
# the grids.
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
    "weight_decay",
    "nll",
    "calibration_error",
    "member_nlls",
)
CURVES = ("member_curve", "ensemble_curve")
# Fields whose cell is their text, and those whose cell is a list.
_AS_TEXT = (
    "train_images",
    "test_images",
    "design",
    "epochs",
    "batch",
    "seed",
    "error",
    "date",
    "weight_decay",
)
_LISTS = ("member_errors", "errors_by_members", *CURVES)
# Limits far beyond any data set or seed, and within the 64 bits of SQLite's integers.
MOST_IMAGES = 10**10
MOST_CLASSES = 10**6
MOST_SEED = 2**63 - 1
# Least and largest multiple of a recipe's weight decay. No weight decay at all has no logarithm.
WEIGHT_DECAYS = (1e-6, 1e6)
# Errors in a file may be rounded to four digits after the point.
ROUNDING = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedTraining:
    """A training that a file reports.

    Attributes:
        dataset: name of the data set.
        task: input shape and classes.
        augmentation: augmentation of the training batches.
        train_images: number of training images.
        test_images: number of test images.
        design: short name of the design, with its clusters.
        epochs: epochs of a network that is trained from scratch.
        batch: images in a step.
        seed: random seed of the training.
        error: test error of the ensemble, share.
        member_errors: test error of each member, shares, in the order of the design.
        device: device that the training ran on, in words.
        date: date of the training, ISO 8601.
        validation_images: number of validation images that the curves are counted on; None if unknown.
        errors_by_members: test errors of the average of the first one, two, … members, shares; the last is
            `error` up to rounding. None if unknown.
        member_curve: mean validation error of the members after every epoch, shares. Independent members have
            `epochs` values; hatched members have those of their mother and then their own. None if unknown;
            it needs `validation_images`.
        ensemble_curve: validation error of the averaged probabilities, as long as `member_curve`.
        weight_decay: weight decay over that of the family's recipe (`advisor.plans.recipes.table.RECIPES`).
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
    validation_images: int | None = None
    errors_by_members: tuple[float, ...] | None = None
    member_curve: tuple[float, ...] | None = None
    ensemble_curve: tuple[float, ...] | None = None
    weight_decay: float = 1.0

    @property
    def facts(self) -> DatasetFacts:
        """The data set as far as the file describes it."""
        return DatasetFacts(
            name=self.dataset,
            task=self.task,
            train_images=self.train_images,
            validation_images=self.validation_images or 0,
            test_images=self.test_images,
            augmentation=self.augmentation,
            batch=self.batch,
        )


def read_reported(text: str, name: str) -> list[ReportedTraining]:
    """Return the trainings of a CSV file, in the order of its rows.

    Spaces and capitals in the names of columns do not matter. Rows without content and columns without a name
    are passed over.

    Args:
        text: contents of the file.
        name: name of the file, for error messages.

    Raises:
        DataError: a column is missing or unknown, or a value is wrong.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: list[ReportedTraining] = []
    header: list[str] = []
    try:
        for cells in reader:
            # Spreadsheets write rows without content, and as a first line which separator they use.
            if not any(cell.strip() for cell in cells) or (not header and cells[0].startswith("sep=")):
                continue
            if not header:
                header = [name.strip().casefold() for name in cells]
                _check_header(header)
            else:
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


def check_reported(record: ReportedTraining) -> None:
    """Refuse a training that breaks a rule of the files; for records that come from elsewhere.

    Names of data sets and devices may be longer here, because a folder of images is named by its path.

    Args:
        record: training as it was read.

    Raises:
        DataError: a value is wrong.
        UsageError: the name of the data set is not a line of text.
    """
    check_line("data set", record.dataset)
    cells = {
        "dataset": record.dataset if record.dataset in DATASETS else "other",
        "shape": record.task.text,
        "classes": str(record.task.classes),
        "augmentation": record.augmentation.value,
        "clusters": str(parse_design(record.design).clusters),
        "device": "any",
    }
    cells |= {name: str(getattr(record, name)) for name in _AS_TEXT}
    lists = {name: getattr(record, name) for name in _LISTS}
    cells |= {name: ";".join(map(repr, errors)) for name, errors in lists.items() if errors is not None}
    if record.validation_images is not None:
        cells["validation_images"] = str(record.validation_images)
    _reported(list(cells), list(cells.values()))


def _check_header(header: list[str]) -> None:
    columns = (*REQUIRED, *OPTIONAL)
    if len(header) == 1 and any(separator in header[0] for separator in ";\t|"):
        raise DataError("cells must be separated by commas: save the table as CSV with commas")
    for column in filter(None, header):
        if column not in columns:
            close = difflib.get_close_matches(column, columns, n=1)
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
    # A column without a name is the index of a data frame, or what follows a comma at the end of each line.
    row = {name: cell for name, cell in zip(header, cells, strict=True) if name}
    task = _task(row)
    design = _design(row, task)
    test_images = whole_number(row, "test_images", 1, MOST_IMAGES)
    epochs = whole_number(row, "epochs", 1, MOST_EPOCHS)
    error = share(row, "error")
    member_curve, ensemble_curve = _curves(row, design, epochs)
    return ReportedTraining(
        dataset=_dataset(row, task),
        task=task,
        augmentation=parsed(row, "augmentation", lambda text: lookup("augmentation", text, Augmentation)),
        train_images=whole_number(row, "train_images", 1, MOST_IMAGES),
        test_images=test_images,
        design=design.name,
        epochs=epochs,
        batch=whole_number(row, "batch", 2, MOST_IMAGES),
        seed=whole_number(row, "seed", 0, MOST_SEED),
        error=error,
        member_errors=_by_members(row, "member_errors", design),
        device=text_of(row, "device"),
        date=day(row, "date"),
        validation_images=_validation_images(row),
        errors_by_members=_errors_by_members(row, design, error, test_images),
        member_curve=member_curve,
        ensemble_curve=ensemble_curve,
        weight_decay=number(row, "weight_decay", *WEIGHT_DECAYS) if is_filled(row, "weight_decay") else 1.0,
    )


def _by_members(row: Row, column: str, design: Design) -> tuple[float, ...]:
    errors, members = shares(row, column), len(design.members)
    if len(errors) != members:
        raise DataError(
            f"{column} must be one error for each of {members} members, got {len(errors)}: correct the cell"
        )
    return errors


def _errors_by_members(row: Row, design: Design, error: float, test_images: int) -> tuple[float, ...] | None:
    if not is_filled(row, "errors_by_members"):
        return None
    errors = _by_members(row, "errors_by_members", design)
    # The order of summation decides between two classes of equal probability, so one image may differ.
    if abs(errors[-1] - error) > ROUNDING + 1 / test_images:
        raise DataError(
            f"errors_by_members must end with the error of all members, {error:g}, got {errors[-1]:g}: "
            "correct one of the two"
        )
    return errors


def _validation_images(row: Row) -> int | None:
    if is_filled(row, "validation_images"):
        return whole_number(row, "validation_images", 1, MOST_IMAGES)
    for column in CURVES:
        if is_filled(row, column):
            raise DataError(
                f"{column} must have the validation_images that it was measured on, got none: add their "
                "number, or empty the cell"
            )
    return None


def _curves(row: Row, design: Design, epochs: int) -> list[tuple[float, ...] | None]:
    """Return the learning curves in the order of `CURVES`, None for an empty cell."""
    curves = [_curve(row, column, design, epochs) if is_filled(row, column) else None for column in CURVES]
    lengths = [len(curve) for curve in curves if curve]
    if len(set(lengths)) > 1:
        raise DataError(
            f"{' and '.join(CURVES)} must be equally long, got {' and '.join(map(str, lengths))} errors: "
            "correct one of the two"
        )
    return curves


def _curve(row: Row, column: str, design: Design, epochs: int) -> tuple[float, ...]:
    errors = shares(row, column)
    if design.independent and len(errors) != epochs:
        raise DataError(
            f"{column} must be one error for each of {epochs} epochs, got {len(errors)}: correct the cell"
        )
    if not design.independent and len(errors) <= epochs:
        raise DataError(
            f"{column} of hatched members must be the {epochs} errors of a mother and then theirs, got "
            f"{len(errors)}: complete or empty the cell"
        )
    return errors


def _task(row: Row) -> Task:
    classes = whole_number(row, "classes", 2, MOST_CLASSES)
    return parsed(row, "shape", lambda text: Task.parse(text.replace("×", "x"), classes))


def _dataset(row: Row, task: Task) -> str:
    """Return the name of the data set; a built-in data set must have its own shape and classes."""
    name = text_of(row, "dataset")
    built_in = DATASETS.get(name)
    if built_in is not None and built_in.task != task:
        raise DataError(
            f"{name} has images of {built_in.task.text} in {built_in.task.classes} classes, got {task.text} "
            f"and {task.classes}: give other data another name"
        )
    return name


def _design(row: Row, task: Task) -> Design:
    design = parsed(row, "design", lambda text: _buildable(text, task))
    clusters = whole_number(row, "clusters", 1, len(design.members))
    if clusters != design.clusters:
        raise DataError(
            f"clusters must be the {design.clusters} of the design, got {clusters}: write the design with "
            "@g, or correct the cell"
        )
    return design


def _buildable(name: str, task: Task) -> Design:
    """Return the design of a name after a trial of what the predictor does: counting and clustering."""
    design = parse_design(name)
    for member in dict.fromkeys(design.members):
        lower(member, task)
    clusters_of(design)
    return design
