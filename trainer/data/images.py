"""Image files as arrays, uint8 (channels, height, width): one conversion for training and prediction.

A file becomes an image in four steps (`advisor.plans.dataset.Preparation`):

1. its orientation in EXIF is applied, so that the image is the one that viewers show;
2. more than 8 bits a channel are scaled to 8;
3. transparency is composited on white;
4. the mode (palette, CMYK, 1 bit, …) becomes grey or RGB, whichever the task has.

An image that shall have another size is then scaled with its proportions until it covers that size, and
cropped at its centre. So is every file that a trained ensemble classifies.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from advisor.errors import DataError, UsageError
from advisor.files import open_regular
from advisor.networks.layers import Task
from advisor.plans.dataset import PREPARED, Preparation
from trainer.data.listing import image_formats

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]
Raw = tuple[Bytes, Labels]

# Mode of an image in Pillow by the number of channels.
MODES = {1: "L", 3: "RGB"}
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"})
COLOUR_MODES = frozenset({"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"})
# Largest image, in pixels; Pillow takes a larger one for an attempt to exhaust the memory.
MOST_PIXELS = 178_956_970
# Largest file of an image, in bytes.
LARGEST_FILE = 512 * 2**20
# Number of files that are read at once: most of the time passes in the file system or in C.
THREADS = 8
# Tag of the orientation in EXIF, and the name of the transposition in Pillow that undoes each value.
ORIENTATION = 0x0112
UPRIGHT = 1
TRANSPOSITIONS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class ImageFaultError(Exception):
    """A file that cannot be read as an image; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Source:
    """Contents of the files of a data set.

    Attributes:
        train, test: images, uint8 (n, channels, height, width), and labels, int64 (n,).
        classes: names of the classes by label, empty if they have none.
        left_out: number of damaged files that were to be left out, to train on and to test on.
    """

    train: Raw
    test: Raw
    classes: tuple[str, ...] = ()
    left_out: tuple[int, int] = (0, 0)


@contextmanager
def quiet_reader() -> Iterator[None]:
    """Keep Pillow's warnings from the user; what matters of them becomes a fault in our words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """Open an image file and read its header.

    Raises:
        ImageFaultError: the file is missing, is not a regular file, is damaged, or has too many pixels or
            pixels of a type that cannot be converted. It is also raised for what happens inside the context.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with open_regular(path, LARGEST_FILE) as file, Image.open(file, formats=image_formats()) as image:
            _check_header(image)
            yield image
    except ImageFaultError:
        raise
    except UnidentifiedImageError:
        raise ImageFaultError("it is empty" if not path.stat().st_size else "it is not an image") from None
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))
        raise ImageFaultError(_too_large(int(pixels[0]) if pixels else MOST_PIXELS + 1)) from None
    except MemoryError:
        raise ImageFaultError("it does not fit into memory") from None
    except Exception as error:
        # Pillow raises many types of exception for damaged files.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ImageFaultError(reason.splitlines()[0]) from None


def _check_header(image: Image) -> None:
    pixels = image.width * image.height
    if pixels > MOST_PIXELS:
        raise ImageFaultError(_too_large(pixels))
    if image.mode not in GREY_MODES | COLOUR_MODES:
        raise ImageFaultError(f"its pixels are of type {image.mode}: convert it to 8 bits, grey or RGB")


def _too_large(pixels: int) -> str:
    return f"it has {pixels:,} pixels and may have {MOST_PIXELS:,}: scale it down"


def orientation_of(image: Image) -> int:
    """Return the orientation in the EXIF of an image, 1 if it has none that can be read."""
    from PIL import Image as Pillow

    if image.format == "TIFF":
        # Pillow itself turns these.
        return UPRIGHT
    try:
        # The method of the base class, because that of PNG decodes the pixels.
        value = Pillow.Image.getexif(image).get(ORIENTATION, UPRIGHT)
    except Exception:
        return UPRIGHT
    return value if value in TRANSPOSITIONS else UPRIGHT


