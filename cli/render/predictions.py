"""Predictions and exported files, as text for a person."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from cli.render.evaluation.class_errors import errors_by_class
from cli.render.formats import percent, size, table
from cli.workflows.answers.runs.prediction import (
    Export,
    PredictedClass,
    PredictedImage,
    Prediction,
    TestSetPrediction,
)


def prediction(answer: Prediction | TestSetPrediction) -> RenderableType:
    """Return the predicted classes of files, or the errors on a test set."""
    return _image_files(answer) if isinstance(answer, Prediction) else _test_set(answer)


def _image_files(answer: Prediction) -> RenderableType:
    """Return a row for each image: its two most probable classes, and the number of members that agree."""
    return table(
        f"run {answer.run}: {answer.design}",
        [("image", "l"), ("class", "l"), ("probability", "r"), ("second best", "l"), ("agree", "r")],
        [
            [
                row.image,
                _name(row),
                percent(row.probability),
                f"{_name(row.second)} ({percent(row.second.probability)})",
                f"{row.agree} of {answer.members}",
            ]
            for row in answer.rows
        ],
    )


def _name(found: PredictedClass | PredictedImage) -> str:
    return str(found.class_index) if found.name is None else found.name


def _test_set(answer: TestSetPrediction) -> RenderableType:
    """Return the errors of the ensemble, of its members and of every class on a test set."""
    errors = ", ".join(map(percent, answer.member_errors))
    head = Text(
        f"run {answer.run}: {answer.design} on {answer.images:,} test images of {answer.dataset}\n"
        f"test error {percent(answer.test_error)}; members {errors}"
    )
    return Group(head, "", errors_by_class(answer.by_class))


def export(answer: Export) -> RenderableType:
    """Return the file that was written, and the outcome of its check."""
    return Text(
        f"{answer.file}: {answer.members} members of run {answer.run} as {answer.format}, "
        f"{size(answer.bytes)}\n{answer.checked_by} read it back: on {answer.checked_images} of "
        f"{answer.test_images:,} test images its probabilities differ by at most "
        f"{answer.max_difference:.1e}\n"
        f"It takes images as {answer.input}."
    )
