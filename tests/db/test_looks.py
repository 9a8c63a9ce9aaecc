"""Looks at data sets: one row for equal data, which a new look replaces."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.accuracy.data_level import CountedError, Look
from db.queries import Store
from db.session import open_store

LOOK = Look(
    data_key="folder:0123abcd at 9x9",
    errors={"neighbours": CountedError(6, 360), "linear": CountedError(0, 360)},
    train_images=1077,
    seed=2**32 - 1,
    looked_at="2026-01-01T00:00:00+00:00",
)


def test_a_look_is_found_under_its_data_alone(store: Store) -> None:
    store.add_look(LOOK)
    assert store.look(LOOK.data_key) == LOOK
    assert store.look("folder:0123abcd") is None


def test_a_new_look_replaces_the_old_one_of_the_same_data_and_no_other(store: Store) -> None:
    other = replace(LOOK, data_key="digits")
    again = replace(LOOK, errors={"patches": CountedError(3, 200)}, seed=1, train_images=2000)
    for look in (LOOK, other, again):
        store.add_look(look)
    assert (store.look(LOOK.data_key), store.look("digits")) == (again, other)


def test_a_look_is_in_a_backup(store: Store, path: Path) -> None:
    store.add_look(LOOK)
    store.backup(path.with_name("copy.db"))
    with open_store(path.with_name("copy.db")) as copy:
        assert copy.look(LOOK.data_key) == LOOK


DAMAGE = (
    "errors = '{}'",
    "errors = '[]'",
    "errors = 'x'",
    """errors = '{"linear": [7, 6]}'""",
    """errors = '{"linear": [-1, 6]}'""",
    """errors = '{"linear": [0, 0]}'""",
    """errors = '{"linear": [1.5, 6]}'""",
    """errors = '{"linear": [true, 6]}'""",
    """errors = '{"linear": [1]}'""",
    "train_images = 0",
    "train_images = 'many'",
    "seed = -1",
    "looked_at = x'ff'",
)


def test_a_damaged_look_is_named_and_left_out_until_a_new_one_replaces_it(
    store: Store, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for change in DAMAGE:
        store.add_look(LOOK)
        assert store.check() == []
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE looks SET {change}")
        assert store.look(LOOK.data_key) is None, change
        (line,) = store.check()
        assert line.startswith("row 1 of looks is damaged ("), change
        assert line in caplog.text
    store.add_look(LOOK)
    assert store.look(LOOK.data_key) == LOOK


def test_a_saved_look_is_read(path: Path) -> None:
    saved = Path(__file__).parent.parent / "data" / "db" / "schema_0006.sql"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(saved.read_text(encoding="utf-8"))
    with open_store(path) as store:
        look = store.look("digits")
    assert look is not None
    assert look.errors["linear"] == CountedError(13, 360)
    assert (look.train_images, look.seed) == (1077, 0)
