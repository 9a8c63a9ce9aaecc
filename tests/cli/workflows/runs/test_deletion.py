"""`advisor runs delete`: all of a run goes, or what is left is said and can be deleted later."""

from __future__ import annotations

import os

import pytest

from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.methods import make_plan
from cli.workflows.forecast.machine import plain_execution
from db.session import open_store


@pytest.fixture
def folder(home):
    """The folder of a stored run with some files."""
    plan = make_plan(
        parse_design("mlp-1-4"),
        DATASETS["digits"],
        epochs=1,
        batch=32,
        seed=0,
        execution=plain_execution("cpu"),
    )
    home.mkdir()
    with open_store(home / "advisor.sqlite") as store:
        run = store.create_run(
            created_at="2026-01-01T00:00:00+00:00", plan=plan, parameters=300, fingerprint="x", forecast=None
        )
    (home / run.folder / "networks" / "member-1").mkdir(parents=True)
    for name in ("a", "b", "c"):
        (home / run.folder / "networks" / "member-1" / name).write_text(name)
    return home / run.folder


def test_a_run_whose_files_cannot_be_removed_is_kept_until_they_can(advisor, folder, monkeypatch):
    unlink = os.unlink

    def refuse(path, **options):
        if os.path.basename(path) == "b":
            raise PermissionError(13, "Permission denied")
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        answer = advisor("runs", "delete", "1", "--yes")
    assert answer.code == 4
    assert answer.out == ""
    assert "4 files and folders are left" in answer.error_line
    assert str(folder) in answer.error_line
    assert "Permission denied" in answer.error_line
    (listed,) = advisor("runs", "list", "--json").json["runs"]
    assert (listed["status"], listed["message"]) == ("failed", "its deletion was begun: delete it again")
    assert advisor("runs", "delete", "1", "--yes", "--json").json["deleted"] == 1
    assert not folder.exists()
    assert advisor("runs", "list", "--json").json["runs"] == []


def test_a_run_without_a_folder_is_deleted_without_making_one(advisor, folder):
    for path in (*(folder / "networks" / "member-1").iterdir(),):
        path.unlink()
    os.removedirs(folder / "networks" / "member-1")
    assert advisor("runs", "delete", "1", "--yes").code == 0
    assert not folder.parent.exists()
