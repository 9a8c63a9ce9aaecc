"""What the program asks the database and tells it, one method an idea.

Every method is one transaction: when it returns, what it wrote is on the disk; when it raises, nothing of
it is. One process writes at a time; a second one waits for its turn, and then is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from advisor.accuracy.reported import ReportedTraining
from advisor.cost.measurement import Measurement, TrainedEpochs
from advisor.errors import UsageError
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EnsembleMetrics, EpochRecord, Forecast, Run, RunStatus, StepRecord
from db import convert, upkeep
from db.convert import StoredRecommendation
from db.engine import storage_errors, writer_of
from db.imports import Imported, import_rows
from db.models import EpochRow, MeasurementRow, RecommendationRow, ReportedTrainingRow, RunRow, StepRow

# SQLite before 3.32 takes at most 999 values in a statement.
MOST_IDS = 900


class Store:
    """The database, open. `db.session.open_store` makes one; use it in a ``with`` statement.

    Every method raises `StorageError` when the file is locked for longer than the time-out, damaged,
    read-only or out of space, and every method that takes a run's id, `epochs` and `steps` apart, raises
    `UsageError` when there is no such run.

    Attributes:
        path: of the file.
        engine: of SQLAlchemy, for readers.
    """

    def __init__(self, path: Path, engine: Engine) -> None:
        self.path = path
        self.engine = engine
        self._writer = writer_of(engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; SQLite then folds its write-ahead log into the file."""
        self.engine.dispose()

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        with storage_errors(self.path), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    # Measurements and recommendations

    def add_measurement(self, m: Measurement) -> None:
        """Store a measurement."""
        with self._session(self._writer) as session:
            session.add(convert.row_of_measurement(m))

    def measurements(self, fingerprint: str | None = None) -> list[Measurement]:
        """Return measurements, oldest first.

        Args:
            fingerprint: digest of the machine they must hold on; None for all.
        """
        query = select(MeasurementRow).order_by(MeasurementRow.id)
        if fingerprint is not None:
            query = query.where(MeasurementRow.digest == fingerprint)
        with self._session(self.engine) as session:
            return [convert.measurement_of(row) for row in session.scalars(query)]

    def add_recommendation(self, created_at: str, request: dict[str, Any], payload: dict[str, Any]) -> int:
        """Store a recommendation and return its id.

        Args:
            created_at: UTC time, ISO 8601.
            request: what was asked for, plain JSON.
            payload: what was answered, plain JSON.
        """
        row = convert.row_of_recommendation(created_at, request, payload)
        with self._session(self._writer) as session:
            session.add(row)
        return row.id

    def last_recommendation(self) -> StoredRecommendation | None:
        """Return the newest recommendation, None if there was none."""
        query = select(RecommendationRow).order_by(RecommendationRow.id.desc()).limit(1)
        with self._session(self.engine) as session:
            row = session.scalar(query)
            return None if row is None else convert.recommendation_of(row)

    # Trainings done elsewhere

    def add_reported(self, records: Sequence[ReportedTraining], *, source: str, imported_at: str) -> Imported:
        """Store reported trainings, all or none; one that is there is only completed (`db.imports`).

        Args:
            records: what a file reports.
            source: the file, for people.
            imported_at: UTC time, ISO 8601.
        """
        origin = {"source": source, "imported_at": imported_at}
        values = [origin | convert.values_of_reported(record) for record in records]
        with self._session(self._writer) as session:
            return import_rows(session, values)

    def reported(self) -> list[ReportedTraining]:
        """Return the trainings that were imported, in the order of their import."""
        query = select(ReportedTrainingRow).order_by(ReportedTrainingRow.id)
        with self._session(self.engine) as session:
            return [convert.reported_of(row) for row in session.scalars(query)]

    # Runs

    def create_run(
        self,
        *,
        created_at: str,
        plan: TrainingPlan,
        parameters: int,
        fingerprint: str,
        forecast: Forecast | None,
    ) -> Run:
        """Store a run that starts now, and return it with its id and folder.

        Args:
            created_at: UTC time, ISO 8601.
            plan: what is going to be executed.
            parameters: of all members together.
            fingerprint: digest of the machine's fingerprint.
            forecast: what was predicted, None if nothing.
        """
        row = convert.row_of_run(
            created_at=created_at,
            plan=plan,
            parameters=parameters,
            fingerprint=fingerprint,
            forecast=forecast,
        )
        with self._session(self._writer) as session:
            session.add(row)
        return convert.run_of(row)

    def record_epoch(self, run_id: int, record: EpochRecord) -> None:
        """Store an epoch, in place of one of the same step and number (a resumed run repeats some)."""
        values = convert.values_of_epoch(run_id, record)
        self._upsert(EpochRow, values, ("run_id", "step", "epoch"))

    def record_step(self, run_id: int, record: StepRecord) -> None:
        """Store a step, in place of what was stored of it before."""
        self._upsert(StepRow, convert.values_of_step(run_id, record), ("run_id", "step"))

    def _upsert(
        self, table: type[EpochRow] | type[StepRow], values: dict[str, Any], key: tuple[str, ...]
    ) -> None:
        update = {name: value for name, value in values.items() if name not in key}
        statement = insert(table).values(values).on_conflict_do_update(index_elements=key, set_=update)
        with self._session(self._writer) as session:
            _run_row(session, values["run_id"])
            session.execute(statement)

    def update_run(
        self,
        run_id: int,
        *,
        status: RunStatus,
        train_seconds: float,
        message: str = "",
        test: EnsembleMetrics | None = None,
    ) -> None:
        """Store where a run stands.

        Args:
            run_id: its number.
            status: where it stands.
            train_seconds: wall clock of training so far, over all sittings.
            message: why it stopped, if it did.
            test: figures on the test set; None leaves those that are stored.
        """
        with self._session(self._writer) as session:
            row = _run_row(session, run_id)
            row.status = status.value
            row.train_seconds = train_seconds
            row.message = message
            if test is not None:
                convert.set_test(row, test)

    def run(self, run_id: int) -> Run:
        """Return a run."""
        with self._session(self.engine) as session:
            return convert.run_of(_run_row(session, run_id))

    def runs(self, status: RunStatus | None = None) -> list[Run]:
        """Return runs, oldest first.

        Args:
            status: where they must stand; None for all.
        """
        query = select(RunRow).order_by(RunRow.id)
        if status is not None:
            query = query.where(RunRow.status == status.value)
        with self._session(self.engine) as session:
            return [convert.run_of(row) for row in session.scalars(query)]

    def epochs(self, run_id: int) -> list[EpochRecord]:
        """Return the epochs of a run in the order in which they were executed, none if there is no run."""
        query = select(EpochRow).where(EpochRow.run_id == run_id).order_by(EpochRow.id)
        with self._session(self.engine) as session:
            return [convert.epoch_of(row) for row in session.scalars(query)]

    def curves(self, run_ids: Sequence[int]) -> dict[int, dict[str, tuple[float, ...]]]:
        """Return validation errors after every epoch, by run and network; probabilities are not read.

        Args:
            run_ids: of the runs wanted; one that does not exist has no networks.

        Returns:
            For every id the networks that have epochs, by name: their errors as shares, step after step as
            these began and by epoch within a step. NaN where the network had diverged.
        """
        with self._session(self.engine) as session:
            return _curves_of(session, run_ids)

    def trained_epochs(self, fingerprint: str) -> list[TrainedEpochs]:
        """Return what epochs took, one record a training step: oldest run first, in the order of its plan.

        Args:
            fingerprint: digest of the machine that the runs must have been on.
        """
        with self._session(self.engine) as session:
            seconds = _seconds_of_epochs(session, fingerprint)
            query = select(RunRow).where(RunRow.id.in_(list(seconds))).order_by(RunRow.id)
            runs = [convert.run_of(row) for row in session.scalars(query)]
        return [each for run in runs for each in convert.trained_epochs_of(run.plan, seconds[run.id])]

    def steps(self, run_id: int) -> list[StepRecord]:
        """Return the steps of a run in the order in which they were reported, none if there is no run."""
        query = select(StepRow).where(StepRow.run_id == run_id).order_by(StepRow.id)
        with self._session(self.engine) as session:
            return [convert.step_of(row) for row in session.scalars(query)]

    def delete_run(self, run_id: int) -> None:
        """Delete a run with its epochs and steps; its folder is the caller's to remove."""
        with self._session(self._writer) as session:
            _run_row(session, run_id)
            session.execute(delete(RunRow).where(RunRow.id == run_id))

    # The file as a whole

    def check(self) -> list[str]:
        """Return what is wrong with the database, a line each; empty when it is sound."""
        return upkeep.problems(self.path, self.engine)

    def backup(self, target: Path) -> None:
        """Copy the database, complete at any moment, into one file.

        Raises:
            UsageError: `target` exists already.
            StorageError: it cannot be written.
        """
        upkeep.save_copy(self.path, target)


