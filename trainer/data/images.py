"""Images of files as arrays, uint8 (channels, height, width).

Images to train on are read as they are. An image that a finished ensemble is asked about is fitted to its
task: converted to grey or RGB, scaled until it covers the wanted size, its proportions kept, and cropped at
its centre.
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

# What Pillow calls images of that many channels.
MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True, slots=True)
class Source:
    """What the files of a data set hold.

    Attributes:
        train, test: images (n, channels, height, width) and labels (n,).
        classes: names by label; empty where the classes have none.
    """

    train: Raw
    test: Raw
    classes: tuple[str, ...] = ()


def read_image(path: Path) -> Bytes:
    """Return an image as it is: 1 channel for grey, 3 for everything else.

    Raises:
        DataError: no image, a damaged one, or one of more than 8 bits a channel.
    """
    return _read(path, lambda image: image if image.mode == "L" else image.convert("RGB"))


def read_colours(path: Path) -> Bytes:
    """Return an image with 3 channels, grey ones with three equal ones; errors as `read_image`."""
    return _read(path, lambda image: image.convert("RGB"))


def read_fitted(path: Path, task: Task) -> Bytes:
    """Return an image in the shape of a task; one that has this shape comes back as it is.

    Raises:
        UsageError: images of the task are neither grey nor RGB.
        DataError: as `read_image`.
    """
    mode = MODES.get(task.channels)
    if mode is None:
        raise UsageError(f"images of {task.channels} channels cannot be read from files: only of 1 or 3")

    def fitted(image: Image) -> Image:
        from PIL import ImageOps
        from PIL.Image import Resampling

        size = (task.width, task.height)
        # Pillow's resampling is antialiased: a source pixel counts, however much smaller the image becomes.
        return ImageOps.fit(image.convert(mode), size, Resampling.BILINEAR)

    return _read(path, fitted)


def read_images(
    files: Sequence[tuple[Path, int]], task: Task, read: Callable[[Path], Bytes] = read_image
) -> Raw:
    """Return labelled files as arrays (n, channels, height, width) and (n,).

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
            # While the file is open: Pillow reads pixels when they are asked for.
            array = np.asarray(convert(image))
    except Exception as error:
        # Pillow reports damaged files by many kinds of exception.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"cannot read image {path}: {reason}; remove it or fetch it anew") from None
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