def prepared(image: Image, channels: int, preparation: Preparation) -> Image:
    """Return an image in the mode of a task.

    Args:
        image: open image.
        channels: number of channels of the task, a key of `MODES`.
        preparation: how files become images; `resize` is applied too.
    """
    from PIL import ImageOps
    from PIL.Image import Resampling, Transpose

    image.load()
    if preparation.upright and (orientation := orientation_of(image)) != UPRIGHT:
        image = image.transpose(Transpose[TRANSPOSITIONS[orientation]])
    if image.mode.startswith("I"):
        image = _in_8_bits(image)
    if preparation.on_white and image.has_transparency_data:
        image = _on_white(image)
    image = image.convert(MODES[channels])
    if preparation.resize is None:
        return image
    height, width = preparation.resize
    # Pillow's resampling is antialiased: every source pixel counts, however small the image becomes.
    return ImageOps.fit(image, (width, height), Resampling.BILINEAR)


def _in_8_bits(image: Image) -> Image:
    from PIL import Image as Pillow

    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > 65_535:
        raise ImageFaultError("it has more than 16 bits a channel: convert it to 8")
    return Pillow.fromarray(((levels.astype(np.uint32) * 255 + 32_767) // 65_535).astype(np.uint8))


def _on_white(image: Image) -> Image:
    from PIL import Image as Pillow

    # Premultiplied grey has no direct way to RGBA.
    coloured = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    white = Pillow.new("RGBA", coloured.size, "white")
    return Pillow.alpha_composite(white, coloured).convert("RGB")


def read_fitted(path: Path, task: Task, preparation: Preparation = PREPARED) -> Bytes:
    """Return an image fitted to the shape of a task; an image of this shape keeps its pixels.

    Args:
        path: file of the image.
        task: image shape.
        preparation: how the files that the ensemble was trained on became images.

    Raises:
        UsageError: images of the task are neither grey nor RGB.
        DataError: the file is not an image, is damaged or is too large.
    """
    fitting = replace(preparation, resize=(task.height, task.width))
    with quiet_reader():
        try:
            return _read(path, task, fitting)
        except ImageFaultError as fault:
            raise DataError(_unreadable(path, fault)) from None


def _unreadable(path: Path, fault: ImageFaultError) -> str:
    return f"cannot read image {path}: {fault}; remove it or fetch it anew"


def _read(path: Path, task: Task, preparation: Preparation) -> Bytes:
    if task.channels not in MODES:
        raise UsageError(f"images of {task.channels} channels cannot be read from files: only of 1 or 3")
    with opened(path) as image:
        # The file must still be open, because Pillow reads pixels on demand.
        array = np.asarray(prepared(image, task.channels, preparation))
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


@dataclass(frozen=True, slots=True)
class ReadImages:
    """Images that were read from files.

    Attributes:
        images: uint8 (n, channels, height, width); rows of files with a fault have no meaning.
        faults: reason by position, of files that cannot be read.
        sizes: height and width by position, of files that differ from the task.
    """

    images: Bytes
    faults: dict[int, str]
    sizes: dict[int, tuple[int, int]]


def read_images(paths: Sequence[Path], task: Task, preparation: Preparation) -> ReadImages:
    """Read images in parallel, all of them, whatever is wrong with some.

    Args:
        paths: files of the images.
        task: image shape that every image must have.
        preparation: how files become images.
    """
    shape = (task.channels, task.height, task.width)
    found = ReadImages(np.empty((len(paths), *shape), np.uint8), {}, {})
    lock = threading.Lock()

    def read(i: int) -> None:
        try:
            image = _read(paths[i], task, preparation)
        except ImageFaultError as fault:
            with lock:
                found.faults[i] = str(fault)
            return
        if image.shape == shape:
            found.images[i] = image
            return
        with lock:
            found.sizes[i] = image.shape[1:]

    in_parallel(read, range(len(paths)))
    return found


def in_parallel(do: Callable[[int], None], items: Sequence[int]) -> None:
    """Do something with every item, several at once, while Pillow's warnings are kept from the user."""
    with quiet_reader(), ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(do, items):
            pass
