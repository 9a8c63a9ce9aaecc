"""From rows to records: every column is checked for its type, then the record by its own rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from advisor.errors import AdvisorError
from db.checks.damage import DamagedRowError, check_value, damaged, leave_out
from db.models import Base, NanFloat

Row = TypeVar("Row", bound=Base)
T = TypeVar("T")

# Errors that reading a damaged value can raise.
_DAMAGE = (AdvisorError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


def readable(row: Row, read: Callable[[Row], T]) -> T:
    """Return what a row stands for.

    Args:
        row: the row.
        read: function from the row to its record, whose columns have their types.

    Raises:
        DamagedRowError: a column has a wrong type, or the record breaks a rule.
    """
    try:
        for name, kind, optional in _columns(type(row)):
            check_value(name, getattr(row, name), kind, optional)
        return read(row)
    except _DAMAGE as error:
        raise damaged(row.__tablename__, row.id, error) from error  # type: ignore[attr-defined]


def sound(path: Path, rows: Iterable[Row], read: Callable[[Row], T]) -> Iterator[T]:
    """Yield what rows stand for, without the damaged ones, each of which the log names once.

    Args:
        path: path of the database.
        rows: the rows.
        read: function from a row to its record; it raises a `DamagedRowError`.
    """
    for row in rows:
        try:
            yield read(row)
        except DamagedRowError as error:
            leave_out(path, error)


@lru_cache
def _columns(table: type[Base]) -> tuple[tuple[str, type, bool], ...]:
    """Return name, Python type and whether None is allowed, of every column."""
    found: list[tuple[str, Any, bool]] = []
    for column in table.__table__.columns:
        # NULL is read as NaN there.
        optional = bool(column.nullable) and not isinstance(column.type, NanFloat)
        found.append((column.name, column.type.python_type, optional))
    return tuple(found)
