"""Readers of the cells of a CSV row: one for each kind of value.

A row maps the name of a column to the text of its cell. A reader returns the value, or raises a `DataError`
whose one line names the column, the rule, the text and the remedy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from advisor.errors import AdvisorError, DataError

T = TypeVar("T")
Row = Mapping[str, str]

# Characters of a cell; a design is the only text that may be longer.
LONGEST_TEXT = 200
LONGEST_DESIGN = 100 * LONGEST_TEXT


def parsed(row: Row, column: str, parse: Callable[[str], T]) -> T:
    """Return the value that a function parses from a cell.

    Args:
        row: the row.
        column: name of the column.
        parse: function from text to value; it raises an `AdvisorError` for a wrong text.

    Raises:
        DataError: the text is empty, too long or wrong; the message of `parse` follows the column's name.
    """
    try:
        return parse(text_of(row, column))
    except DataError:
        raise
    except AdvisorError as error:
        raise DataError(f"{column}: {error}") from None


def is_filled(row: Row, column: str) -> bool:
    """Return whether the column exists and its cell is not empty."""
    return bool(row.get(column, "").strip())


def text_of(row: Row, column: str) -> str:
    """Return a text of one line, without the spaces around it."""
    text = row[column]
    longest = LONGEST_DESIGN if column == "design" else LONGEST_TEXT
    if not text.strip() or not text.isprintable() or len(text) > longest:
        raise DataError(
            f"{column} must be 1 to {longest} printable characters, got {text[:40]!r}: correct the cell"
        )
    return text.strip()


def whole_number(row: Row, column: str, least: int, most: int) -> int:
    """Return a whole number from `least` to `most`; data frames with gaps write 10 as 10.0."""
    written, _, decimals = row[column].strip().partition(".")
    text = row[column].strip() if decimals.strip("0") else written
    # ASCII digits only: int() also accepts 1_000, and is slow for millions of digits.
    if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise DataError(
        f"{column} must be a whole number between {least} and {most}, got {text[:40]!r}: correct the cell"
    )


def shares(row: Row, column: str) -> tuple[float, ...]:
    """Return numbers between 0 and 1 that are joined by semicolons."""
    return tuple(_share(text, column) for text in row[column].split(";"))


def share(row: Row, column: str) -> float:
    """Return a number between 0 and 1."""
    return _share(row[column], column)


def _share(text: str, column: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise DataError(
            f"{column} must be a share between 0 and 1, got {text[:40]!r}: write 0.153 for 15.3 percent"
        )
    return value


def number(row: Row, column: str, least: float, most: float) -> float:
    """Return a number from `least` to `most`."""
    value = _number(row[column])
    if not least <= value <= most:
        raise DataError(
            f"{column} must be a number between {least:g} and {most:g}, got {row[column][:40]!r}: correct "
            "the cell"
        )
    return value


def _number(text: str) -> float:
    """Return a number, or NaN for any other text."""
    try:
        # float() also accepts 0_1, as 1.
        return float(text) if len(text) <= LONGEST_TEXT and "_" not in text else math.nan
    except ValueError:
        return math.nan


def day(row: Row, column: str) -> str:
    """Return a date in ISO 8601; the time of the day, if there is one, is left out."""
    try:
        return datetime.fromisoformat(row[column].strip()).date().isoformat()
    except ValueError:
        raise DataError(
            f"{column} must be a day as 2026-01-31, got {row[column][:40]!r}: correct the cell"
        ) from None
