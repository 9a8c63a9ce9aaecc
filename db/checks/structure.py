"""Tables, columns, keys and indices of a database, and where they differ from those of its schema.

`PRAGMA integrity_check` finds damaged pages. A database whose table was dropped is whole to SQLite, and a
stamp says nothing about the tables beside it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

from sqlalchemy import create_engine

from db.models import Base

# Definition of every part, by table and name of the part; the table itself has the name "".
Structure = dict[tuple[str, str], str]


def structure_of(connection: sqlite3.Connection) -> Structure:
    """Return the structure of a database.

    Args:
        connection: open connection, which is only read from.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    found: Structure = {}
    entries = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    for kind, name, table, sql in entries:
        if name.startswith("sqlite_") or table == "alembic_version":
            continue
        if kind == "table":
            found[name, ""] = "AUTOINCREMENT" if "AUTOINCREMENT" in str(sql).upper() else ""
            found |= {(name, part): text for part, text in _parts(connection, name)}
        elif kind != "index":
            found[table, f"{kind} {name}"] = ""
    return found


def _parts(connection: sqlite3.Connection, table: str) -> Iterator[tuple[str, str]]:
    """Yield columns, foreign keys and indices of a table with their definitions."""
    columns = 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_xinfo(?)'
    for name, kind, required, default, key in connection.execute(columns, (table,)):
        words = (kind, "NOT NULL" if required else "", f"DEFAULT {default}" if default else "")
        yield f"column {name}", " ".join(filter(None, (*words, "PRIMARY KEY" if key else "")))
    keys = 'SELECT "from", "table", "to", on_delete FROM pragma_foreign_key_list(?)'
    for column, parent, target, on_delete in connection.execute(keys, (table,)):
        yield f"foreign key {column}", f"{parent}({target}) ON DELETE {on_delete}"
    indices = 'SELECT name, "unique", origin FROM pragma_index_list(?)'
    for name, unique, origin in connection.execute(indices, (table,)).fetchall():
        inner = connection.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (name,))
        listed = ", ".join(str(column) for (column,) in inner)
        if origin == "u":
            yield f"unique key ({listed})", ""
        elif origin == "c":
            yield f"index {name}", f"{'UNIQUE ' if unique else ''}({listed})"


def structure_of_code() -> Structure:
    """Return the structure that the tables in `db.models` have."""
    engine = create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            Base.metadata.create_all(connection)
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            return structure_of(driver)
    finally:
        engine.dispose()


def differences(found: Mapping[tuple[str, str], str], wanted: Mapping[tuple[str, str], str]) -> list[str]:
    """Return where a structure differs from the wanted one, one line each.

    Args:
        found: structure of a file.
        wanted: structure of its schema.
    """
    lines = []
    for table, part in sorted(wanted.keys() | found.keys()):
        where = f"the {part} of the table {table}" if part else f"the table {table}"
        if part and ((table, "") not in found) != ((table, "") not in wanted):
            continue  # the line of the table says it
        if (table, part) not in found:
            lines.append(f"schema: {where} is missing")
        elif (table, part) not in wanted:
            lines.append(f"schema: {where} does not belong to it")
        elif found[table, part] != wanted[table, part]:
            right, wrong = wanted[table, part] or "plain", found[table, part] or "plain"
            lines.append(f"schema: {where} must be {right}, got {wrong}")
    return lines
