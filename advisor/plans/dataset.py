"""Data sets as facts: what a forecast needs to know before a single image is loaded.

Sizes are those of the published archives, with a validation share taken from the training images
(stratified by class). The test set is read at the end of a run, and decides nothing in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from advisor.errors import lookup, require_entries
from advisor.networks.layers import Task

FOLDER_PREFIX = "folder:"
# Crops pad by this part of the height: 4 pixels at 32, as in He et al. 2016.
PAD_SHARE = 8


class Augmentation(StrEnum):
    """What happens to a training batch."""

    NONE = "none"
    CROP = "crop"
    CROP_FLIP = "crop+flip"
    # N = 2 operations an image at magnitude M = 14 of 30 (Cubuk et al. 2020), after crop and flip.
    RANDAUGMENT = "crop+flip+randaugment"

    @property
    def key(self) -> str:
        """What measurements are told apart by: crops and flips take too little of a step."""
        return self.value if self is Augmentation.RANDAUGMENT else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """A data set, described.

    Attributes:
        name: as on the command line.
        task: image shape and classes.
        train_images, validation_images, test_images: sizes of the three splits.
        augmentation: of training batches; crops pad by an eighth of the image height.
        batch: default batch size.
    """

    name: str
    task: Task
    train_images: int
    validation_images: int
    test_images: int
    augmentation: Augmentation
    batch: int

    @property
    def learned_as(self) -> str:
        """Name under which errors on this data are learned: RandAugment makes another problem of it."""
        return learned_name(self.name, self.augmentation)

    def steps_per_epoch(self, batch: int) -> int:
        """Whole batches in one pass; a last partial batch is left out, and differs every epoch."""
        return max(self.train_images // batch, 1)


def learned_name(dataset: str, augmentation: Augmentation) -> str:
    """Return the name under which errors on a data set are learned."""
    return " with ".join(filter(None, (dataset, augmentation.key)))


def _task(channels: int, side: int, classes: int) -> Task:
    return Task(channels=channels, height=side, width=side, classes=classes)


DATASETS: dict[str, DatasetFacts] = {
    # scikit-learn's 1,797 digits, split 60/20/20; the batch is small because an epoch is.
    "digits": DatasetFacts(
        name="digits",
        task=_task(1, 8, 10),
        train_images=1077,
        validation_images=360,
        test_images=360,
        augmentation=Augmentation.CROP,
        batch=32,
    ),
    "fashion-mnist": DatasetFacts(
        name="fashion-mnist",
        task=_task(1, 28, 10),
        train_images=54_000,
        validation_images=6_000,
        test_images=10_000,
        augmentation=Augmentation.CROP_FLIP,
        batch=128,
    ),
    "cifar10": DatasetFacts(
        name="cifar10",
        task=_task(3, 32, 10),
        train_images=45_000,
        validation_images=5_000,
        test_images=10_000,
        augmentation=Augmentation.CROP_FLIP,
        batch=128,
    ),
    "cifar100": DatasetFacts(
        name="cifar100",
        task=_task(3, 32, 100),
        train_images=45_000,
        validation_images=5_000,
        test_images=10_000,
        augmentation=Augmentation.CROP_FLIP,
        batch=128,
    ),
    "svhn": DatasetFacts(
        name="svhn",
        task=_task(3, 32, 10),
        train_images=65_932,
        validation_images=7_325,
        test_images=26_032,
        augmentation=Augmentation.NONE,
        batch=128,
    ),
    # Of both ImageNets the published validation images are the test set: their test images have no labels.
    "tiny-imagenet": DatasetFacts(
        name="tiny-imagenet",
        task=_task(3, 64, 200),
        train_images=90_000,
        validation_images=10_000,
        test_images=10_000,
        augmentation=Augmentation.CROP_FLIP,
        batch=128,
    ),
    # Ten validation images a class: every epoch of a run keeps the probabilities of all of them.
    "imagenet32": DatasetFacts(
        name="imagenet32",
        task=_task(3, 32, 1000),
        train_images=1_271_167,
        validation_images=10_000,
        test_images=50_000,
        augmentation=Augmentation.CROP_FLIP,
        batch=128,
    ),
}


require_entries("advisor/plans/dataset.py: DATASETS", DATASETS, (facts.name for facts in DATASETS.values()))


def dataset_named(name: str) -> DatasetFacts:
    """Return the facts of a named data set; a folder of images has none before its files are looked at.

    Raises:
        UnknownNameError: no data set has that name.
    """
    return lookup("data set", name, DATASETS, f"{FOLDER_PREFIX}PATH")
