"""Whether a database has changed: every change is seen, and a reader's visit is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_runs import epoch_of, record_run

from advisor.errors import StorageError
from advisor.plans.records import RunStatus
from db.session import open_reader, open_store
from db.state import evidence_state, file_state


def test_a_missing_database_has_a_state_that_changes_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "advisor.sqlite"
    before = file_state(path), evidence_state(path)
    with open_store(path):
        pass
    assert file_state(path) != before[0]
    assert evidence_state(path) != before[1]


def test_every_change_is_one_of_the_file_and_a_new_outcome_one_of_the_evidence(tmp_path: Path) -> None:
    path = tmp_path / "advisor.sqlite"
    with open_store(path) as store:
        run = record_run(store, "2xmlp-1-8", {"member-1": [0.5]}, epochs=2, status=RunStatus.RUNNING)
        files, evidence = file_state(path), evidence_state(path)
        store.record_epoch(run, epoch_of("member-1", 1, 0.4))
        assert file_state(path) != files
        assert evidence_state(path) == evidence
        files = file_state(path)
        store.update_run(run, status=RunStatus.DONE, train_seconds=1.0, test=None)
        assert file_state(path) != files
        assert evidence_state(path) != evidence
        evidence = evidence_state(path)
        store.delete_run(run)
        assert evidence_state(path) != evidence


def test_a_run_that_ended_and_was_resumed_to_its_end_is_new_evidence(tmp_path: Path) -> None:
    path = tmp_path / "advisor.sqlite"
    with open_store(path) as store:
        run = record_run(store, "2xmlp-1-8", {"member-1": [0.5]}, epochs=2, status=RunStatus.INTERRUPTED)
        before = evidence_state(path)
        store.update_run(run, status=RunStatus.DONE, train_seconds=store.run(run).train_seconds, test=None)
        assert evidence_state(path) != before


def test_reading_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "advisor.sqlite"
    with open_store(path) as store:
        record_run(store, "2xmlp-1-8", {"member-1": [0.5]}, epochs=2, error=0.1)
    files, evidence = file_state(path), evidence_state(path)
    with open_reader(path) as reader:
        assert reader.run_ids() == [1]
        assert file_state(path) == files
    assert (file_state(path), evidence_state(path)) == (files, evidence)


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "advisor.sqlite"
    path.write_bytes(b"x" * 5000)
    with pytest.raises(StorageError, match="damaged"):
        evidence_state(path)
