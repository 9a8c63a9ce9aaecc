"""Storage format of the validation probabilities of an epoch: one byte a value, compressed by zlib."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float32]
Levels = NDArray[np.uint8]

# A resolution of 1/255 is enough for learning curves of ensembles, in a quarter of the bytes of float32.
LEVELS = 255


def pack_probabilities(probabilities: Probabilities) -> bytes:
    """Return probabilities as compressed bytes, with rounding errors up to 1/510.

    Args:
        probabilities: probabilities between 0 and 1, (images, classes).
    """
    return zlib.compress(np.rint(probabilities * LEVELS).astype(np.uint8).tobytes(), 6)


def unpack_probabilities(packed: bytes, classes: int) -> Probabilities:
    """Return the probabilities that `pack_probabilities` packed, float32 (images, classes).

    Args:
        packed: compressed bytes.
        classes: number of classes.
    """
    return unpack_levels(packed, classes).astype(np.float32) / np.float32(LEVELS)


def unpack_levels(packed: bytes, classes: int) -> Levels:
    """Return probabilities as they are stored, uint8 (images, classes); `LEVELS` stands for 1.

    Args:
        packed: compressed bytes.
        classes: number of classes.
    """
    return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(-1, classes)
