"""The answer of `advisor data`: a data set as it is before anything is trained on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cli.workflows.answers.answer import Answer


class SimpleClassifier(StrEnum):
    """A classifier that takes seconds."""

    NEIGHBOURS = "nearest neighbours of pixels"
    LINEAR = "linear in pixels"
    PATCHES = "linear in patches"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSize:
    """A class and its number of images.

    Attributes:
        name: name of the class, or its number where classes have no names.
        images: number of images to train on, validation images among them.
    """

    name: str
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedImages:
    """Numbers of images whose pixels occur more than once.

    Images to train on are those of training and validation.

    Attributes:
        repeated: images to train on that are copies of another one there.
        contradicting: images to train on whose pixels also occur there with another label.
        validation_in_training: validation images that are also training images.
        test_in_training: test images that are also images to train on.
        test_mislabelled: test images that are also images to train on, with another label in each copy.
    """

    repeated: int
    contradicting: int
    validation_in_training: int
    test_in_training: int
    test_mislabelled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleError:
    """Error of a simple classifier on validation images.

    Attributes:
        classifier: kind of classifier.
        error: share of validation images that it got wrong.
        standard_error: standard error of that share.
        neighbours: number of neighbours, chosen on the same images; null for other classifiers.
    """

    classifier: SimpleClassifier
    error: float
    standard_error: float
    neighbours: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedError:
    """Test error that a network with a whole schedule is expected to have, before any training.

    Attributes:
        median: median of the error, a share.
        low, high: ends of the 90 % interval.
        log_std: standard deviation of the logarithm of the error.
    """

    median: float
    low: float
    high: float
    log_std: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DataLook(Answer):
    """A data set as it is before anything is trained on it.

    Attributes:
        dataset: name of the data set.
        input: channels x height x width of an image.
        classes: number of classes.
        train_images, validation_images, test_images: sizes of the three splits.
        rarest: class with the fewest images to train on.
        most_frequent: class with the most images to train on.
        repeated: images with equal pixels.
        chance_error: error of always answering the most frequent class.
        simple: errors of the simple classifiers.
        sampled_train_images: number of training images that the simple classifiers learned from.
        sampled_validation_images: number of validation images that they were measured on.
        expected: test error that a network is expected to have.
        warnings: what a user may not expect of the data, one line each.
        seconds: time of the look, in seconds, without reading the files.
    """

    dataset: str
    input: str
    classes: int
    train_images: int
    validation_images: int
    test_images: int
    rarest: ClassSize
    most_frequent: ClassSize
    repeated: RepeatedImages
    chance_error: float
    simple: tuple[SimpleError, ...]
    sampled_train_images: int
    sampled_validation_images: int
    expected: ExpectedError
    warnings: tuple[str, ...]
    seconds: float
