"""Data sets as tensors in memory: images uint8 (n, channels, height, width), labels int64 (n,).

The facts of a data set (sizes, splits, augmentation) are in `advisor.plans.dataset`. `trainer.data.archives`,
`trainer.data.folders` and `trainer.data.imagenet` find and read the files. This module compares the files
with the facts, and splits a validation set from the training images, stratified by class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advisor.errors import DataError, require_entries
from advisor.plans.dataset import DATASETS, FOLDER_PREFIX, DatasetFacts, dataset_named
from trainer.data.archives import ARCHIVES, DEBIAN_FASHION_MNIST, archive_source, is_fetched
from trainer.data.folders import Looking, folder_facts, folder_source, split_sizes
from trainer.data.identity import folder_in, in_order
from trainer.data.imagenet import SMALL_FOLDER, TINY_FOLDER, imagenet32, tiny_imagenet
from trainer.data.images import Bytes, Labels, Source
from trainer.data.splitting import stratified, with_every_class

# Largest number of pixels of a channel that are copied to float32 at once. Moments of larger sets are
# computed from a histogram over the levels, for so many images at a time.
COPIED_PIXELS = 2**28
LEVELS = 256
COUNTED_IMAGES = 4096

# Where scikit-learn keeps its digits, in its own folder.
DIGITS_FILE = "datasets/data/digits.csv.gz"


@dataclass(frozen=True, slots=True)
class Split:
    """Images and labels of one split.

    Attributes:
        images: stored images, uint8 (n, channels, height, width).
        labels: true classes, int64 (n,).
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str) -> Split:
        """Return the split on a device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, slots=True)
class Data:
    """A data set in memory.

    Attributes:
        facts: name, sizes, task and defaults.
        train, validation, test: splits.
        mean, deviation: mean and standard deviation of the training pixels between 0 and 1, (channels,).
        classes: names of the classes by label, empty if they have none.
    """

    facts: DatasetFacts
    train: Split
    validation: Split
    test: Split
    mean: Tensor
    deviation: Tensor
    classes: tuple[str, ...] = ()

    def to(self, device: str) -> Data:
        """Return the data on a device."""
        return Data(
            self.facts,
            self.train.to(device),
            self.validation.to(device),
            self.test.to(device),
            self.mean.to(device),
            self.deviation.to(device),
            self.classes,
        )


def find_facts(name: str, looking: Looking | None = None) -> DatasetFacts:
    """Return the facts of a data set; those of a folder are read from its files.

    Args:
        name: name of a published data set, or ``folder:PATH``.
        looking: how a folder is looked at; None for the usual preparation of its files.

    Raises:
        UnknownNameError: there is no data set of this name.
        DataError: the folder is missing, empty or incomplete.
    """
    if name.startswith(FOLDER_PREFIX):
        return folder_facts(folder_in(name), looking or Looking())
    return dataset_named(name)


def is_at_hand(facts: DatasetFacts, root: Path) -> bool:
    """Return whether a data set lies on this machine, as far as the presence of its files tells.

    Args:
        facts: facts of the data set.
        root: folder of downloaded data sets.
    """
    return facts.in_folder or AT_HAND[facts.name](root)


def load_data(facts: DatasetFacts, root: Path, *, download: bool = False) -> Data:
    """Return the data set of a plan in memory.

    Args:
        facts: facts of the data set, or of a part of its training images as a probe may have.
        root: folder of downloaded data sets.
        download: whether a missing data set is fetched.

    Raises:
        DataError: files are missing or damaged, contradict the facts, or are others than those of the facts.
    """
    source = _source(facts, root, download)
    return part_of(_data(_whole_of(facts, source), source), facts)


def load_new_data(facts: DatasetFacts, root: Path, *, download: bool = False) -> Data:
    """Return a data set in memory for a plan that has not been executed yet.

    Args:
        facts: facts of the data set, of a folder from the headers of its files.
        root: folder of downloaded data sets.
        download: whether a missing data set is fetched.

    Returns:
        The data set. Its facts count fewer images than the given ones if files that shall be left out turned
        out to be damaged only when their pixels were read.

    Raises:
        DataError: files are missing or damaged, or contradict the facts.
    """
    source = _source(facts, root, download)
    return _data(_facts_of_whole_files(facts, source), source)


def _data(facts: DatasetFacts, source: Source) -> Data:
    train, test = source.train, source.test
    if len(train[1]) != facts.train_images + facts.validation_images or len(test[1]) != facts.test_images:
        remedy = "restore it, or start a new run" if facts.in_folder else "fetch it anew"
        raise DataError(
            f"{facts.name} has {len(train[1])} training and {len(test[1])} test images where "
            f"{facts.train_images + facts.validation_images} and {facts.test_images} belong: {remedy}"
        )
    kept, validation = stratified(train[1], facts.validation_images)
    if facts.preparation.every_class_validated:
        kept, validation = with_every_class(train[1], kept, validation)
    images = train[0][kept]
    moments = np.array([_moments(images[:, channel]) for channel in range(images.shape[1])], np.float32)
    return Data(
        facts,
        _split(images, train[1][kept]),
        _split(train[0][validation], train[1][validation]),
        _split(*test),
        torch.from_numpy(moments[:, 0].copy()),
        torch.from_numpy(np.maximum(moments[:, 1], 1e-3)),
        source.classes,
    )


def _whole_of(facts: DatasetFacts, source: Source) -> DatasetFacts:
    """Return the facts of all images where the given ones may be of a part of these files."""
    found = len(source.train[1])
    if facts.in_folder:
        known = facts.identity is not None
    else:
        published = DATASETS[facts.name]
        known = found == published.train_images + published.validation_images
    whole = max(found - facts.validation_images, facts.train_images)
    return replace(facts, train_images=whole) if known else facts


def _facts_of_whole_files(facts: DatasetFacts, source: Source) -> DatasetFacts:
    """Return facts that count only the images that could be read, where others are left out."""
    found, expected = len(source.train[1]), facts.train_images + facts.validation_images
    train_missing, test_missing = expected - found, facts.test_images - len(source.test[1])
    possible = 0 <= train_missing <= source.left_out[0] and 0 <= test_missing <= source.left_out[1]
    if not possible or not train_missing + test_missing:
        return facts
    training, validation = split_sizes(found, facts.task.classes)
    return replace(
        facts, train_images=training, validation_images=validation, test_images=len(source.test[1])
    )


def part_of(data: Data, facts: DatasetFacts) -> Data:
    """Return a data set with fewer training images, stratified by class and normalised as the whole.

    Args:
        data: whole data set.
        facts: facts of the part, which differ only in the number of training images.

    Raises:
        DataError: there are too few images for all classes.
    """
    if facts.train_images == len(data.train):
        return data
    kept, _ = stratified(data.train.labels.numpy(), len(data.train) - facts.train_images)
    train = Split(data.train.images[kept], data.train.labels[kept])
    return replace(data, facts=facts, train=train)


def _moments(plane: Bytes) -> tuple[float, float]:
    """Return the mean and standard deviation of a channel, scaled to 0 … 1.

    Args:
        plane: one channel of all images, (n, height, width).
    """
    if plane.size <= COPIED_PIXELS:
        pixels = plane.astype(np.float32).reshape(-1) / 255
        return float(pixels.mean()), float(pixels.std())
    counts = np.zeros(LEVELS, np.int64)
    for start in range(0, len(plane), COUNTED_IMAGES):
        counts += np.bincount(plane[start : start + COUNTED_IMAGES].reshape(-1), minlength=LEVELS)
    levels = np.arange(LEVELS) / 255
    mean = float(counts @ levels / plane.size)
    return mean, float(np.sqrt(counts @ (levels - mean) ** 2 / plane.size))


def _split(images: Bytes, labels: Labels) -> Split:
    # An array from a file may be a view of read-only memory, which torch does not support.
    writable = [np.require(array, requirements=["C", "W"]) for array in (images, labels)]
    return Split(torch.from_numpy(writable[0]), torch.from_numpy(writable[1]))


def _source(facts: DatasetFacts, root: Path, download: bool) -> Source:
    if facts.in_folder:
        return _folder(folder_in(facts.name), facts)
    return LOADERS[facts.name](facts, root, download)


def _folder(folder: Path, facts: DatasetFacts) -> Source:
    if not folder.is_dir():
        raise DataError(
            f"the data folder {folder} is missing: if it was moved, say where with "
            f"--dataset {FOLDER_PREFIX}NEW"
        )
    source = folder_source(folder, facts)
    return source if facts.identity is None else in_order(source, facts.identity.classes)


def _digits(facts: DatasetFacts, root: Path, download: bool) -> Source:
    """Return the digits of scikit-learn, 8×8 pixels with 17 grey levels; a fifth of them is the test set."""
    pixels, labels = _digits_of_sklearn()
    images = (pixels * 15).astype(np.uint8).reshape(-1, 1, 8, 8)
    kept, test = stratified(labels, facts.test_images)
    return Source((images[kept], labels[kept]), (images[test], labels[test]))


def _digits_of_sklearn() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the pixels, (images, 64), 0 to 16, and the classes, (images,).

    The module that loads them takes a second to import, in every process of a training. So its file is read.
    """
    package = find_spec("sklearn")
    file = Path(package.origin if package and package.origin else "").parent / DIGITS_FILE
    if not file.is_file():
        from sklearn.datasets import load_digits

        found = load_digits()
        return found.data, found.target.astype(np.int64)
    table = np.loadtxt(file, delimiter=",")
    return table[:, :-1], table[:, -1].astype(np.int64)


