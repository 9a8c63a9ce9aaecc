"""`advisor runs list` and `runs export`: runs as rows, by a way of their own that imports little."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from advisor.errors import UnknownNameError, UsageError
from cli.workflows.answers.answer import keyed_fields, plain
from cli.workflows.answers.runs.listing import ListedRun, RunList
from cli.workflows.home import Home
from db.listing import list_runs as stored_rows
from db.schema import folder_of

# As in `advisor.plans.records`, whose import takes longer than listing runs.
RUNNING, INTERRUPTED = "running", "interrupted"
FORMATS = ("csv", "json")


def list_runs(home: Home, where: Sequence[str], sort: str, limit: int | None) -> RunList:
    """Return the runs that meet all conditions.

    Args:
        home: home of the runs.
        where: conditions ``key=value``; the key is a column.
        sort: column to sort by, with ``-`` in front for descending.
        limit: largest number of runs, None for all.

    Raises:
        UsageError: a malformed condition, an unknown column, or a value that does not fit its column.
    """
    conditions = {}
    for condition in where:
        key, sign, value = condition.partition("=")
        if not sign or not key:
            raise UsageError(f"--where {condition!r}: write key=value, for example status=done")
        conditions[key] = value
    return RunList(runs=tuple(_runs(home, conditions, sort, limit)))


def export_runs(home: Home, form: str) -> str:
    """Return every run with all columns as text.

    Args:
        home: home of the runs.
        form: ``csv`` or ``json``.

    Raises:
        UnknownNameError: another format.
    """
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)
    answer = list_runs(home, (), "id", None)
    if form == "json":
        return json.dumps(answer.to_json(), indent=2) + "\n"
    text = io.StringIO()
    writer = csv.DictWriter(text, [name for name, _ in keyed_fields(ListedRun)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain(answer.runs))
    return text.getvalue()


def _runs(home: Home, where: Mapping[str, str], sort: str, limit: int | None) -> list[ListedRun]:
    """Return runs with their true status, to which a condition on the status applies."""
    column, descending = sort.removeprefix("-"), sort.startswith("-")
    found = _stored(home, where, column, descending, limit)
    running = _stored(home, {"status": RUNNING}, "id", False, None)
    abandoned = {run.id for run in running if not home.trains(folder_of(run.id))}
    if not abandoned:
        return found
    # Read again: a run that ended in between stored its status before it released its folder.
    others = {key: value for key, value in where.items() if key != "status"}
    by_status = column == "status"
    found = [
        replace(run, status=INTERRUPTED) if run.status == RUNNING and run.id in abandoned else run
        for run in _stored(home, others, "id" if by_status else column, descending and not by_status, None)
    ]
    if by_status:
        found.sort(key=lambda run: run.status, reverse=descending)
    return [run for run in found if run.status == where.get("status", run.status)][:limit]


def _stored(
    home: Home, where: Mapping[str, str], column: str, descending: bool, limit: int | None
) -> list[ListedRun]:
    rows = stored_rows(home.database, where=where, sort=column, descending=descending, limit=limit)
    return [_listed(row) for row in rows]


def _listed(row: Mapping[str, Any]) -> ListedRun:
    return ListedRun(**row)
