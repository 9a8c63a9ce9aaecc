"""`advisor data`: a data set as it is before anything is trained on it, and what to beware of."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from advisor.accuracy.data_level import Look, objects_move
from advisor.errors import StorageError
from cli.quantities import check_seed
from cli.workflows.answers.examine.data import (
    ClassSize,
    DataLook,
    ExpectedError,
    RepeatedImages,
    SimpleClassifier,
    SimpleError,
)
from cli.workflows.answers.examine.parts import fields_of
from cli.workflows.forecast.level import counted_errors, look_of
from cli.workflows.home import Home
from cli.workflows.names import facts_of
from cli.workflows.views import Said, Say
from db.session import open_store
from trainer.data.loading import Data, load_new_data
from trainer.data.look.classifiers import SimpleErrors
from trainer.data.look.duplicates import Duplicates, find_duplicates

# A class with fewer images to train on is mentioned.
FEW_IMAGES = 20
# Standard errors by which a simple classifier must be better than guessing.
BETTER_BY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """The options of `advisor data`.

    Attributes:
        dataset: name of the data set.
        resize: size that the images of a folder are scaled to cover and cropped to; None for none.
        skip_damaged: whether damaged files of a folder are left out.
        download: whether a missing data set is fetched.
        seed: random seed of the sample and of the simple classifiers.
    """

    dataset: str
    resize: str | None = None
    skip_damaged: bool = False
    download: bool = False
    seed: int = 0


def look_at(request: DataRequest, home: Home, say: Say) -> DataLook:
    """Return what can be known of a data set in seconds, without training a network on it.

    The database keeps the errors of the simple classifiers for later forecasts. Where it refuses, the answer
    says so and is whole otherwise.

    Args:
        request: options of the command.
        home: home of the database and of downloaded data sets, whose cache keeps the headers of images.
        say: receiver of progress messages.

    Raises:
        UsageError: a size or a seed that cannot be read, or an option of folders for another data set.
        UnknownNameError: no such data set.
        DataError: files are missing or damaged, or a class has too few images.
    """
    check_seed(request.seed)
    remarks: list[str] = []

    def remark(said: Said) -> None:
        remarks.append(str(said))

    facts = facts_of(
        request.dataset, resize=request.resize, skip_damaged=request.skip_damaged, home=home, say=remark
    )
    say(f"reading {facts.name}")
    data = load_new_data(facts, home.data, download=request.download)
    began = time.perf_counter()
    duplicates = find_duplicates(data)
    errors = counted_errors(data, request.seed)
    look, seconds = look_of(data.facts, errors, request.seed), time.perf_counter() - began
    try:
        with open_store(home.database) as store:
            store.add_look(look)
    except StorageError as refused:
        remark(f"not kept for forecasts: {refused}")
    return _answer(data, duplicates, errors, look, remarks, seconds)


def _answer(
    data: Data,
    duplicates: Duplicates,
    errors: SimpleErrors,
    look: Look,
    remarks: list[str],
    seconds: float,
) -> DataLook:
    facts, sizes = data.facts, _class_sizes(data)
    rarest, most = min(sizes, key=lambda c: c.images), max(sizes, key=lambda c: c.images)
    chance = 1 - most.images / sum(size.images for size in sizes)
    level = look.level(facts, facts.train_images).error
    low, high = level.interval
    return DataLook(
        dataset=facts.name,
        input=facts.task.text,
        classes=facts.task.classes,
        train_images=facts.train_images,
        validation_images=facts.validation_images,
        test_images=facts.test_images,
        rarest=rarest,
        most_frequent=most,
        repeated=RepeatedImages(**fields_of(duplicates)),
        chance_error=chance,
        simple=tuple(_simple(errors)),
        sampled_train_images=errors.train_images,
        sampled_validation_images=errors.neighbours.images,
        expected=ExpectedError(median=level.median, low=low, high=high, log_std=level.log_std),
        warnings=(
            *remarks,
            *_of_few(sizes),
            *_of_duplicates(duplicates, facts.test_images),
            *(tuple(_of_chance(errors, chance)) or _of_moving(look, facts.task.classes)),
        ),
        seconds=seconds,
    )


def _class_sizes(data: Data) -> list[ClassSize]:
    """Return the classes with their numbers of images to train on, validation images among them."""
    classes = data.facts.task.classes
    labels = np.concatenate([data.train.labels.numpy(), data.validation.labels.numpy()])
    counts = np.bincount(labels, minlength=classes)
    names = data.classes or tuple(map(str, range(classes)))
    return [ClassSize(name=name, images=int(n)) for name, n in zip(names, counts, strict=True)]


def _simple(errors: SimpleErrors) -> Iterator[SimpleError]:
    of_kind = {
        SimpleClassifier.NEIGHBOURS: errors.neighbours,
        SimpleClassifier.LINEAR: errors.linear,
        SimpleClassifier.PATCHES: errors.patches,
    }
    for kind, counted in of_kind.items():
        yield SimpleError(
            classifier=kind,
            error=counted.share,
            standard_error=counted.standard_error,
            neighbours=errors.k if kind is SimpleClassifier.NEIGHBOURS else None,
        )


def _of_few(sizes: list[ClassSize]) -> Iterator[str]:
    few = sorted((size for size in sizes if size.images < FEW_IMAGES), key=lambda size: size.images)
    if few:
        have = "1 class has" if len(few) == 1 else f"{len(few):,} of {len(sizes):,} classes have"
        yield (
            f"{have} fewer than {FEW_IMAGES} images to train on ({few[0].name}: {few[0].images:,}): add "
            "images, or join classes"
        )


def _of_duplicates(found: Duplicates, test_images: int) -> Iterator[str]:
    if found.test_in_training:
        are = "is also an image" if found.test_in_training == 1 else "are also images"
        yield (
            f"{found.test_in_training:,} of {test_images:,} test images {are} to train on: test errors will "
            "be too low; remove the copies"
        )
    if found.test_mislabelled:
        have = "has" if found.test_mislabelled == 1 else "have"
        yield (
            f"{found.test_mislabelled:,} of these {have} another label to train on than to test on: correct "
            "the labels"
        )
    if found.validation_in_training:
        one = found.validation_in_training == 1
        are = "image is also a training image" if one else "images are also training images"
        yield (
            f"{found.validation_in_training:,} validation {are}: validation errors will be too low; remove "
            "the copies"
        )
    if found.contradicting:
        yield (
            f"{found.contradicting:,} images to train on have equal pixels and different labels: correct the "
            "labels"
        )


def _of_moving(look: Look, classes: int) -> Iterator[str]:
    if objects_move(look.errors, classes):
        yield (
            "classifiers of pixels make most of the errors of guessing: if that is because objects move in "
            "the images, networks may have a quarter of the expected error"
        )


def _of_chance(errors: SimpleErrors, chance: float) -> Iterator[str]:
    best = min(errors.all, key=lambda error: error.share)
    if best.share > chance - BETTER_BY * best.standard_error:
        yield (
            "no simple classifier is better than guessing: check that the labels belong to the images, and "
            "expect a hard problem"
        )
