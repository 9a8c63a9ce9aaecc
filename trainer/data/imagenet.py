"""ImageNet made small, as published; both are fetched by hand, since neither has one lasting address.

Tiny ImageNet (Stanford's course CS231n): 200 classes of 64×64 pixels in ``ROOT/tiny-imagenet-200``, as
unzipped: ``wnids.txt`` names the classes, ``train/WNID/images/*.JPEG`` and ``val/images`` with
``val/val_annotations.txt`` hold the images, ``words.txt`` says what the classes are. Its test images have no
published labels, so its validation images are the test set here.

ImageNet32 (Chrabaszcz, Loshchilov and Hutter 2017): 1,000 classes of 32×32 pixels anywhere in
``ROOT/imagenet32``: ``train_data_batch_1`` to ``_10`` and ``val_data``, pickled or as ``.npz``. Its
validation images are the test set, as in its paper.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from advisor.errors import DataError
from advisor.networks.layers import Task
from trainer.data.images import Raw, Source, read_colours, read_images
from trainer.data.pickled import read_pickle

TINY_FOLDER, SMALL_FOLDER = "tiny-imagenet-200", "imagenet32"
SMALL_BATCHES = 10


def tiny_imagenet(root: Path, task: Task) -> Source:
    """Return Tiny ImageNet; labels follow the order of ``wnids.txt``.

    Raises:
        DataError: a file is missing, damaged, or names a class that is not listed.
    """
    folder = root / TINY_FOLDER
    classes = _lines(folder / "wnids.txt")
    if len(classes) != task.classes:
        raise DataError(f"{folder / 'wnids.txt'} has {len(classes)} classes instead of {task.classes}")
    labels = {name: label for label, name in enumerate(classes)}
    train = [
        (path, label)
        for name, label in labels.items()
        for path in sorted((folder / "train" / name / "images").glob("*.JPEG"))
    ]
    return Source(
        read_images(train, task, read_colours),
        read_images(_annotated(folder / "val", labels), task, read_colours),
        _words(folder / "words.txt", classes),
    )


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"tiny-imagenet is not complete: cannot read {path} ({getattr(error, 'strerror', error)}); "
            "unzip tiny-imagenet-200.zip so that it is there"
        ) from None


def _annotated(folder: Path, labels: dict[str, int]) -> list[tuple[Path, int]]:
    """Images with labels by the file of annotations: name, class and a box, separated by tabs."""
    annotations = folder / "val_annotations.txt"
    found = []
    for line in _lines(annotations):
        name, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0].strip()
        if wnid not in labels:
            raise DataError(f"{annotations} has the class {wnid!r}, which wnids.txt lacks: fetch it anew")
        found.append((folder / "images" / Path(name).name, labels[wnid]))
    return found


def _words(path: Path, classes: list[str]) -> tuple[str, ...]:
    """What the classes are, by the first of their synonyms; without the file, their numbers in WordNet."""
    if not path.is_file():
        return tuple(classes)
    rows = (line.partition("\t") for line in _lines(path))
    words = {wnid: text.partition(",")[0].strip() for wnid, _, text in rows}
    return tuple(words.get(name, name) for name in classes)


def imagenet32(root: Path, task: Task) -> Source:
    """Return ImageNet32: about 4 GB of images, twice that while they are split.

    Raises:
        DataError: a batch is missing, damaged, or holds anything but images and labels.
    """
    folder = root / SMALL_FOLDER
    parts = [_batch(folder, f"train_data_batch_{n}", task) for n in range(1, SMALL_BATCHES + 1)]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Source((images, labels), _batch(folder, "val_data", task))


def _batch(folder: Path, name: str, task: Task) -> Raw:
    path = next((p for end in ("", ".npz") for p in sorted(folder.rglob(name + end)) if p.is_file()), None)
    if path is None:
        raise DataError(
            f"imagenet32 is not complete: there is no {name} or {name}.npz in {folder}; "
            "fetch its archives from image-net.org and unzip them there"
        )
    content = _read_npz(path) if path.suffix == ".npz" else read_pickle(path)
    try:
        rows, labels = np.asarray(content["data"]), np.asarray(content["labels"])
        if rows.dtype != np.uint8 or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"types {rows.dtype} and {labels.dtype} instead of bytes and whole numbers")
        images = rows.reshape(len(labels), task.channels, task.height, task.width)
        if len(labels) and not 1 <= labels.min() <= labels.max() <= task.classes:
            raise ValueError(f"labels outside 1 to {task.classes}")
    except (LookupError, ValueError, TypeError) as error:
        raise DataError(f"{path} is no batch of imagenet32 ({error}): fetch it anew") from None
    return images, labels.astype(np.int64) - 1


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ("data", "labels")}
    except (OSError, LookupError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is missing or damaged ({error}): fetch it anew") from None
