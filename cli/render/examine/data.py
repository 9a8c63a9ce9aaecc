"""A look at a data set for a person: sizes and classes, errors before any training, and warnings."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cli.render.formats import duration, percent, table
from cli.workflows.answers.examine.data import DataLook, SimpleClassifier, SimpleError

INDENT = 2


def data_look(answer: DataLook) -> RenderableType:
    """Return sizes, classes, errors and warnings of a data set."""
    return Group(
        Text(f"{answer.dataset}: {answer.classes:,} classes, images {answer.input}", style="bold"),
        *map(Text, _facts(answer)),
        "",
        _errors(answer),
        Text(
            f"Simple classifiers: {answer.sampled_train_images:,} training and "
            f"{answer.sampled_validation_images:,} validation images, no test image; ± standard error. "
            "Network: 90 % interval.",
            style="dim",
        ),
        *_warnings(answer),
        Text(f"looked in {duration(answer.seconds)}", style="dim"),
    )


def _facts(answer: DataLook) -> Iterator[str]:
    yield (
        f"{answer.train_images:,} training, {answer.validation_images:,} validation and "
        f"{answer.test_images:,} test images"
    )
    rarest, most = answer.rarest, answer.most_frequent
    if rarest.images == most.images:
        yield f"every class has {most.images:,} images to train on"
    else:
        yield (
            f"to train on, the rarest class ({rarest.name}) has {rarest.images:,} images, the most frequent "
            f"({most.name}) {most.images:,}"
        )
    yield f"copies among the images to train on: {answer.repeated.repeated:,}"


def _errors(answer: DataLook) -> Table:
    expected = answer.expected
    rows = [["always the most frequent class", percent(answer.chance_error), ""]]
    rows += [[_name(e), percent(e.error), f"± {percent(e.standard_error)}"] for e in answer.simple]
    rows.append(
        [
            "expected of a network, whole schedule",
            percent(expected.median),
            f"{percent(expected.low)} to {percent(expected.high)}",
        ]
    )
    return table("Before any training", [("classifier", "l"), ("error", "r"), ("", "l")], rows)


def _name(error: SimpleError) -> str:
    if error.classifier is not SimpleClassifier.NEIGHBOURS:
        return error.classifier.value
    return f"nearest {'neighbour' if error.neighbours == 1 else f'{error.neighbours} neighbours'}, pixels"


def _warnings(answer: DataLook) -> Iterator[RenderableType]:
    if answer.warnings:
        yield ""
        yield Text("To know", style="bold")
    for warning in answer.warnings:
        yield Padding(Text(warning), (0, 0, 0, INDENT), expand=False)
