"""Published archives: the data sets of torchvision, and Fashion-MNIST from a package of Debian."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from advisor.errors import DataError
from trainer.data.images import Bytes, Raw, Source


@dataclass(frozen=True, slots=True)
class Archive:
    """A data set that torchvision fetches and reads.

    Attributes:
        reader: name of its class in `torchvision.datasets`.
        place: file or folder that the class makes below the folder of downloaded data sets.
        train, test: arguments of the class that choose the split.
    """

    reader: str
    place: str
    train: Mapping[str, object] = field(default_factory=lambda: {"train": True})
    test: Mapping[str, object] = field(default_factory=lambda: {"train": False})


ARCHIVES = {
    "fashion-mnist": Archive("FashionMNIST", "FashionMNIST"),
    "cifar10": Archive("CIFAR10", "cifar-10-batches-py"),
    "cifar100": Archive("CIFAR100", "cifar-100-python"),
    "svhn": Archive("SVHN", "train_32x32.mat", {"split": "train"}, {"split": "test"}),
}
# Folder of Debian's package of the data set.
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def is_fetched(name: str, root: Path) -> bool:
    """Return whether torchvision has fetched a data set, as far as the presence of its first file tells."""
    return (root / ARCHIVES[name].place).exists()


def archive_source(name: str, root: Path, download: bool) -> Source:
    """Return a data set of torchvision.

    Args:
        name: name of the data set in `advisor.plans.dataset`.
        root: folder of downloaded data sets.
        download: whether missing files are fetched.

    Raises:
        DataError: files are missing or damaged.
    """
    if name == "fashion-mnist" and DEBIAN_FASHION_MNIST.is_dir() and not is_fetched(name, root):
        from torchvision.datasets import FashionMNIST

        train, test = (_idx_split(DEBIAN_FASHION_MNIST, prefix) for prefix in ("train", "t10k"))
        return Source(train, test, tuple(FashionMNIST.classes))
    return _torchvision(name, root, download)


def _idx_split(folder: Path, prefix: str) -> Raw:
    images = _read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    labels = _read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
    return images[:, None], labels.astype(np.int64)


def _read_idx(path: Path) -> Bytes:
    """Return the array in a gzipped idx file of unsigned bytes (LeCun's format of MNIST).

    The file contains a magic number, big-endian sizes, and the values.
    """
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


def _torchvision(name: str, root: Path, download: bool) -> Source:
    if not download and not root.is_dir():
        # Without importing torchvision, which takes a second.
        raise _incomplete(name, root, "there is no such folder", download)
    from torchvision import datasets

    archive = ARCHIVES[name]
    read = getattr(datasets, archive.reader)
    try:
        train, test = (read(root, **split, download=download) for split in (archive.train, archive.test))
        # The classes of SVHN are digits, which need no names.
        return Source(_arrays(train), _arrays(test), tuple(getattr(train, "classes", ())))
    except Exception as error:
        # torchvision raises many types of exception for missing, incomplete and damaged files.
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _incomplete(name, root, first, download) from None


def _incomplete(name: str, root: Path, reason: str, download: bool) -> DataError:
    remedy = "check the network and try again" if download else "pass --download to fetch it"
    return DataError(f"{name} is not complete under {root} ({reason}): {remedy}")


def _arrays(source: object) -> Raw:
    """Return the images (n, channels, height, width) and labels (n,) of a data set of torchvision."""
    images = np.asarray(source.data)  # type: ignore[attr-defined]
    labels = source.targets if hasattr(source, "targets") else source.labels  # type: ignore[attr-defined]
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[-1] == 3:
        images = images.transpose(0, 3, 1, 2)
    return images, np.asarray(labels, dtype=np.int64)
