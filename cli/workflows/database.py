"""The database itself: where it is, whether it is whole, and a copy of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from advisor.errors import StorageError
from cli.workflows.home import SCHEMA_VERSION, Home


def path_of(home: Home) -> dict[str, Any]:
    """Return where the database is, without creating it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "database": str(home.database),
        "studies": str(home.studies),
        "exists": home.database.exists(),
    }


def check(home: Home) -> dict[str, Any]:
    """Check the database.

    Raises:
        StorageError: it has problems, or does not exist.
    """
    from db.session import open_store

    _require(home)
    with open_store(home.database) as store:
        problems = store.check()
    if problems:
        raise StorageError(f"{home.database} is damaged: {problems[0]}; restore a backup (advisor db backup)")
    return {"schema_version": SCHEMA_VERSION, "database": str(home.database), "problems": []}


def backup(home: Home, target: Path) -> dict[str, Any]:
    """Copy the database while it may be in use.

    Raises:
        StorageError: it does not exist, or the target does or cannot be written.
    """
    from db.session import open_store

    _require(home)
    with open_store(home.database) as store:
        store.backup(target)
    return {"schema_version": SCHEMA_VERSION, "backup": str(target)}


def _require(home: Home) -> None:
    if not home.database.exists():
        raise StorageError(f"there is no database at {home.database} yet: recommend or train makes one")
