"""An even sample of a series, for pictures and for what takes long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def even_sample(values: Sequence[T], most: int) -> list[T]:
    """Return values, or an even sample of so many, always with the first and the last.

    Args:
        values: the values in order.
        most: number of values at most, at least 2.
    """
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]
