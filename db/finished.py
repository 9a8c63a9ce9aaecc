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
    "overhead_seconds": (float, True),
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
    peaks = _peaks(session, path, most)
    query = select(
        RunRow.id,
        *(getattr(RunRow, name) for name in COLUMNS if name not in ("processes", "test_images")),
        _of_plan("$.execution.processes").label("processes"),
        _of_plan("$.dataset.test_images").label("test_images"),
    )
    rows = session.execute(_finished(query, most))
    return list(_sound(path, RunRow.__tablename__, rows, lambda row: _finished_run_of(row, peaks)))


def _peaks(session: Session, path: Path, most: int | None) -> dict[int, list[int]]:
    """Return the known peaks of the steps of finished runs, without damaged ones."""
    own = StepRow.run_id.in_(_finished(select(RunRow.id), most))
    query = select(StepRow.id, StepRow.run_id, StepRow.peak_bytes).where(own, StepRow.peak_bytes.is_not(None))
    peaks: dict[int, list[int]] = defaultdict(list)
    for number, run_id, peak in session.execute(query):
        if type(peak) is int and peak >= 0:
            peaks[run_id].append(peak)
        else:
            error = f"peak_bytes must be a number of bytes, got {str(peak)!r:.60}"
            leave_out(path, damaged(StepRow.__tablename__, number, error))
    return peaks


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


def _finished_run_of(row: Row[Any], peaks: Mapping[int, list[int]]) -> FinishedRun:
    values: tuple[object, ...] = tuple(row[1:])
    for (name, (kind, optional)), value in zip(COLUMNS.items(), values, strict=True):
        _check(name, value, kind, optional)
    for name, number in (("processes", row.processes), ("test_images", row.test_images)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    check_amount("train_seconds", row.train_seconds)
    check_amount("overhead_seconds", row.overhead_seconds)
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
        overhead_seconds=row.overhead_seconds,
    )


def _check(name: str, value: object, kind: type, optional: bool = False) -> None:
    """Refuse a value of a wrong type, as `check_value` does, at once where it has the very type."""
    if type(value) is not kind:
        check_value(name, value, kind, optional)


def _forecast_of(plain: dict[str, Any]) -> Forecast:
    """Return a stored forecast without its steps."""
    return Forecast(
        **{name: _interval_of(name, plain[name]) for name in FIGURES},
        steps=(),
        corrections=tuple(map(_correction_of, plain.get("corrections", ()))),
        overhead_seconds=_interval_of("overhead_seconds", plain.get("overhead_seconds")),
        overhead_factor=_factor_of(plain.get("overhead_factor", 1.0)),
    )


def _interval_of(name: str, plain: list[float] | None) -> Interval | None:
    if plain is None:
        return None
    for value in plain:
        _check(name, value, float)
    mean, low, high = map(float, plain)
    return mean, low, high


def _factor_of(plain: Any) -> float:
    _check("overhead_factor", plain, float)
    return float(plain)


def _correction_of(plain: dict[str, Any]) -> Correction:
    for name, kind in (("basis", str), ("factor", float), ("own", int), ("shipped", int)):
        _check(name, plain[name], kind)
    return Correction(
        quantity=Quantity(plain["quantity"]),
        basis=plain["basis"],
        factor=float(plain["factor"]),
        own=plain["own"],
        shipped=plain["shipped"],
    )