def _curves_of(session: Session, run_ids: Sequence[int]) -> dict[int, dict[str, tuple[float, ...]]]:
    """Return validation errors after every epoch, by run and network; without networks that lack an epoch."""
    # A resumed run may store an epoch anew, but a step keeps the id of its first one.
    began = func.min(EpochRow.id).over(partition_by=(EpochRow.run_id, EpochRow.step))
    found: dict[int, dict[str, list[float]]] = {run_id: defaultdict(list) for run_id in run_ids}
    next_epoch: dict[tuple[int, str], int] = defaultdict(int)
    torn: set[tuple[int, str]] = set()
    ids = list(found)
    for first in range(0, len(ids), MOST_IDS):
        query = (
            select(
                EpochRow.run_id, EpochRow.step, EpochRow.network, EpochRow.epoch, EpochRow.validation_error
            )
            .where(EpochRow.run_id.in_(ids[first : first + MOST_IDS]))
            .order_by(EpochRow.run_id, began, EpochRow.epoch)
        )
        for run_id, step, network, epoch, error in session.execute(query):
            # A disk that was full or a killed process may have cost epochs that no later sitting tells.
            if epoch != next_epoch[run_id, step]:
                torn.add((run_id, network))
            next_epoch[run_id, step] = epoch + 1
            found[run_id][network].append(error)
    return {
        run_id: {name: tuple(errors) for name, errors in networks.items() if (run_id, name) not in torn}
        for run_id, networks in found.items()
    }


def _seconds_of_epochs(session: Session, fingerprint: str) -> dict[int, dict[str, list[float]]]:
    """Return seconds of epochs in their order, by run and step, of runs on a machine that tell its speed.

    A run that failed or diverged may have done so because of what disturbed it, and one that still runs has
    not come to its usual pace. A step without its first epoch was trained in another run, and is told again.
    """
    told = (RunStatus.DONE, RunStatus.PARTIAL, RunStatus.INTERRUPTED, RunStatus.DEADLINE)
    query = (
        select(EpochRow.run_id, EpochRow.step, EpochRow.epoch, EpochRow.seconds)
        .join(RunRow)
        .where(RunRow.fingerprint == fingerprint, RunRow.status.in_(told))
        .order_by(EpochRow.run_id, EpochRow.step, EpochRow.epoch)
    )
    found: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run_id, step, epoch, seconds in session.execute(query):
        if epoch == 0 or step in found[run_id]:
            found[run_id][step].append(seconds)
    return found


def _run_row(session: Session, run_id: int) -> RunRow:
    row = session.get(RunRow, run_id)
    if row is None:
        raise UsageError(f"there is no run {run_id}: `advisor runs list` shows those there are")
    return row
