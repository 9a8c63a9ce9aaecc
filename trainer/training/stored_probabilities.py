"""Class probabilities of validation images as they are stored with an epoch: one byte a value, compressed."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float32]

# One part in 255 is enough for ensemble curves and a quarter of the bytes of float32.
LEVELS = 255


def pack_probabilities(probabilities: Probabilities) -> bytes:
    """Compress (images, classes) to one byte a value; errors up to 1/510."""
    return zlib.compress(np.rint(probabilities * LEVELS).astype(np.uint8).tobytes(), 6)


def unpack_probabilities(packed: bytes, classes: int) -> Probabilities:
    """Return what `pack_probabilities` packed, shape (images, classes)."""
    values = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(-1, classes)
    return values.astype(np.float32) / np.float32(LEVELS)
