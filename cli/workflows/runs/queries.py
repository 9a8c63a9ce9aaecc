"""Past runs: list, show, compare, export, delete. Listing goes a way of its own that imports little.

A run whose process was killed cannot say so: the database has it running. It is shown as interrupted, because
nobody holds its folder any more; a query writes nothing, so the database learns it when the run is resumed.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from advisor.errors import UnknownNameError, UsageError
from cli.workflows.home import SCHEMA_VERSION, Home, is_held, locked
from db.listing import COLUMNS, list_runs
from db.schema import folder_of

if TYPE_CHECKING:
    from advisor.plans.records import EpochRecord, Run
    from db.queries import Store

Result = TypeVar("Result")


NO_RUN = "there is no run yet: `advisor train` makes one"
# As in `advisor.plans.records`, whose import takes longer than listing runs.
RUNNING, INTERRUPTED = "running", "interrupted"
Row = dict[str, object]


def listed(home: Home, where: Sequence[str], sort: str, limit: int | None) -> dict[str, Any]:
    """Return runs by conditions ``key=value``; `sort` is a column, with ``-`` in front for descending.

    Raises:
        UsageError: a malformed condition or an unknown column.
    """
    conditions = {}
    for condition in where:
        key, sign, value = condition.partition("=")
        if not sign or not key:
            raise UsageError(f"--where {condition!r}: write key=value, for example status=done")
        conditions[key] = value
    return {"schema_version": SCHEMA_VERSION, "runs": _rows(home, conditions, sort, limit)}


def _rows(home: Home, where: dict[str, str], sort: str, limit: int | None) -> list[Row]:
    """Return runs as they stand; a status that is asked for is the one that is shown."""
    column, descending = sort.removeprefix("-"), sort.startswith("-")
    rows = list_runs(home.database, where=where, sort=column, descending=descending, limit=limit)
    running = list_runs(home.database, where={"status": RUNNING}, sort="id", descending=False, limit=None)
    abandoned = {row["id"] for row in running if not is_held(home.run_folder(folder_of(int(str(row["id"])))))}
    if not abandoned:
        return rows
    # Read again: a run that came to its end in between has told so before it let go of its folder.
    others = {key: value for key, value in where.items() if key != "status"}
    by_status = column == "status"
    rows = list_runs(
        home.database,
        where=others,
        sort="id" if by_status else column,
        descending=descending and not by_status,
        limit=None,
    )
    rows = [row | {"status": _standing(str(row["status"]), row["id"] in abandoned)} for row in rows]
    if by_status:
        rows.sort(key=lambda row: str(row["status"]), reverse=descending)
    return [row for row in rows if row["status"] == where.get("status", row["status"])][:limit]


def _standing(status: str, abandoned: bool) -> str:
    return INTERRUPTED if abandoned and status == RUNNING else status


def stored_run(store: Store, home: Home, number: int) -> Run:
    """Return a run as it stands."""
    from advisor.plans.records import RunStatus

    run = store.run(number)
    if run.status is RunStatus.RUNNING and not is_held(home.run_folder(run.folder)):
        # Read again, as above.
        run = store.run(number)
        return replace(run, status=RunStatus(_standing(run.status.value, abandoned=True)))
    return run


def run_id_of(text: str, home: Home) -> int:
    """Return the number of a run: itself, or the newest for ``last``.

    Raises:
        UsageError: neither, or no run yet.
    """
    if text == "last":
        rows = list_runs(home.database, where={}, sort="id", descending=True, limit=1)
        if not rows:
            raise UsageError(NO_RUN)
        return int(str(rows[0]["id"]))
    if not text.isdecimal() or len(text) > 18:
        raise UsageError(f"a run is a number or 'last', got {text!r}: see `advisor runs list`")
    return int(text)


def shown(home: Home, run: str) -> dict[str, Any]:
    """Return one run with its networks, steps and forecast."""
    number = run_id_of(run, home)
    return _with_store(home, lambda store: describe_run(store, home, number))


def compared(home: Home, runs: Sequence[str]) -> dict[str, Any]:
    """Return several runs side by side.

    Raises:
        UsageError: fewer than two.
    """
    if len(runs) < 2:
        raise UsageError(f"compare needs at least 2 runs, got {len(runs)}")
    ids = [run_id_of(run, home) for run in runs]
    found = _with_store(home, lambda store: [describe_run(store, home, number)["run"] for number in ids])
    return {"schema_version": SCHEMA_VERSION, "runs": found}


def exported(home: Home, form: str) -> str:
    """Return every run with all columns of the listing as text.

    Raises:
        UnknownNameError: a format other than csv and json.
    """
    if form not in ("csv", "json"):
        raise UnknownNameError("format", form, ["csv", "json"])
    rows = _rows(home, {}, "id", None)
    if form == "json":
        return json.dumps({"schema_version": SCHEMA_VERSION, "runs": rows}, indent=2) + "\n"
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def deleted(home: Home, run: str) -> dict[str, Any]:
    """Delete a run, its records and its files.

    Raises:
        RunError: it is being trained.
    """
    number = run_id_of(run, home)

    def delete(store: Store) -> dict[str, Any]:
        folder = home.run_folder(store.run(number).folder)
        with locked(folder, f"run {number}"):
            store.delete_run(number)
        shutil.rmtree(folder, ignore_errors=True)
        return {"schema_version": SCHEMA_VERSION, "deleted": number}

    return _with_store(home, delete)


def describe_run(store: Store, home: Home, number: int) -> dict[str, Any]:
    """Return a run as plain JSON: what was planned, predicted, done, and how it turned out."""
    from advisor.serial import to_plain

    run = stored_run(store, home, number)
    steps = {record.step: record for record in store.steps(number)}
    return {
        "schema_version": SCHEMA_VERSION,
        "run": {
            "id": run.id,
            "created_at": run.created_at,
            "status": run.status.value,
            "message": run.message,
            "design": run.plan.design,
            "method": run.plan.method.value,
            "dataset": run.plan.dataset.name,
            "epochs": run.plan.epochs,
            "batch": run.plan.batch,
            "seed": run.plan.seed,
            "execution": _without_kind(to_plain(run.plan.execution)),
            "parameters": run.parameters,
            "folder": run.folder,
            "train_seconds": run.train_seconds,
            "test": _test_of(run),
            "predicted": _predicted_of(run),
            "networks": _networks_of(run, store.epochs(number)),
            "steps": [_step_of(step.id, step.network, steps, run) for step in run.plan.steps],
        },
    }


def _networks_of(run: Run, epochs: Sequence[EpochRecord]) -> list[dict[str, Any]]:
    newest = {epoch.network: epoch for epoch in epochs}
    counts = Counter(epoch.network for epoch in epochs)
    return [
        {
            "name": network.name,
            "network": network.network,
            "role": network.role.value,
            "epochs": counts[network.name],
            "validation_error": getattr(newest.get(network.name), "validation_error", None),
            "train_error": getattr(newest.get(network.name), "train_error", None),
        }
        for network in run.plan.networks
    ]


def _test_of(run: Run) -> dict[str, Any] | None:
    if run.test is None:
        return None
    from advisor.serial import to_plain

    derived = ("mean_member_error", "best_member_error")
    return _without_kind(to_plain(run.test)) | {name: getattr(run.test, name) for name in derived}


def _predicted_of(run: Run) -> dict[str, Any] | None:
    if run.forecast is None:
        return None
    names = ("train_seconds", "train_peak_bytes", "inference_ms_per_image", "test_error")
    return {name: _estimate(getattr(run.forecast, name)) for name in names}


def _estimate(triple: tuple[float, float, float] | None) -> dict[str, float] | None:
    return None if triple is None else dict(zip(("mean", "low", "high"), triple, strict=True))


def _step_of(step: str, network: str, records: dict[str, Any], run: Run) -> dict[str, Any]:
    record = records.get(step)
    forecast = {p.step: p for p in run.forecast.steps} if run.forecast else {}
    predicted = forecast.get(step)
    return {
        "step": step,
        "network": network,
        "status": None if record is None else record.status,
        "message": "" if record is None else record.message,
        "predicted_seconds": predicted
        and {"mean": predicted.mean, "low": predicted.low, "high": predicted.high},
        "actual_seconds": None if record is None else record.seconds,
        "peak_bytes": None if record is None else record.peak_bytes,
        "hatch_difference": None if record is None else record.hatch_difference,
    }


def _without_kind(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if key != "kind"}


def _with_store(home: Home, use: Callable[[Store], Result]) -> Result:
    with existing_store(home) as store:
        return use(store)


def existing_store(home: Home) -> Store:
    """Open the database, which must exist: a query creates nothing.

    Raises:
        UsageError: there is none yet.
    """
    if not home.database.exists():
        raise UsageError(NO_RUN)
    from db.session import open_store

    return open_store(home.database)
