"""Reading what a home knows: its database, or an empty one where there is none; and whether it changed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cli.workflows.home import Home
from db.state import evidence_state, file_state

if TYPE_CHECKING:
    from db.queries import Store


@contextmanager
def known_store(home: Home) -> Iterator[Store]:
    """Open the database to read; one that does not exist yet is as good as an empty one elsewhere."""
    from db.session import open_reader, open_store

    path = home.database
    if path.exists():
        with open_reader(path) as store:
            yield store
        return
    with tempfile.TemporaryDirectory() as nowhere, open_store(Path(nowhere) / path.name) as store:
        yield store


def state_of_evidence(home: Home) -> tuple[int, ...]:
    """Return numbers that change when predictors have something new to learn from, or networks are kept."""
    kept: list[int] = []
    with suppress(OSError):
        kept = sorted(path.stat().st_mtime_ns for path in home.kept_probes.iterdir())
    return *evidence_state(home.database), *kept


def state_of_home(home: Home) -> tuple[int, ...]:
    """Return numbers that change with every change of the database."""
    return file_state(home.database)
