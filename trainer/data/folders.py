"""Folders of images as data sets, in the layout of torchvision's ImageFolder.

The layout is ``PATH/train/CLASS/image`` and ``PATH/test/CLASS/image``. Labels follow the alphabetical order
of the classes.
"""

from __future__ import annotations

from pathlib import Path

from advisor.errors import DataError
from advisor.networks.layers import Task
from advisor.plans.dataset import FOLDER_PREFIX, Augmentation, DatasetFacts
from advisor.plans.identity import DatasetIdentity
from trainer.data.identity import SPLITS, Files, check_identity, identity_of
from trainer.data.images import Source, read_image, read_images

# Share of the training images that becomes the validation set.
VALIDATION_SHARE = 0.1


def folder_facts(folder: Path) -> DatasetFacts:
    """Return the facts of a folder: image shape, classes, sizes of the splits, and defaults for training.

    The shape is that of the first training image.

    Args:
        folder: folder of the data set.

    Raises:
        DataError: the folder is missing, empty or incomplete, or the first image cannot be read.
    """
    classes, files = _listed(folder)
    channels, height, width = read_image(files["train"][0][0]).shape
    labels = [label for _, label in files["train"]]
    rarest = min(range(len(classes)), key=labels.count)
    if labels.count(rarest) < 2:
        raise DataError(
            f"the class folder {folder / 'train' / classes[rarest]} has 1 image and needs at least 2, one to "
            "train on and one to validate on: add images or remove the class"
        )
    total = len(labels)
    validation = max(round(VALIDATION_SHARE * total), len(classes))
    return DatasetFacts(
        name=f"{FOLDER_PREFIX}{folder}",
        task=Task(channels=channels, height=height, width=width, classes=len(classes)),
        train_images=total - validation,
        validation_images=validation,
        test_images=len(files["test"]),
        augmentation=Augmentation.CROP_FLIP,
        batch=min(128, max((total - validation) // 8, 2)),
        identity=identity_of(folder, classes, files),
    )


def folder_source(folder: Path, task: Task, wanted: DatasetIdentity | None = None) -> Source:
    """Return the images of a folder.

    Args:
        folder: folder of the data set.
        task: image shape and number of classes.
        wanted: identity that the folder must have; None admits any.

    Raises:
        DataError: the folder is missing, empty or incomplete, has other data than those wanted, or an image
            has another shape.
    """
    classes, files = _listed(folder)
    check_identity(folder, classes, files, wanted)
    train, test = (read_images(files[split], task) for split in ("train", "test"))
    return Source(train, test, tuple(classes))


def _listed(folder: Path) -> tuple[list[str], Files]:
    """Return the names of the classes, and the paths and labels of the images by split."""
    classes = _class_folders(folder, "train")
    differing = sorted(set(classes) ^ set(_class_folders(folder, "test")))
    if differing:
        raise DataError(
            f"{folder}: train and test must have the same class folders, and only one of them has "
            f"{differing[0]!r}: add or remove it"
        )
    if len(classes) < 2:
        raise DataError(
            f"{folder}/train has {len(classes)} class folders; a classifier needs 2: add train/CLASS/…"
        )
    return classes, {split: _image_files(folder / split, classes) for split in SPLITS}


def _class_folders(folder: Path, split: str) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"the data folder {folder} does not exist: check the path")
    if not (folder / split).is_dir():
        raise DataError(
            f"the data folder {folder} has no {split} folder: it needs train/CLASS/… and test/CLASS/…"
        )
    return sorted(p.name for p in (folder / split).iterdir() if p.is_dir() and not p.name.startswith("."))


def _image_files(folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    """Return the paths and labels of all images; the suffixes are those of torchvision's ImageFolder."""
    from torchvision.datasets.folder import IMG_EXTENSIONS

    found = []
    for label, name in enumerate(classes):
        paths = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in IMG_EXTENSIONS)
        if not paths:
            raise DataError(
                f"the class folder {folder / name} has no images ({', '.join(IMG_EXTENSIONS)}): add some"
            )
        found += [(path, label) for path in paths]
    if not found:
        raise DataError(f"the folder {folder} has no class folders")
    return found
