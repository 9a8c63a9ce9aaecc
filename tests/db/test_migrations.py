from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from advisor.cost.measurement import LayerTime
from advisor.errors import StorageError
from advisor.plans.confusion import ConfusionMatrix
from advisor.plans.records import RunStatus
from db.imports import Imported
from db.listing import list_runs
from db.models import Base
from db.queries import Store
from db.schema import HEAD
from db.session import SCRIPTS, open_reader, open_store

DATA = Path(__file__).parent.parent / "data" / "db"
RELEASED = sorted(DATA.glob("schema_*.sql"))
NEW_FIGURES = ("voting_error", "super_learner_error", "best_member_error", "calibration_error")
AGAIN = {"source": "again.csv", "imported_at": "2026-12-01T00:00:00+00:00"}
NEXT_REVISION = f"{int(HEAD) + 1:04d}"

NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT_REVISION}"
down_revision = "{HEAD}"


def upgrade():
    op.add_column("runs", sa.Column("note", sa.String(), nullable=True))
    {{more}}
"""


def load(dump: Path, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))


def definitions(store: Store) -> dict[str, str]:
    """SQL of every table and index, with white space made equal; an added column has it elsewhere."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT IN (?, ?)"
    with store.engine.connect() as connection:
        rows = connection.exec_driver_sql(query, ("alembic_version", "sqlite_sequence")).all()
    return {name: re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split())) for name, sql in rows}


