"""Data sets as tensors in memory: images uint8 (n, channels, height, width), labels int64 (n,).

The facts (sizes, splits, augmentation) stand in `advisor.dataset`; this module finds the files, checks
them against the facts and splits validation images from the training images, stratified by class.

Folders are laid out as torchvision's ImageFolder: ``PATH/train/CLASS/image`` and ``PATH/test/CLASS/image``.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advisor.dataset import FOLDER_PREFIX, Augmentation, DatasetFacts, dataset_named
from advisor.errors import DataError
from advisor.layers import Task

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
FOLDER_VALIDATION_SHARE = 0.1
# One split for every run of a data set: errors of two runs are comparable only on one validation set.
SPLIT_SEED = 0

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Images uint8 (n, channels, height, width) and labels int64 (n,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str) -> Split:
        """Return the split on a device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, slots=True)
class Data:
    """The three splits, and mean and standard deviation of the training pixels, shape (channels,)."""

    facts: DatasetFacts
    train: Split
    validation: Split
    test: Split
    mean: Tensor
    deviation: Tensor

    def to(self, device: str) -> Data:
        """Return the data on a device."""
        return Data(
            self.facts,
            self.train.to(device),
            self.validation.to(device),
            self.test.to(device),
            self.mean.to(device),
            self.deviation.to(device),
        )


def find_facts(name: str) -> DatasetFacts:
    """Return the facts of a named data set, or of a folder by looking into it.

    Raises:
        UnknownNameError: no data set of that name.
        DataError: a folder that is missing, empty, incomplete or has images of several sizes.
    """
    if name.startswith(FOLDER_PREFIX):
        return _folder_facts(Path(name.removeprefix(FOLDER_PREFIX)).expanduser().resolve())
    return dataset_named(name)


def load_data(facts: DatasetFacts, root: Path, *, download: bool = False) -> Data:
    """Return the data set that `facts` describes.

    Args:
        facts: what to load.
        root: folder of downloaded data sets.
        download: whether a missing data set is fetched.

    Raises:
        DataError: files are missing, damaged, or not what the facts say.
    """
    train, test = _raw(facts, root, download)
    if len(train[1]) != facts.train_images + facts.validation_images or len(test[1]) != facts.test_images:
        raise DataError(
            f"{facts.name} has {len(train[1])} training and {len(test[1])} test images where "
            f"{facts.train_images + facts.validation_images} and {facts.test_images} belong: fetch it anew"
        )
    kept, held = _stratified(train[1], facts.validation_images)
    images = train[0][kept]
    pixels = images.astype(np.float32).transpose(1, 0, 2, 3).reshape(images.shape[1], -1) / 255
    return Data(
        facts,
        _split(images, train[1][kept]),
        _split(train[0][held], train[1][held]),
        _split(*test),
        torch.from_numpy(pixels.mean(axis=1)),
        torch.from_numpy(np.maximum(pixels.std(axis=1), 1e-3)),
    )


def _split(images: Bytes, labels: Labels) -> Split:
    # Arrays that were read from a file may be views of read-only memory, which torch cannot hold.
    writable = [np.require(array, requirements=["C", "W"]) for array in (images, labels)]
    return Split(torch.from_numpy(writable[0]), torch.from_numpy(writable[1]))


