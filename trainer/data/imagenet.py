"""Small versions of ImageNet: Tiny ImageNet and ImageNet32.

A user fetches both by hand, because neither has a lasting address.

Tiny ImageNet (Stanford's course CS231n) has 200 classes of 64×64 pixels. Its files are in
``ROOT/tiny-imagenet-200`` as in the published archive. ``wnids.txt`` lists the classes by their numbers in
WordNet, and ``words.txt`` contains their names. The images are ``train/WNID/images/*.JPEG`` and
``val/images/*``, the latter with labels in ``val/val_annotations.txt``. The published test images have no
labels, so the validation images are the test set here.

ImageNet32 (Chrabaszcz, Loshchilov and Hutter 2017) has 1,000 classes of 32×32 pixels. Its files are anywhere
in ``ROOT/imagenet32``: ``train_data_batch_1`` to ``_10`` and ``val_data``, pickled or as ``.npz``. The
validation images are the test set, as in the paper.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from advisor.errors import DataError
from advisor.networks.layers import Task
from advisor.plans.dataset import Preparation
from trainer.data.damage import check_files
from trainer.data.images import Raw, Source, read_images
from trainer.data.pickled import read_pickle

TINY_FOLDER, SMALL_FOLDER = "tiny-imagenet-200", "imagenet32"
# Number of training files of ImageNet32.
SMALL_BATCHES = 10
# What a damaged or missing .npz raises. A damaged directory of a ZIP file may name a version or a compression
# that zipfile does not know, which is a NotImplementedError.
_UNREADABLE = (
    OSError,
    LookupError,
    ValueError,
    EOFError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def tiny_imagenet(root: Path, task: Task) -> Source:
    """Return Tiny ImageNet, with labels in the order of ``wnids.txt``.

    Args:
        root: folder of downloaded data sets.
        task: image shape and number of classes.

    Raises:
        DataError: a file is missing or damaged, or names a class that is not listed.
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
        _read(train, task),
        _read(_annotated(folder / "val", labels), task),
        _words(folder / "words.txt", classes),
    )


def _read(files: list[tuple[Path, int]], task: Task) -> Raw:
    """Return images and labels; all files that cannot be read are in one error."""
    paths = [path for path, _ in files]
    # The published files are upright JPEGs.
    read = read_images(paths, task, Preparation())
    check_files(
        {paths[i]: fault for i, fault in sorted(read.faults.items())},
        {paths[i]: size for i, size in sorted(read.sizes.items())},
        (task.height, task.width),
    )
    return read.images, np.array([label for _, label in files], dtype=np.int64)


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"tiny-imagenet is not complete: cannot read {path} ({getattr(error, 'strerror', error)}); "
            "unzip tiny-imagenet-200.zip so that it is there"
        ) from None


def _annotated(folder: Path, labels: dict[str, int]) -> list[tuple[Path, int]]:
    """Return the paths and labels of the validation images.

    A line of the annotations contains the name, the class and a bounding box, separated by tabs.
    """
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
    """Return the first name of each class; without the file of names, the numbers in WordNet."""
    if not path.is_file():
        return tuple(classes)
    rows = (line.partition("\t") for line in _lines(path))
    words = {wnid: text.partition(",")[0].strip() for wnid, _, text in rows}
    return tuple(words.get(name, name) for name in classes)


def imagenet32(root: Path, task: Task) -> Source:
    """Return ImageNet32, which needs about 4 GB of memory, and twice that while it is split.

    Args:
        root: folder of downloaded data sets.
        task: image shape and number of classes.

    Raises:
        DataError: a batch is missing or damaged, or contains anything but images and labels.
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
        raise DataError(f"{path} is not a batch of imagenet32 ({error}): fetch it anew") from None
    return images, labels.astype(np.int64) - 1


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ("data", "labels")}
    except _UNREADABLE as error:
        raise DataError(f"{path} is missing or damaged ({error}): fetch it anew") from None
