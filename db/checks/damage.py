"""Damaged rows: what makes a row one, the line that names it, and what becomes of it.

SQLite keeps any value in any column, and JSON is only text to it. Whatever is read back is therefore checked
as a file of somebody else would be: the type of every column, then the rules of the record.

- A row that was asked for by its number, or that an answer is about, refuses (`db.checks.rows.readable`).
- Among many rows, such as the evidence of a predictor, damaged ones are left out, each with one line in the
  log (`db.checks.rows.sound`). Python prints that line on stderr unless a program sets up its logging
  otherwise.
- `advisor db check` finds them all (`db.upkeep`).

This module needs the standard library alone, as `db.listing` does.
"""

from __future__ import annotations

import logging
import math
from functools import lru_cache
from pathlib import Path

from advisor.errors import StorageError

_LOG = logging.getLogger(__name__)
# What the error of a single row ends with, and a list of all has no need of.
SEE_CHECK = ": `advisor db check` lists all such rows"


class DamagedRowError(StorageError):
    """A row that is not what the program wrote."""


def damaged(table: str, row: int, error: object) -> DamagedRowError:
    """Return the error of a damaged row.

    Args:
        table: name of its table.
        row: its number.
        error: rule that it breaks.
    """
    text = " ".join(str(error).split())
    return DamagedRowError(f"row {row} of {table} is damaged ({text}){SEE_CHECK}")


@lru_cache(maxsize=1000)
def _say(path: Path, line: str) -> None:
    _LOG.warning("left out: %s", line)


def leave_out(path: Path, error: DamagedRowError) -> None:
    """Tell, once in a process, that a damaged row is left out.

    Args:
        path: path of the database.
        error: error of the row.
    """
    _say(path, str(error))


def check_value(name: str, value: object, kind: type, optional: bool) -> None:
    """Refuse a value that the column cannot have.

    Raises:
        ValueError: another type, a number that is not finite, or text that is not Unicode.
    """
    if value is None and optional:
        return
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name} must be {kind.__name__}, got {str(value)!r:.60}")
    if isinstance(value, str) and not value.isascii():
        value.encode()


def check_amount(name: str, value: float | None) -> None:
    """Refuse an amount, such as seconds or bytes, that is negative or not finite; None is none.

    Raises:
        ValueError: the amount is.
    """
    if value is not None and not 0 <= value < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, got {value}")


def check_share(name: str, value: float | None) -> None:
    """Refuse a share outside 0 to 1; None is none, and NaN stands for a network that diverged.

    Raises:
        ValueError: the share is.
    """
    if value is not None and not math.isnan(value) and not 0 <= value <= 1:
        raise ValueError(f"{name} must be a share between 0 and 1, got {value}")
