"""Cells of a CSV row: each is read as one kind of value, or refused in one line.

A row is a mapping from column to text. Every reader raises a `DataError` that names the column, the rule, the
value and the remedy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date
from typing import TypeVar

from advisor.errors import AdvisorError, DataError

T = TypeVar("T")
Row = Mapping[str, str]

LONGEST_TEXT = 200


def told(row: Row, column: str, read: Callable[[str], T]) -> T:
    """Return what `read` makes of a text; what it finds wrong is told with the column's name."""
    try:
        return read(text_of(row, column))
    except DataError:
        raise
    except AdvisorError as error:
        raise DataError(f"{column}: {error}") from None


def given(row: Row, column: str) -> bool:
    """Return whether the column is there and its cell not empty."""
    return bool(row.get(column, "").strip())


def text_of(row: Row, column: str) -> str:
    """Return a text of one line, without spaces around it."""
    text = row[column]
    # A design of many members is long; no other text is.
    longest = 100 * LONGEST_TEXT if column == "design" else LONGEST_TEXT
    if not text.strip() or not text.isprintable() or len(text) > longest:
        raise DataError(
            f"{column} must be 1 to {longest} printable characters, got {text[:40]!r}: correct the cell"
        )
    return text.strip()


def whole(row: Row, column: str, least: int, most: int) -> int:
    """Return a whole number within limits."""
    text = row[column].strip()
    # As ASCII digits: int() also reads 1_000, and takes long over millions of digits.
    if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise DataError(
        f"{column} must be a whole number between {least} and {most}, got {text[:40]!r}: correct the cell"
    )


def shares(row: Row, column: str) -> tuple[float, ...]:
    """Return shares that are joined by semicolons."""
    return tuple(_share(text, column) for text in row[column].split(";"))


def share(row: Row, column: str) -> float:
    """Return a share between 0 and 1."""
    return _share(row[column], column)


def _share(text: str, column: str) -> float:
    try:
        # float() also reads 0_1, as 1.
        value = float(text) if len(text) <= LONGEST_TEXT and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise DataError(
            f"{column} must be a share between 0 and 1, got {text[:40]!r}: write 0.153 for 15.3 percent"
        )
    return value


def day(row: Row, column: str) -> str:
    """Return a day, ISO 8601."""
    try:
        return date.fromisoformat(row[column].strip()).isoformat()
    except ValueError:
        raise DataError(
            f"{column} must be a day as 2026-01-31, got {row[column][:40]!r}: correct the cell"
        ) from None
