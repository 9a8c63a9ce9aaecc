"""The true classes of the validation images of a run as a row and back: int32, little-endian, zlib."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.checks.rows import readable
from db.models import ValidationClassesRow

Classes = NDArray[np.int64]
STORED = np.dtype("<i4")


def values_of_classes(run_id: int, classes: Sequence[int] | Classes) -> dict[str, Any]:
    """Return the columns of the true classes of a run, one number an image."""
    return {"run_id": run_id, "classes": zlib.compress(np.asarray(classes, STORED).tobytes())}


def classes_of(row: ValidationClassesRow) -> Classes:
    """Return the true classes of a row, int64 (images,).

    Raises:
        DamagedRowError: they cannot be unpacked, or one is negative.
    """
    return readable(row, _classes_of)


def _classes_of(row: ValidationClassesRow) -> Classes:
    try:
        found = np.frombuffer(zlib.decompress(row.classes), STORED).astype(np.int64)
    except zlib.error as error:
        raise ValueError(f"the classes of the validation images cannot be unpacked: {error}") from error
    if found.size and found.min() < 0:
        raise ValueError(f"classes are numbers from 0 on, got {found.min()}")
    return found
