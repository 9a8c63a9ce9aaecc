"""The copy of a database before it is migrated: one a content, however often the migration is tried.

The copy is called ``<name>.backup-<schema>``, with a number if another content has that name. Two copies of
one content differ at most in the counters of SQLite's header.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from db.upkeep import save_copy

# Bytes of the header that every writing may change (https://www.sqlite.org/fileformat.html): the versions for
# writing and reading, which are those of the journal mode; the change counter; the counter of schemas, which
# a copy raises; the number for which the version of SQLite is valid, and that version.
_CHANGING = (slice(18, 20), slice(24, 28), slice(40, 44), slice(92, 100))
_HEADER = 100
_BLOCK = 2**20


def kept_copy(path: Path, revision: str) -> Path:
    """Return a copy of a database: an earlier one of the same content, or else a new one.

    Args:
        path: path of the database, whose writer waits meanwhile.
        revision: schema of the database.

    Raises:
        StorageError: the copy cannot be written.
    """
    target = next(name for name in _names(path, revision) if not os.path.lexists(name))
    save_copy(path, target)
    earlier = next((each for each in _copies(path, revision) if each != target and _same(each, target)), None)
    if earlier is None:
        return target
    target.unlink()
    return earlier


def copy_of(path: Path, revision: str) -> Path | None:
    """Return an earlier copy of what a database contains now; None if there is none.

    Args:
        path: path of the database.
        revision: schema of the database.
    """
    return next((each for each in _copies(path, revision) if _same(each, path)), None)


def _names(path: Path, revision: str) -> Iterator[Path]:
    first = f"{path.name}.backup-{revision}"
    yield path.with_name(first)
    for number in count(2):
        yield path.with_name(f"{first}-{number}")


def _copies(path: Path, revision: str) -> Iterator[Path]:
    for name in _names(path, revision):
        if not os.path.lexists(name):
            return
        if name.is_file():
            yield name


def _same(one: Path, other: Path) -> bool:
    """Return whether two databases have the same pages."""
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        if _header(first.read(_HEADER)) != _header(second.read(_HEADER)):
            return False
        while block := first.read(_BLOCK):
            if block != second.read(_BLOCK):
                return False
    return True


def _header(content: bytes) -> bytes:
    header = bytearray(content)
    for part in _CHANGING:
        header[part] = bytes(part.stop - part.start)
    return bytes(header)
