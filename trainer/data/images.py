"""Image files as arrays, uint8 (channels, height, width).

Training images are read without changes. An image that a trained ensemble shall classify is fitted to the
task of the ensemble: it is converted to grey or RGB, scaled with its proportions until it covers the image
size, and cropped at its centre.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from advisor.errors import DataError, UsageError
from advisor.networks.layers import Task

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]
Raw = tuple[Bytes, Labels]

# Mode of an image in Pillow by the number of channels.
MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True, slots=True)
class Source:
    """Contents of the files of a data set.

    Attributes:
        train, test: images, uint8 (n, channels, height, width), and labels, int64 (n,).
        classes: names of the classes by label, empty if they have none.
    """

    train: Raw
    test: Raw
    classes: tuple[str, ...] = ()


def read_image(path: Path) -> Bytes:
    """Return an image with 1 channel if it is grey, and with 3 channels otherwise.

    Raises:
        DataError: the file is not an image, is damaged, or has more than 8 bits a channel.
    """
    return _read(path, lambda image: image if image.mode == "L" else image.convert("RGB"))


def read_colours(path: Path) -> Bytes:
    """Return an image with 3 channels, which are equal if it is grey.

    Raises:
        DataError: the file is not an image, is damaged, or has more than 8 bits a channel.
    """
    return _read(path, lambda image: image.convert("RGB"))


def read_fitted(path: Path, task: Task) -> Bytes:
    """Return an image fitted to the shape of a task; an image of this shape is not changed.

    Args:
        path: file of the image.
        task: image shape.

    Raises:
        UsageError: images of the task are neither grey nor RGB.
        DataError: the file is not an image, is damaged, or has more than 8 bits a channel.
    """
    mode = MODES.get(task.channels)
    if mode is None:
        raise UsageError(f"images of {task.channels} channels cannot be read from files: only of 1 or 3")

    def fitted(image: Image) -> Image:
        from PIL import ImageOps
        from PIL.Image import Resampling

        size = (task.width, task.height)
        # Pillow's resampling is antialiased: every source pixel counts, however small the image becomes.
        return ImageOps.fit(image.convert(mode), size, Resampling.BILINEAR)

    return _read(path, fitted)


def read_images(
    files: Sequence[tuple[Path, int]], task: Task, read: Callable[[Path], Bytes] = read_image
) -> Raw:
    """Return the images and labels of files.

    Args:
        files: path and label of each image.
        task: image shape that every file must have.
        read: function that reads one image.

    Returns:
        Images, uint8 (n, channels, height, width), and labels, int64 (n,).

    Raises:
        DataError: an image cannot be read or has another shape than the task.
    """
    expected = (task.channels, task.height, task.width)
    images = np.empty((len(files), *expected), np.uint8)
    for i, (path, _) in enumerate(files):
        image = read(path)
        if image.shape != expected:
            raise DataError(
                f"images differ in shape: {path} has {'x'.join(map(str, image.shape))}, others have "
                f"{task.text}; resize or convert them to one shape"
            )
        images[i] = image
    return images, np.array([label for _, label in files], dtype=np.int64)


def _read(path: Path, convert: Callable[[Image], Image]) -> Bytes:
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF":
                raise ValueError("it has more than 8 bits a channel; convert it to 8")
            # The file must still be open, because Pillow reads pixels on demand.
            array = np.asarray(convert(image))
    except Exception as error:
        # Pillow raises many types of exception for damaged files.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"cannot read image {path}: {reason}; remove it or fetch it anew") from None
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
