"""Folders of images as data sets: a look at the whole folder, and its images.

`folder_facts` looks at the headers of all files before anything is measured or trained. Every damaged file
and every size that differs is in one error. What a user may not expect of the folder is said in a line each.
`folder_source` reads the pixels, as the facts say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from advisor.errors import DataError
from advisor.networks.layers import Task
from advisor.plans.dataset import FOLDER_PREFIX, PREPARED, Augmentation, DatasetFacts, Preparation
from trainer.data.damage import NEW_RUN, OPTIONS, Remedy, check_files, commonest, names_of
from trainer.data.headers import Header, read_headers
from trainer.data.identity import check_identity, identity_of
from trainer.data.images import Raw, Source, read_images
from trainer.data.listing import Listing, list_folder

# Share of the training images that becomes the validation set.
VALIDATION_SHARE = 0.1
# A class with fewer training images than this share of the most frequent one is mentioned.
RARE_SHARE = 0.1


def _unheard(line: str) -> None:
    """Take no notice of a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """How a folder is looked at.

    Attributes:
        preparation: how its files become images.
        cache: folder in which headers are cached, None for no cache.
        say: receiver of what is peculiar about the folder, one line each.
        remedy: what helps against damaged files and sizes that differ, which an error says.
    """

    preparation: Preparation = PREPARED
    cache: Path | None = None
    say: Callable[[str], None] = _unheard
    remedy: Remedy = OPTIONS


def folder_facts(folder: Path, looking: Looking) -> DatasetFacts:
    """Return the facts of a folder: image shape, classes, sizes of the splits, and defaults for training.

    Args:
        folder: folder of the data set.
        looking: preparation of the files, cache, and receiver of remarks.

    Raises:
        DataError: the folder is missing, empty or incomplete, files are damaged or differ in size, or a class
            has too few images.
    """
    listing = list_folder(folder)
    if listing.passed_over:
        looking.say(listing.passed_over_text)
    headers = _usable(listing, looking)
    train = [label for path, label in listing.train if path in headers]
    test = [label for path, label in listing.test if path in headers]
    _check_counts(listing, train, test)
    _say_peculiarities(listing, headers, train, looking.say)
    height, width = looking.preparation.resize or commonest(_sizes(headers))
    channels = 3 if any(header.coloured for header in headers.values()) else 1
    training, validation = split_sizes(len(train), len(listing.classes))
    return DatasetFacts(
        name=f"{FOLDER_PREFIX}{folder}",
        task=Task(channels=channels, height=height, width=width, classes=len(listing.classes)),
        train_images=training,
        validation_images=validation,
        test_images=len(test),
        augmentation=Augmentation.CROP_FLIP,
        batch=min(128, max(training // 8, 2)),
        preparation=looking.preparation,
        identity=identity_of(listing),
    )


def split_sizes(images: int, classes: int) -> tuple[int, int]:
    """Return how many of the images to train on are trained on, and how many validate.

    Args:
        images: number of images in the training folder.
        classes: number of classes.
    """
    validation = max(round(VALIDATION_SHARE * images), classes)
    return images - validation, validation


def folder_source(folder: Path, facts: DatasetFacts) -> Source:
    """Return the images of a folder, prepared as its facts say.

    Args:
        folder: folder of the data set.
        facts: facts of the folder.

    Raises:
        DataError: the folder is missing, empty or incomplete, has other data than those of the facts, or
            images cannot be read or have another size.
    """
    listing = list_folder(folder)
    check_identity(listing, facts.identity)
    read = read_images(listing.paths, facts.task, facts.preparation)
    faults = {listing.paths[i]: read.faults[i] for i in sorted(read.faults)}
    sizes = {listing.paths[i]: read.sizes[i] for i in sorted(read.sizes)}
    refused = {} if facts.preparation.skip_damaged else faults
    check_files(refused, sizes, (facts.task.height, facts.task.width), remedy=NEW_RUN)
    count = len(listing.train)
    whole = np.array([path not in faults for path in listing.paths])
    labels = np.array([label for _, label in (*listing.train, *listing.test)], np.int64)
    if faults:
        _check_counts(listing, labels[:count][whole[:count]].tolist(), labels[count:][whole[count:]].tolist())

    def part(rows: slice) -> Raw:
        if faults:
            return read.images[rows][whole[rows]], labels[rows][whole[rows]]
        return read.images[rows], labels[rows]

    left_out = (int((~whole[:count]).sum()), int((~whole[count:]).sum()))
    return Source(part(slice(count)), part(slice(count, None)), listing.classes, left_out)


def _usable(listing: Listing, looking: Looking) -> dict[Path, Header]:
    """Return the headers of the files that can be read.

    Raises:
        DataError: files cannot be read and shall not be skipped, or sizes differ and shall not be made equal.
    """
    paths = listing.paths
    headers = dict(zip(paths, read_headers(listing.folder, paths, looking.cache), strict=True))
    faults = {path: header.fault for path, header in headers.items() if header.fault}
    usable = {path: header for path, header in headers.items() if not header.fault}
    expected, differing = (0, 0), {}
    if usable and looking.preparation.resize is None:
        sizes = _sizes(usable)
        expected = commonest(sizes)
        differing = {path: size for path, size in sizes.items() if size != expected}
    skipped = faults if looking.preparation.skip_damaged else {}
    check_files({} if skipped else faults, differing, expected, remedy=looking.remedy)
    if skipped:
        looking.say(
            f"{listing.folder}: {_counted(len(skipped), 'damaged file')} left out: "
            f"{names_of(skipped, listing.folder)}"
        )
    return usable


def _sizes(headers: dict[Path, Header]) -> dict[Path, tuple[int, int]]:
    return {path: (header.height, header.width) for path, header in headers.items()}


def _check_counts(listing: Listing, train: Sequence[int], test: Sequence[int]) -> None:
    """Refuse classes with too few images.

    Raises:
        DataError: a class has fewer than 2 images to train on, or none to test on.
    """
    counts, tested = Counter(train), Counter(test)
    classes = range(len(listing.classes))
    if few := [label for label in classes if counts[label] < 2]:
        first = listing.folder / "train" / listing.classes[few[0]]
        others = f", as few as {_counted(len(few) - 1, 'other class')}," if len(few) > 1 else ""
        raise DataError(
            f"the class folder {first} has {_counted(counts[few[0]], 'image')}{others} and needs at least 2, "
            "one to train on and one to validate on: add images or remove the class"
        )
    if untested := [label for label in classes if not tested[label]]:
        first = listing.folder / "test" / listing.classes[untested[0]]
        raise DataError(f"the class folder {first} has no image that can be read: add some")


def _say_peculiarities(
    listing: Listing, headers: dict[Path, Header], train: Sequence[int], say: Callable[[str], None]
) -> None:
    folder, total = listing.folder, len(headers)
    coloured = sum(header.coloured for header in headers.values())
    if 0 < coloured < total:
        say(
            f"{folder}: {coloured:,} of {total:,} images have colours and {total - coloured:,} are grey: "
            "all are read in colour"
        )
    if transparent := sum(header.transparent for header in headers.values()):
        say(f"{folder}: {transparent:,} of {total:,} images have transparency, which is put on white")
    counts = Counter(train)
    rarest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[rarest] < RARE_SHARE * counts[most]:
        say(
            f"{folder}: the classes are imbalanced: {listing.classes[rarest]} has {counts[rarest]:,} images "
            f"to train on and {listing.classes[most]} has {counts[most]:,}; an error hardly shows the rare"
        )


def _counted(count: int, what: str) -> str:
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{count:,} {what if count == 1 else plural}"
