"""Runs as rows: their columns, and their two files."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields

import pytest

from advisor.plans.records import RunStatus
from cli.workflows.answers.runs.listing import ListedRun
from cli.workflows.forecast import machine
from cli.workflows.home import Home
from cli.workflows.locks import locked
from cli.workflows.runs import listing
from cli.workflows.runs.listing import list_runs
from db.listing import COLUMNS
from db.session import open_store


def test_a_listed_run_has_the_columns_of_the_database_in_their_order():
    assert tuple(field.name for field in fields(ListedRun)) == COLUMNS


def test_statuses_have_the_names_that_records_give_them():
    assert (listing.RUNNING, listing.INTERRUPTED) == (RunStatus.RUNNING, RunStatus.INTERRUPTED)


@pytest.fixture
def two_runs(advisor, home, monkeypatch):
    """Two runs, of which the second is stored as running."""
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    for seed in ("1", "2"):
        made = advisor("train", "mlp-1-4", "--dataset", "digits", "--epochs", "1", "--seed", seed, "-q")
        assert made.code == 0, made.err
    with open_store(home / "advisor.sqlite") as store:
        store.update_run(2, status=RunStatus.RUNNING, train_seconds=1.5)
    return Home(home)


def test_a_run_counts_as_running_only_while_a_process_locks_its_folder(two_runs):
    def statuses(*where, sort="id"):
        return [(run.id, run.status) for run in list_runs(two_runs, where, sort, None).runs]

    with locked(two_runs.run_folder("runs/0002"), "run 2"):
        assert statuses() == [(1, "done"), (2, "running")]
    assert statuses() == [(1, "done"), (2, "interrupted")]
    assert statuses("status=running") == []
    assert statuses("status=interrupted") == [(2, "interrupted")]
    assert statuses(sort="-status") == [(2, "interrupted"), (1, "done")]


def test_an_export_has_every_run_as_json_and_as_csv(advisor, two_runs):
    as_json = advisor("runs", "export", "--format", "json").json
    assert as_json == advisor("runs", "list", "--sort", "id", "--json").json
    rows = list(csv.DictReader(io.StringIO(advisor("runs", "export", "--format", "csv").out)))
    assert tuple(rows[0]) == COLUMNS
    as_text = [
        {key: "" if value is None else str(value) for key, value in run.items()} for run in as_json["runs"]
    ]
    assert rows == as_text
    assert json.loads(advisor("runs", "list", "--where", "id=2", "--json").out)["runs"] == as_json["runs"][1:]
