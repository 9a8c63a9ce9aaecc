"""Answers of `advisor predict`, which has two forms, and of `advisor export`."""

from __future__ import annotations

from dataclasses import dataclass, field

from cli.workflows.answers.answer import NO_KEY, Answer, key
from cli.workflows.answers.runs.class_errors import ErrorsByClass


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedClass:
    """A class and its probability.

    Attributes:
        class_index: index of the class.
        name: name of the class, null where the data set has no names.
        probability: mean probability over the members.
    """

    class_index: int = field(metadata=key("class"))
    name: str | None
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedImage:
    """The classes that an ensemble finds most probable for an image.

    Attributes:
        image: file of the image, or its index in the test set.
        label: index of the true class, None where it is not known.
        class_index: index of the most probable class.
        name: name of that class, null where the data set has no names.
        probability: its mean probability over the members.
        second: the second most probable class.
        agree: number of members that name the same class as the ensemble.
    """

    image: str
    label: int | None = field(metadata=NO_KEY)
    class_index: int = field(metadata=key("class"))
    name: str | None
    probability: float
    second: PredictedClass
    agree: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadImage:
    """A file that could not be read as an image.

    Attributes:
        image: name of the file.
        message: reason.
    """

    image: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleAnswer(Answer):
    """An answer of the ensemble of a finished run.

    Attributes:
        run: number of the run.
        design: short name of the design.
        members: number of members that were evaluated.
    """

    run: int
    design: str
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction(EnsembleAnswer):
    """Predicted classes of image files.

    Attributes:
        rows: predictions in the order of the files.
        unread: files that could not be read.
    """

    rows: tuple[PredictedImage, ...]
    unread: tuple[UnreadImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSetPrediction(EnsembleAnswer):
    """Errors on a test set, as shares between 0 and 1.

    Attributes:
        rows: predictions in the order of the test set.
        dataset: name of the data set.
        images: number of test images.
        test_error: error of the averaged probabilities.
        member_errors: error of each member.
        by_class: errors by class and the confusion matrix.
    """

    rows: tuple[PredictedImage, ...] = field(metadata=NO_KEY, repr=False)
    dataset: str
    images: int
    test_error: float
    member_errors: tuple[float, ...]
    by_class: ErrorsByClass = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export(EnsembleAnswer):
    """An ensemble in one file, and the check of that file.

    Attributes:
        format: ``onnx``, ``pt2`` or ``safetensors``.
        file: path of the file.
        bytes: size of the file.
        checked_by: program that read the file back.
        checked_images: number of test images on which file and ensemble were compared.
        test_images: number of test images in all.
        max_difference: largest difference between two probabilities of file and ensemble.
        input: shape and preparation of the images that the file takes.
    """

    format: str
    file: str
    bytes: int
    checked_by: str
    checked_images: int
    test_images: int
    max_difference: float
    input: str
