"""Facts of the data sets: all that a forecast needs, before a single image is loaded.

Sizes are those of the published archives. Validation images are taken from the training images, every class
in proportion. The test set is read only at the end of a run, and no choice depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from advisor.errors import UsageError, lookup, require_entries
from advisor.networks.layers import Task
from advisor.plans.identity import DatasetIdentity

FOLDER_PREFIX = "folder:"
# Most images of a data set. Larger numbers come from damaged files.
MOST_IMAGES = 10**11
# Crops pad by the height divided by this: 4 pixels at 32, as in He et al. 2016.
PAD_SHARE = 8


class Augmentation(StrEnum):
    """Augmentation of training batches."""

    NONE = "none"
    CROP = "crop"
    CROP_FLIP = "crop+flip"
    # Crop and flip, then N = 2 operations an image at magnitude M = 14 of 30 (Cubuk et al. 2020).
    RANDAUGMENT = "crop+flip+randaugment"

    @property
    def flips(self) -> bool:
        """Whether images are flipped, so that left and right are alike."""
        return self not in (Augmentation.NONE, Augmentation.CROP)

    @property
    def key(self) -> str:
        """Value that measurements are distinguished by; empty if it hardly changes the time of a step."""
        return self.value if self is Augmentation.RANDAUGMENT else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How image files become the images of a data set, in training and in prediction.

    The defaults are those of runs that were stored before preparations were, so that such a run predicts as
    it was trained. `PREPARED` is the preparation of new runs.

    Attributes:
        upright: whether the orientation in EXIF is applied, as viewers do.
        on_white: whether transparency is composited on white; otherwise it is dropped.
        every_class_validated: whether each class has a validation image, however rare it is.
        resize: height and width, pixels, that images are scaled to cover and cropped to at their centre; None
            for images that have one size already.
        skip_damaged: whether files that cannot be read are left out; otherwise they are an error.
    """

    upright: bool = False
    on_white: bool = False
    every_class_validated: bool = False
    resize: tuple[int, int] | None = None
    skip_damaged: bool = False

    @property
    def text(self) -> str:
        """Words for what images must be before an ensemble sees them."""
        return ", ".join(
            [
                "upright as viewers show them" if self.upright else "pixels as stored",
                "transparency on white" if self.on_white else "transparency dropped",
            ]
        )


PREPARED = Preparation(upright=True, on_white=True, every_class_validated=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """Facts of one data set.

    Attributes:
        name: name on the command line.
        task: image shape and number of classes.
        train_images, validation_images, test_images: sizes of the three splits.
        augmentation: augmentation of training batches; crops pad by an eighth of the image height.
        batch: default batch size.
        preparation: how the image files of a folder become its images.
        identity: what is in the folder; None for published data, and for plans of older programs.
    """

    name: str
    task: Task
    train_images: int
    validation_images: int
    test_images: int
    augmentation: Augmentation
    batch: int
    preparation: Preparation = Preparation()
    identity: DatasetIdentity | None = None

    def __post_init__(self) -> None:
        for name, least in (("train_images", 1), ("validation_images", 0), ("test_images", 0), ("batch", 1)):
            if not least <= getattr(self, name) <= MOST_IMAGES:
                raise UsageError(
                    f"{name} of {self.name:.80} must be between {least} and {MOST_IMAGES:,}, "
                    f"got {getattr(self, name)}"
                )
        resize = self.preparation.resize
        if resize not in (None, (self.task.height, self.task.width)):
            raise UsageError(
                f"{self.name} has {self.task.text} images, which resizing to {resize} contradicts"
            )

    @property
    def in_folder(self) -> bool:
        """Whether the data set is a folder of image files."""
        return self.name.startswith(FOLDER_PREFIX)

    @property
    def preparation_of_files(self) -> Preparation:
        """How a further image file is prepared; published data sets have no files to be equal to."""
        return self.preparation if self.in_folder else PREPARED

    @property
    def key(self) -> str:
        """Name that equal data share: the digest of a folder wherever it lies, else the name.

        The same files in another size are other data.
        """
        if self.identity is None:
            return self.name
        resized = "" if self.preparation.resize is None else f" at {self.task.height}x{self.task.width}"
        return f"{FOLDER_PREFIX}{self.identity.digest}{resized}"

    @property
    def learned_as(self) -> str:
        """Name under which errors are learned; with RandAugment the data set counts as another one."""
        return learned_name(self.key, self.augmentation)

    def steps_per_epoch(self, batch: int) -> int:
        """Return the whole batches of an epoch; the images of the last, partial batch are left out."""
        return max(self.train_images // batch, 1)


def learned_name(dataset: str, augmentation: Augmentation) -> str:
    """Return the name under which errors on a data set are learned.

    Args:
        dataset: name of the data set, of a folder its `DatasetFacts.key`.
        augmentation: augmentation of training batches.
    """
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
    # The published validation images of both ImageNets are the test set here: their test images have no
    # labels.
    "tiny-imagenet": DatasetFacts(
        name="tiny-imagenet",
        task=_task(3, 64, 200),
        train_images=90_000,
        validation_images=10_000,
        test_images=10_000,
        augmentation=Augmentation.CROP_FLIP,
        batch=128,
    ),
    # Only ten validation images a class, because every epoch of a run stores their probabilities.
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
    """Return the facts of a named data set; a folder of images is not among them.

    Raises:
        UnknownNameError: no data set has that name.
    """
    return lookup("data set", name, DATASETS, f"{FOLDER_PREFIX}PATH")
