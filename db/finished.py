"""Finished runs with their forecasts and what became of them.

A page reads those of all runs at once, ten thousand in less than a second. So nothing is read but the columns
that are needed, SQLite takes two numbers out of a plan, and a forecast is built field by field:
`advisor.serial.from_plain` takes most of that second.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Row, Select, case, func, select
from sqlalchemy.orm import Session

from advisor.conformal import Correction, Quantity
from advisor.errors import AdvisorError
from advisor.plans.outcomes import FinishedRun, peak_at_once
from advisor.plans.records import Forecast, RunStatus
from db.checks.damage import check_amount, check_share, check_value, damaged, leave_out
from db.models import RunRow, StepRow

T = TypeVar("T")
Interval = tuple[float, float, float]
FIGURES = ("train_seconds", "train_peak_bytes", "inference_ms_per_image", "test_error")
# Type of every column that is read, and whether it may be NULL.
COLUMNS: dict[str, tuple[type, bool]] = {
    "design": (str, False),
    "dataset": (str, False),
    "device": (str, False),
    "fingerprint": (str, False),
    "forecast": (str, False),
    "train_seconds": (float, False),
    "test_error": (float, True),
    "processes": (int, False),
    "test_images": (int, False),
}
# Errors that a damaged column can raise.
DAMAGE = (AdvisorError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


def finished_runs_of(session: Session, path: Path, most: int | None) -> list[FinishedRun]:
    """Return finished runs that have a forecast with what became of it, newest first.

    Args:
        session: session to read with.
        path: path of the database, for the log.
        most: number of runs at most; None for all.
    """
    numbers = _finished(select(RunRow.id), most)
    steps = select(StepRow.id, StepRow.run_id, StepRow.peak_bytes).where(StepRow.run_id.in_(numbers))
    peaks: dict[int, list[int | None]] = defaultdict(list)
    for run_id, peak in _sound(path, StepRow.__tablename__, session.execute(steps), _peak_of):
        peaks[run_id].append(peak)
    query = select(
        RunRow.id,
        *(getattr(RunRow, name) for name in COLUMNS if name not in ("processes", "test_images")),
        _of_plan("$.execution.processes").label("processes"),
        _of_plan("$.dataset.test_images").label("test_images"),
    )
    rows = session.execute(_finished(query, most))
    return list(_sound(path, RunRow.__tablename__, rows, lambda row: _finished_run_of(row, peaks)))


def _finished(query: Select[Any], most: int | None) -> Select[Any]:
    finished = RunRow.status == RunStatus.DONE, RunRow.forecast.is_not(None)
    return query.where(*finished).order_by(RunRow.id.desc()).limit(most)


def _of_plan(field: str) -> Any:
    """Return the SQL of a field of a plan; NULL where the plan is not JSON or lacks it."""
    return case((func.json_valid(RunRow.plan) == 1, func.json_extract(RunRow.plan, field)))


def _sound(path: Path, table: str, rows: Any, read: Callable[[Row[Any]], T]) -> Iterator[T]:
    """Yield what rows stand for, without the damaged ones, each of which the log names once."""
    for row in rows:
        try:
            yield read(row)
        except DAMAGE as error:
            leave_out(path, damaged(table, row.id, error))


def _peak_of(row: Row[Any]) -> tuple[int, int | None]:
    check_value("peak_bytes", row.peak_bytes, int, True)
    check_amount("peak_bytes", row.peak_bytes)
    return row.run_id, row.peak_bytes


def _finished_run_of(row: Row[Any], peaks: Mapping[int, list[int | None]]) -> FinishedRun:
    values = row._mapping
    for name, (kind, optional) in COLUMNS.items():
        check_value(name, values[name], kind, optional)
    for name in ("processes", "test_images"):
        if values[name] < 1:
            raise ValueError(f"{name} must be at least 1, got {values[name]}")
    check_amount("train_seconds", row.train_seconds)
    check_share("test_error", row.test_error)
    return FinishedRun(
        id=row.id,
        design=row.design,
        dataset=row.dataset,
        device=row.device,
        fingerprint=row.fingerprint,
        forecast=_forecast_of(json.loads(row.forecast)),
        train_seconds=row.train_seconds,
        train_peak_bytes=peak_at_once(peaks.get(row.id, ()), row.processes),
        test_error=row.test_error,
        test_images=row.test_images,
    )


def _forecast_of(plain: dict[str, Any]) -> Forecast:
    """Return a stored forecast without its steps."""
    return Forecast(
        **{name: _interval_of(name, plain[name]) for name in FIGURES},
        steps=(),
        corrections=tuple(map(_correction_of, plain.get("corrections", ()))),
    )


def _interval_of(name: str, plain: list[float] | None) -> Interval | None:
    if plain is None:
        return None
    for value in plain:
        check_value(name, value, float, False)
    mean, low, high = map(float, plain)
    return mean, low, high


def _correction_of(plain: dict[str, Any]) -> Correction:
    check_value("basis", plain["basis"], str, False)
    for name, kind in (("factor", float), ("own", int), ("shipped", int)):
        check_value(name, plain[name], kind, False)
    return Correction(
        quantity=Quantity(plain["quantity"]),
        basis=plain["basis"],
        factor=float(plain["factor"]),
        own=plain["own"],
        shipped=plain["shipped"],
    )