def columns(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[1] for row in connection.execute("PRAGMA table_info(runs)")}


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Pretend that a release with one schema more is installed."""

    def install(more: str) -> None:
        scripts = tmp_path / "100% scripts"
        shutil.copytree(SCRIPTS, scripts)
        (scripts / "versions" / f"{NEXT_REVISION}_note.py").write_text(NEXT.format(more=more))
        monkeypatch.setattr("db.session.SCRIPTS", scripts)
        for module in ("schema", "session", "listing"):
            monkeypatch.setattr(f"db.{module}.HEAD", NEXT_REVISION)

    return install


def test_the_head_in_code_is_that_of_the_scripts() -> None:
    assert ScriptDirectory(str(SCRIPTS)).get_heads() == [HEAD]


def test_every_released_schema_has_a_saved_database() -> None:
    revisions = {script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()}
    assert {dump.stem.removeprefix("schema_") for dump in RELEASED} == revisions


def test_the_tables_in_code_are_those_of_the_migrations(path: Path, store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_definitions_in_code_are_those_of_the_migrations(tmp_path: Path, store: Store) -> None:
    # compare_metadata sees neither AUTOINCREMENT nor ON DELETE CASCADE.
    migrated = definitions(store)
    with open_store(tmp_path / "other.db") as other:
        Base.metadata.drop_all(other.engine)
        Base.metadata.create_all(other.engine)
        assert definitions(other) == migrated


@pytest.mark.parametrize("dump", RELEASED, ids=lambda dump: dump.stem)
def test_a_saved_database_of_every_release_is_read(dump: Path, path: Path) -> None:
    load(dump, path)
    with open_store(path) as store:
        assert store.check() == []
        done, interrupted = store.runs()
        assert (done.id, done.status, done.folder) == (1, RunStatus.DONE, "runs/0001")
        assert done.plan.design == "2xresnet-8-8@g1"
        assert done.forecast is not None
        assert done.forecast.train_seconds == (12.5, 10.0, 15.0)
        assert done.test is not None
        assert done.test.member_errors == (0.05, 0.0625)
        assert (interrupted.id, interrupted.status, interrupted.forecast) == (
            3,
            RunStatus.INTERRUPTED,
            None,
        )
        assert [record.validation_probabilities for record in store.epochs(1)] == [b"\x00\xff", b"\x01\xfe"]
        assert [(step.step, step.status) for step in store.steps(1)] == [("train mother-1", "done")]
        assert [m.network for m in store.measurements("3aa5384bcd7f706a")] == ["resnet-8-8"]
        last = store.last_recommendation()
        assert last is not None
        assert (last.request["epochs"], last.payload) == (
            3,
            {"recommendations": [{"design": "2xresnet-8-8@g1"}]},
        )
    assert [row["id"] for row in list_runs(path, where={}, sort="id", descending=False, limit=None)] == [1, 3]


@pytest.mark.parametrize("dump", RELEASED, ids=lambda dump: dump.stem)
def test_a_measurement_from_before_layers_has_none_and_fitted(dump: Path, path: Path) -> None:
    load(dump, path)
    with open_store(path) as store:
        (m,) = store.measurements("3aa5384bcd7f706a")
    assert (m.fits, m.layers, m.throttle) == (True, (), "")
    assert (m.reference_seconds, m.reserved_bytes, m.watts, m.clock_mhz) == (None, None, None, None)
    assert (m.step_seconds, m.peak_bytes) == (0.004, None)
    assert (m.fingerprint.cores, m.fingerprint.kernels, m.fingerprint.protocol) == (0, "", 1)


def test_a_saved_measurement_with_layers_is_read(path: Path) -> None:
    load(DATA / "schema_0002.sql", path)
    with open_store(path) as store:
        (m,) = store.measurements("0de68cea59737580")
    assert m.layers == (
        LayerTime(name="flatten", forward_seconds=1e-6, backward_seconds=0.0, inference_seconds=1e-6),
        LayerTime(
            name="block1.layer1.linear", forward_seconds=1e-4, backward_seconds=2e-4, inference_seconds=1e-4
        ),
        LayerTime(
            name="block1.layer1.relu", forward_seconds=2e-6, backward_seconds=3e-6, inference_seconds=2e-6
        ),
        LayerTime(name="classifier", forward_seconds=2e-4, backward_seconds=5e-4, inference_seconds=1e-4),
        LayerTime(name="loss", forward_seconds=5e-6, backward_seconds=6e-6, inference_seconds=0.0),
    )
    assert (m.reserved_bytes, m.watts, m.clock_mhz) == (2097152, 212.5, 1755)
    assert m.throttle == "power cap, thermal limit"


@pytest.mark.parametrize("dump", RELEASED[:2], ids=lambda dump: dump.stem)
def test_a_run_from_before_voting_knows_nothing_of_it(dump: Path, path: Path) -> None:
    load(dump, path)
    with open_store(path) as store:
        test = store.run(1).test
    assert test is not None
    assert (test.error, test.mean_member_error) == (0.04, 0.05625)
    assert (test.voting_error, test.super_learner_error, test.super_learner_weights) == (None, None, None)
    assert (test.calibration_error, test.best_member, test.best_member_error) == (None, None, None)
    row = list_runs(path, where={}, sort="id", descending=False, limit=1)[0]
    assert row["mean_member_error"] == 0.05625
    assert [row[name] for name in NEW_FIGURES] == [None] * 4


def test_a_saved_run_with_voting_and_calibration_is_read(path: Path) -> None:
    load(DATA / "schema_0003.sql", path)
    with open_store(path) as store:
        test = store.run(1).test
        assert store.run(3).test is None
    assert test is not None
    assert (test.voting_error, test.super_learner_error) == (0.045, 0.035)
    assert test.super_learner_weights == (0.75, 0.25)
    assert (test.calibration_error, test.best_member, test.best_member_error) == (0.015, 1, 0.0625)
    rows = list_runs(path, where={"voting_error": "0.045"}, sort="id", descending=False, limit=None)
    assert [[row[name] for name in NEW_FIGURES] for row in rows] == [[0.045, 0.035, 0.0625, 0.015]]


@pytest.mark.parametrize("dump", RELEASED[3:], ids=lambda dump: dump.stem)
def test_a_saved_reported_training_is_read(dump: Path, path: Path) -> None:
    load(dump, path)
    with open_store(path) as store:
        training = store.reported()[0]
        # It is recognised, so its digest is still computed in the same way.
        assert store.add_reported(store.reported(), **AGAIN) == Imported(added=0, completed=0)
    assert (training.dataset, training.task.text, training.design) == (
        "fashion-14x14-400",
        "1x14x14",
        "2xresnet-26-6@g1",
    )
    assert (training.error, training.member_errors) == (0.2125, (0.25, 0.225))
    assert (training.validation_images, training.errors_by_members) == (None, None)
    assert (training.member_curve, training.ensemble_curve) == (None, None)


def test_a_reported_training_from_before_curves_is_completed(path: Path) -> None:
    load(DATA / "schema_0004.sql", path)
    with open_store(path) as store:
        (training,) = store.reported()
        whole = replace(training, errors_by_members=(0.25, 0.2125))
        assert store.add_reported([whole], **AGAIN) == Imported(added=0, completed=1)
        assert store.reported() == [whole]


def test_a_saved_reported_training_with_curves_is_read(path: Path) -> None:
    load(DATA / "schema_0005.sql", path)
    with open_store(path) as store:
        _, training = store.reported()
    assert (training.validation_images, training.errors_by_members) == (1000, (0.25, 0.2125))
    assert training.member_curve == (0.75, 0.5, 0.3125, 0.25)
    assert training.ensemble_curve == (0.75, 0.4375, 0.25, 0.1875)


@pytest.mark.parametrize("dump", RELEASED, ids=lambda dump: dump.stem)
def test_a_saved_run_knows_its_curves_and_since_0005_its_errors_by_members(dump: Path, path: Path) -> None:
    load(dump, path)
    with open_store(path) as store:
        test = store.run(1).test
        assert store.curves([1, 3]) == {1: {"mother-1": (0.125, 0.125)}, 3: {}}
    assert test is not None
    assert test.errors_by_members == ((0.05625, 0.04) if dump.stem >= "schema_0005" else None)


@pytest.mark.parametrize("dump", RELEASED, ids=lambda dump: dump.stem)
def test_a_saved_run_has_a_confusion_matrix_since_0008(dump: Path, path: Path) -> None:
    load(dump, path)
    matrix = ConfusionMatrix(images=(36,) * 10, confused=((3, 5, 2), (8, 1, 12)))
    with open_store(path) as store:
        assert store.confusion(1) == (matrix if dump.stem >= "schema_0008" else None)
        assert store.confusion(3) is None


@pytest.mark.parametrize("dump", RELEASED, ids=lambda dump: dump.stem)
def test_a_saved_run_has_the_classes_of_its_validation_images_since_0011(dump: Path, path: Path) -> None:
    load(dump, path)
    with open_store(path) as store:
        found = store.validation_classes(1)
    assert (None if found is None else found.tolist()) == (
        [i % 10 for i in range(360)] if dump.stem >= "schema_0011" else None
    )


@pytest.mark.parametrize("dump", RELEASED, ids=lambda dump: dump.stem)
def test_a_saved_forecast_has_corrections_since_0009(dump: Path, path: Path) -> None:
    load(dump, path)
    with open_store(path) as store:
        (run,) = store.finished_runs(10)
        whole = store.run(1)
    assert (run.id, run.test_error, run.test_images) == (1, 0.04, whole.plan.dataset.test_images)
    assert whole.forecast is not None
    assert run.forecast == replace(whole.forecast, steps=())
    assert [(c.quantity, c.basis, c.factor, c.own, c.shipped) for c in run.forecast.corrections] == (
        [("time", "measurements", 1.25, 3, 124), ("error", "runs", 0.75, 0, 400)]
        if dump.stem >= "schema_0009"
        else []
    )


@pytest.mark.parametrize("dump", RELEASED, ids=lambda dump: dump.stem)
def test_a_saved_run_knows_the_seconds_beside_its_training_since_0012(dump: Path, path: Path) -> None:
    load(dump, path)
    with open_store(path) as store:
        (finished,), run, interrupted = store.finished_runs(10), store.run(1), store.run(3)
    assert run.forecast is not None
    found = (run.overhead_seconds, run.forecast.overhead_seconds, run.forecast.overhead_factor)
    assert found == ((3.25, (3.0, 2.0, 5.0), 1.25) if dump.stem >= "schema_0012" else (None, None, 1.0))
    assert found[0] == finished.overhead_seconds
    assert interrupted.overhead_seconds is None
    listed = list_runs(path, where={}, sort="id", descending=False, limit=None)
    assert [row["overhead_seconds"] for row in listed] == [found[0], None]


def test_an_older_database_is_saved_and_migrated(path: Path, next_release: Callable[[str], None]) -> None:
    load(DATA / "schema_0001.sql", path)
    next_release("pass")
    with open_store(path) as store:
        assert [run.id for run in store.runs()] == [1, 3]
    assert "note" in columns(path)
    backup = path.with_name("advisor.db.backup-0001")
    assert "note" not in columns(backup)
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT id FROM runs ORDER BY id").fetchall() == [(1,), (3,)]


def test_a_backup_of_an_earlier_migration_is_kept(path: Path, next_release: Callable[[str], None]) -> None:
    load(DATA / "schema_0001.sql", path)
    path.with_name("advisor.db.backup-0001").write_text("earlier")
    next_release("pass")
    open_store(path).close()
    assert path.with_name("advisor.db.backup-0001").read_text() == "earlier"
    assert "note" not in columns(path.with_name("advisor.db.backup-0001-2"))


def test_a_migration_that_fails_changes_nothing(path: Path, next_release: Callable[[str], None]) -> None:
    load(DATA / "schema_0001.sql", path)
    next_release('op.execute("UPDATE nowhere SET a = 1")')
    with pytest.raises(StorageError, match="no such table: nowhere"):
        open_store(path)
    assert "note" not in columns(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]


def test_listing_migrates_an_older_database(path: Path, next_release: Callable[[str], None]) -> None:
    load(DATA / "schema_0001.sql", path)
    next_release("pass")
    assert len(list_runs(path, where={}, sort="id", descending=False, limit=None)) == 2
    assert "note" in columns(path)


def backups(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir() if "backup" in each.name)


def test_a_migration_that_fails_leaves_one_copy_however_often_it_is_tried(
    path: Path, next_release: Callable[[str], None]
) -> None:
    load(DATA / "schema_0001.sql", path)
    next_release('op.execute("UPDATE nowhere SET a = 1")')
    before = path.read_bytes()
    for _ in range(3):
        with pytest.raises(
            StorageError, match=r"stays as it is, with a copy in advisor\.db\.backup-0001: upgrade"
        ):
            open_store(path)
    # Who only reads does not try again.
    for read in (open_reader, lambda path: list_runs(path, where={}, sort="id", descending=False, limit=1)):
        with pytest.raises(StorageError, match=r"backup-0001 is a copy of it from a migration that failed"):
            read(path)
    assert backups(path) == ["advisor.db.backup-0001"]
    assert path.read_bytes() == before


def test_another_content_has_a_copy_of_its_own(path: Path, next_release: Callable[[str], None]) -> None:
    load(DATA / "schema_0001.sql", path)
    next_release('op.execute("UPDATE nowhere SET a = 1")')
    for seconds in (1, 2):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE runs SET train_seconds = ?", (seconds,))
        for _ in range(2):
            with pytest.raises(StorageError, match="with a copy in"):
                open_store(path)
    assert backups(path) == ["advisor.db.backup-0001", "advisor.db.backup-0001-2"]


@pytest.mark.parametrize("stamp", ["0000", "abcd", "", "-1", "00001"])
def test_an_unknown_stamp_is_one_line_and_changes_nothing(path: Path, stamp: str) -> None:
    load(DATA / "schema_0005.sql", path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (stamp,))
    before = path.read_bytes()
    for read in (
        open_store,
        open_reader,
        lambda path: list_runs(path, where={}, sort="id", descending=False, limit=1),
    ):
        with pytest.raises(
            StorageError, match=f"a schema from 0001 to {HEAD}, got the stamp '{stamp}': put a"
        ):
            read(path)
    assert path.read_bytes() == before
    assert backups(path) == []


def test_a_stamp_that_is_older_than_the_tables_is_one_line_and_changes_nothing(path: Path) -> None:
    load(DATA / "schema_0005.sql", path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0004'")
    before = path.read_bytes()
    for read in (open_store, open_reader):
        with pytest.raises(
            StorageError, match=r"tables of its schema 0004, but the column .* does not belong"
        ):
            read(path)
    assert path.read_bytes() == before
    assert backups(path) == []


def test_an_index_of_the_users_own_does_not_stop_a_migration(path: Path) -> None:
    load(DATA / "schema_0004.sql", path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE INDEX mine ON runs (design)")
    with open_store(path) as store:
        assert store.check() == ["schema: the index mine of the table runs does not belong to it"]
