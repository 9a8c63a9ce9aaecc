from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from advisor.errors import StorageError, UnknownNameError, UsageError
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EnsembleMetrics, Forecast, Run, RunStatus
from db.listing import COLUMNS, NUMBERS, list_runs
from db.models import RunRow
from db.queries import Store
from db.schema import HEAD
from db.session import open_store

NewRun = Callable[[Store], Run]
Unprivileged = Callable[[], AbstractContextManager[None]]


def listed(path: Path, **change: Any) -> list[dict[str, object]]:
    options: dict[str, Any] = {"where": {}, "sort": "id", "descending": False, "limit": None}
    return list_runs(path, **{**options, **change})


def ids(path: Path, **change: Any) -> list[object]:
    return [row["id"] for row in listed(path, **change)]


@pytest.fixture
def three(path: Path, new_run: NewRun) -> Path:
    """A database with runs 1 to 3, of which the first two are done."""
    with open_store(path) as store:
        for _ in range(3):
            new_run(store)
        for run_id, error in ((1, 0.25), (2, 0.125)):
            test = EnsembleMetrics(
                error=error, member_errors=(error,), oracle_error=0.0, disagreement=0.0, nll=1.0
            )
            store.update_run(run_id, status=RunStatus.DONE, train_seconds=10.0 * run_id, test=test)
    return path


def test_a_run_is_listed_with_every_column(path: Path, plan: TrainingPlan, forecast: Forecast) -> None:
    with open_store(path) as store:
        store.create_run(
            created_at="2026-01-01", plan=plan, parameters=9876, fingerprint="abc", forecast=forecast
        )
        (row,) = listed(path)  # while the file is open for writing
    assert row == {
        "id": 1,
        "created_at": "2026-01-01",
        "status": "running",
        "design": "2xresnet-8-8@g1",
        "dataset": "digits",
        "family": "resnet",
        "method": "mothernets",
        "epochs": 3,
        "members": 2,
        "clusters": 1,
        "batch": 32,
        "seed": 1,
        "device": "cpu",
        "parameters": 9876,
        "train_seconds": 0.0,
        "predicted_train_seconds": 12.5,
        "test_error": None,
        "predicted_test_error": 0.05,
        "mean_member_error": None,
        "voting_error": None,
        "super_learner_error": None,
        "best_member_error": None,
        "calibration_error": None,
        "fingerprint": "abc",
        "message": "",
        "overhead_seconds": None,
    }


def test_the_columns_are_those_of_the_table_with_their_types() -> None:
    table = RunRow.__table__.columns
    assert set(table.keys()) - set(COLUMNS) == {"plan", "forecast", "test", "navigation"}
    assert {name: table[name].type.python_type for name in COLUMNS} == {
        name: NUMBERS.get(name, str) for name in COLUMNS
    }


def test_runs_are_sorted_with_missing_values_last(three: Path) -> None:
    assert ids(three, sort="test_error") == [2, 1, 3]
    assert ids(three, sort="test_error", descending=True) == [1, 2, 3]
    assert ids(three, sort="id", descending=True) == [3, 2, 1]
    assert ids(three, sort="seed", descending=True, limit=2) == [1, 2]


def test_runs_are_filtered_by_every_value_given(three: Path) -> None:
    assert ids(three, where={"status": "done"}) == [1, 2]
    assert ids(three, where={"status": "done", "test_error": "0.125"}) == [2]
    assert ids(three, where={"batch": "32", "design": "2xresnet-8-8@g1", "id": "3"}) == [3]
    assert ids(three, where={"design": "' OR 1 = 1 --"}) == []