def _archive(facts: DatasetFacts, root: Path, download: bool) -> Source:
    return archive_source(facts.name, root, download)


# How each data set is read: from its facts, the folder of downloaded data sets, and whether to fetch it.
LOADERS: dict[str, Callable[[DatasetFacts, Path, bool], Source]] = {
    "digits": _digits,
    **dict.fromkeys(ARCHIVES, _archive),
    "tiny-imagenet": lambda facts, root, download: tiny_imagenet(root, facts.task),
    "imagenet32": lambda facts, root, download: imagenet32(root, facts.task),
}
require_entries("trainer/data/loading.py: LOADERS", LOADERS, DATASETS)

# Whether each data set lies below the folder of downloaded data sets, or elsewhere on the machine.
AT_HAND: dict[str, Callable[[Path], bool]] = {
    "digits": lambda root: True,
    **{name: partial(is_fetched, name) for name in ARCHIVES},
    "fashion-mnist": lambda root: is_fetched("fashion-mnist", root) or DEBIAN_FASHION_MNIST.is_dir(),
    "tiny-imagenet": lambda root: (root / TINY_FOLDER).is_dir(),
    "imagenet32": lambda root: (root / SMALL_FOLDER).is_dir(),
}
require_entries("trainer/data/loading.py: AT_HAND", AT_HAND, DATASETS)