def _stratified(labels: Labels, held: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices kept and held back, every class in proportion."""
    from sklearn.model_selection import train_test_split

    try:
        kept, back = train_test_split(
            np.arange(len(labels)), test_size=held, stratify=labels, random_state=SPLIT_SEED
        )
    except ValueError as error:
        raise DataError(f"cannot hold back {held} of {len(labels)} images for validation: {error}") from None
    return np.sort(kept), np.sort(back)


Raw = tuple[Bytes, Labels]


def _raw(facts: DatasetFacts, root: Path, download: bool) -> tuple[Raw, Raw]:
    if facts.name == "digits":
        return _digits(facts.test_images)
    if facts.name.startswith(FOLDER_PREFIX):
        folder = Path(facts.name.removeprefix(FOLDER_PREFIX))
        return _folder_split(folder, "train", facts.task), _folder_split(folder, "test", facts.task)
    if (
        facts.name == "fashion-mnist"
        and DEBIAN_FASHION_MNIST.is_dir()
        and not (root / "FashionMNIST").exists()
    ):
        return _idx_split(DEBIAN_FASHION_MNIST, "train"), _idx_split(DEBIAN_FASHION_MNIST, "t10k")
    return _torchvision(facts.name, root, download)


def _digits(test_images: int) -> tuple[Raw, Raw]:
    """scikit-learn's digits, 8×8 with 17 grey levels, the test fifth split off."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8)[:, None]
    labels = digits.target.astype(np.int64)
    kept, test = _stratified(labels, test_images)
    return (images[kept], labels[kept]), (images[test], labels[test])


def _idx_split(folder: Path, prefix: str) -> Raw:
    images = _read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    labels = _read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
    return images[:, None], labels.astype(np.int64)


def _read_idx(path: Path) -> Bytes:
    """Read a gzipped idx file of unsigned bytes (LeCun): magic number, big-endian sizes, values."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is missing or damaged ({error}): install or fetch it anew") from None
    dimensions = content[3] if len(content) > 4 and content[:3] == b"\0\0\x08" else 0
    header = 4 + 4 * dimensions
    sizes = [int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4)]
    if dimensions == 0 or len(content) - header != math.prod(sizes):
        raise DataError(f"{path} is damaged: it is not a whole idx file; install or fetch it anew")
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)


def _torchvision(name: str, root: Path, download: bool) -> tuple[Raw, Raw]:
    from torchvision import datasets

    makers = {
        "fashion-mnist": lambda train: datasets.FashionMNIST(root, train=train, download=download),
        "cifar10": lambda train: datasets.CIFAR10(root, train=train, download=download),
        "cifar100": lambda train: datasets.CIFAR100(root, train=train, download=download),
        "svhn": lambda train: datasets.SVHN(root, split="train" if train else "test", download=download),
    }
    try:
        return _arrays(makers[name](True)), _arrays(makers[name](False))
    except Exception as error:
        # torchvision reports missing, half-downloaded and corrupt files by many kinds of exception.
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        remedy = "check the network and try again" if download else "pass --download to fetch it"
        raise DataError(f"{name} is not complete under {root} ({first}): {remedy}") from None


def _arrays(source: object) -> Raw:
    """Images and labels of a torchvision data set as (n, channels, height, width) and (n,)."""
    images = np.asarray(source.data)  # type: ignore[attr-defined]
    labels = source.targets if hasattr(source, "targets") else source.labels  # type: ignore[attr-defined]
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[-1] == 3:
        images = images.transpose(0, 3, 1, 2)
    return images, np.asarray(labels, dtype=np.int64)


def _folder_facts(folder: Path) -> DatasetFacts:
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
    files = {split: _image_files(folder / split, classes) for split in ("train", "test")}
    channels, height, width = _read_image(files["train"][0][0]).shape
    labels = [label for _, label in files["train"]]
    rarest = min(range(len(classes)), key=labels.count)
    if labels.count(rarest) < 2:
        raise DataError(
            f"the class folder {folder / 'train' / classes[rarest]} has 1 image and needs at least 2, one to "
            "train on and one to validate on: add images or remove the class"
        )
    total = len(labels)
    held = max(round(FOLDER_VALIDATION_SHARE * total), len(classes))
    return DatasetFacts(
        name=f"{FOLDER_PREFIX}{folder}",
        task=Task(channels=channels, height=height, width=width, classes=len(classes)),
        train_images=total - held,
        validation_images=held,
        test_images=len(files["test"]),
        augmentation=Augmentation.CROP_FLIP,
        batch=min(128, max((total - held) // 8, 2)),
    )


def _class_folders(folder: Path, split: str) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"the data folder {folder} does not exist: check the path")
    if not (folder / split).is_dir():
        raise DataError(
            f"the data folder {folder} has no {split} folder: it needs train/CLASS/… and test/CLASS/…"
        )
    return sorted(p.name for p in (folder / split).iterdir() if p.is_dir() and not p.name.startswith("."))


def _image_files(folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    """Paths and labels of all images; suffixes as torchvision's ImageFolder knows them."""
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


def _folder_split(folder: Path, split: str, task: Task) -> Raw:
    files = _image_files(folder / split, _class_folders(folder, split))
    expected = (task.channels, task.height, task.width)
    images = np.empty((len(files), *expected), np.uint8)
    for i, (path, _) in enumerate(files):
        image = _read_image(path)
        if image.shape != expected:
            raise DataError(
                f"images differ in shape: {path} has {'x'.join(map(str, image.shape))}, others have "
                f"{task.text}; resize or convert them to one shape"
            )
        images[i] = image
    return images, np.array([label for _, label in files], dtype=np.int64)


def _read_image(path: Path) -> Bytes:
    """One image as (channels, height, width): 1 channel for grey, 3 for everything else."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            array = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"cannot read image {path}: {error}; remove it or fetch it anew") from None
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
