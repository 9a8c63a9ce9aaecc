"""Whether a database has changed, without reading what is in it: for who keeps what was derived from it.

Like `db.listing`, this module imports neither SQLAlchemy nor anything that needs numpy.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from db.reading import reading_connection
from db.schema import refusal

# Tables and conditions of the rows that predictors learn from. A run that ended and was resumed has the same
# number; what it took in all has changed then.
_EVIDENCE = (
    ("runs", "status NOT IN ('planned', 'running')", "1000 * total(train_seconds) + sum(status = 'done')"),
    ("measurements", "1", "0"),
    ("reported_trainings", "1", "0"),
    ("looks", "1", "0"),
)
BUSY_SECONDS = 5.0


def file_state(path: Path) -> tuple[int, ...]:
    """Return numbers that change with every change of a database: times and sizes of its files.

    Args:
        path: path of the database; a missing file has a state, too.
    """
    found: list[int] = []
    for each in (path, path.with_name(path.name + "-wal")):
        try:
            about = each.stat()
        except OSError:
            continue
        # A reader makes an empty file -wal.
        if about.st_size == 0 and each != path:
            continue
        found += (about.st_mtime_ns, about.st_size)
    return tuple(found)


def evidence_state(path: Path) -> tuple[int, ...]:
    """Return numbers that change when predictors have something new to learn from.

    An epoch of a run that still trains is too little for that.

    Args:
        path: path of the database; a missing file has a state, too.

    Raises:
        StorageError: the file cannot be read.
    """
    if not path.exists():
        return ()
    try:
        with closing(reading_connection(path, BUSY_SECONDS)) as connection:
            return tuple(
                int(number)
                for table, condition, more in _EVIDENCE
                for number in connection.execute(
                    f"SELECT count(*), coalesce(max(id), 0), coalesce({more}, 0) FROM {table} "
                    f"WHERE {condition}"
                ).fetchone()
            )
    except sqlite3.Error as error:
        raise refusal(path, error) from None