def test_an_unknown_column_is_refused_with_the_nearest(three: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown column 'test_eror': did you mean 'test_error'"):
        listed(three, sort="test_eror")
    with pytest.raises(UnknownNameError, match="unknown column"):
        listed(three, where={"id = 1; DROP TABLE runs": "1"})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"where": {"batch": "many"}}, "batch must be a whole number, got 'many'"),
        ({"where": {"seed": str(2**63)}}, "seed must be a whole number below 2"),
        ({"where": {"test_error": "low"}}, "test_error must be a number, got 'low'"),
        ({"limit": 0}, "at least 1, got 0"),
    ],
)
def test_what_is_not_a_number_is_refused(three: Path, change: dict[str, object], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        listed(three, **change)


def test_a_missing_file_has_no_runs_and_is_not_created(tmp_path: Path) -> None:
    assert listed(tmp_path / "home" / "advisor.db") == []
    assert os.listdir(tmp_path) == []


def test_an_empty_file_has_no_runs(path: Path) -> None:
    path.touch()
    assert listed(path) == []
    assert path.stat().st_size == 0


def test_text_that_is_not_unicode_is_one_line(three: Path) -> None:
    with pytest.raises(StorageError, match="cannot hold a value"):
        listed(three, where={"design": "\udcff"})


def test_names_are_checked_even_where_there_is_nothing_to_list(path: Path) -> None:
    with pytest.raises(UnknownNameError):
        listed(path, sort="nothing")


@pytest.mark.parametrize("name", ["with space", "100%41?mode=rw&x#y", "größe-数据", ":memory:", "a'b\""])
def test_any_path_can_be_listed(tmp_path: Path, new_run: NewRun, name: str) -> None:
    path = tmp_path / name / name
    with open_store(path) as store:
        new_run(store)
    assert ids(path) == [1]


def test_a_newer_database_is_refused(three: Path) -> None:
    with closing(sqlite3.connect(three)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (f"{int(HEAD) + 1:04d}",))
    with pytest.raises(StorageError, match="upgrade advisor"):
        listed(three)


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE books (title TEXT)")
    with pytest.raises(StorageError, match="another program"):
        listed(path)


def test_damage_is_one_line(path: Path) -> None:
    path.write_bytes(os.urandom(8192))
    with pytest.raises(StorageError, match="is damaged"):
        listed(path)


def test_a_folder_in_place_of_the_file_is_one_line(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StorageError, match="must be a file"):
        listed(path)


def test_a_locked_file_is_one_line(three: Path) -> None:
    with closing(sqlite3.connect(three, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="locked"):
            listed(three, busy_seconds=0.1)


def test_a_home_that_allows_only_reading_can_be_listed(
    open_folder: Path, new_run: NewRun, without_privileges: Unprivileged
) -> None:
    path = open_folder / "advisor.db"
    with open_store(path) as store:
        new_run(store)
    path.chmod(0o444)
    open_folder.chmod(0o555)
    with without_privileges():
        assert ids(path) == [1]
    assert os.listdir(open_folder) == ["advisor.db"]


def test_ten_thousand_runs_are_listed_in_half_a_second(three: Path) -> None:
    names = [name for name in RunRow.__table__.columns.keys() if name != "id"]  # noqa: SIM118
    with closing(sqlite3.connect(three)) as connection, connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9997) "
            f"INSERT INTO runs ({', '.join(names)}) SELECT {', '.join(names)} FROM runs, n WHERE id = 1"
        )
    start = time.perf_counter()
    rows = listed(three, where={"status": "done"}, sort="test_error", descending=True)
    assert time.perf_counter() - start < 0.5
    assert len(rows) == 9999


def test_listing_imports_neither_sqlalchemy_nor_numpy_nor_torch(three: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from db.listing import list_runs\n"
        "rows = list_runs(Path(sys.argv[1]), where={}, sort='id', descending=True, limit=1)\n"
        "heavy = {'sqlalchemy', 'alembic', 'numpy', 'scipy', 'torch', 'advisor.plans.plan'}\n"
        "print(len(rows), sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(three)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1 []\n"


@pytest.mark.parametrize("change", ["epochs = 'three'", "message = CAST(x'ff' AS TEXT)", "seed = 1.5"])
def test_a_damaged_row_is_left_out_of_the_list_with_one_line(
    three: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    with closing(sqlite3.connect(three)) as connection, connection:
        connection.execute(f"UPDATE runs SET {change} WHERE id = 2")
    assert ids(three) == ids(three) == [1, 3]
    (line,) = [record.message for record in caplog.records]
    assert line.startswith("left out: row 2 of runs is damaged (")
