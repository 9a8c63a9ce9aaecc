"""All queries and changes of the database, one method each.

Every method is one transaction. When it returns, its changes are on the disk; when it raises, none of them
is. One process writes at a time. A second one waits for `busy_seconds` and is refused after that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.orm import Session

from advisor.accuracy.data_level import Look
from advisor.accuracy.sources.reported import ReportedTraining
from advisor.cost.measurement import Measurement, TrainedEpochs
from advisor.errors import UsageError
from advisor.plans.confusion import ConfusionMatrix
from advisor.plans.navigation.path import Navigation
from advisor.plans.outcomes import FinishedRun
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import (
    EnsembleMetrics,
    EpochFigures,
    EpochRecord,
    Forecast,
    Run,
    RunStatus,
    StepRecord,
)
from db import upkeep
from db.checks.rows import sound
from db.conversion.confusion import confusion_of, values_of_confusion
from db.conversion.looks import look_of, values_of_look
from db.conversion.measurements import measurement_of, row_of_measurement
from db.conversion.reported import StoredTraining, reported_of, stored_training_of, values_of_reported
from db.conversion.runs import (
    epoch_of,
    row_of_run,
    run_of,
    set_dataset,
    set_navigation,
    set_test,
    step_of,
    trained_epochs_of,
    values_of_epoch,
    values_of_step,
)
from db.conversion.validation_classes import Classes, classes_of, values_of_classes
from db.engine import storage_errors, writer_of
from db.finished import finished_runs_of
from db.imports import Imported, import_rows
from db.learning import curves_of, seconds_of_epochs, train_errors_of
from db.models import (
    Base,
    ConfusionRow,
    EpochRow,
    LookRow,
    MeasurementRow,
    RecommendationRow,
    ReportedTrainingRow,
    RunRow,
    StepRow,
    ValidationClassesRow,
)
from db.recommendations import StoredRecommendation, recommendation_of, row_of_recommendation
from db.schema import folder_of
from db.watching import epoch_figures_of, probabilities_of

# Columns that tell one measurement from another.
IDENTIFYING = (
    *("digest", "network", "channels", "height", "width", "classes", "batch"),
    *("processes", "measured_at", "step_seconds"),
)


class Store:
    """The opened database. `db.session.open_store` makes one; use it in a ``with`` statement.

    Every method raises `StorageError` if the file is locked for longer than the time-out, damaged, read-only
    or out of space. Every method with the id of a run, except `epochs`, `epoch_figures`, `probabilities`,
    `steps` and `confusion`, raises `UsageError` if there is no such run. A damaged row refuses where it is
    asked for by its number, and is left out of `measurements`, `probed_recommendations`, `reported`,
    `stored_trainings`, `look`, `runs`, `finished_runs`, `curves` and `trained_epochs` with a line in the log
    (`db.checks.damage`).

    Attributes:
        path: path of the file.
        engine: SQLAlchemy's engine, for readers.
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
        """Close every connection; SQLite then writes its write-ahead log into the file."""
        self.engine.dispose()

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        with storage_errors(self.path), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    # Measurements and recommendations

    def add_measurement(self, m: Measurement) -> None:
        """Store a measurement."""
        with self._session(self._writer) as session:
            session.add(row_of_measurement(m))

    def delete_measurements(self, measurements: Sequence[Measurement]) -> None:
        """Delete measurements, all or none; those that are not stored are passed."""
        with self._session(self._writer) as session:
            for m in measurements:
                row = row_of_measurement(m)
                same = (getattr(MeasurementRow, name) == getattr(row, name) for name in IDENTIFYING)
                session.execute(delete(MeasurementRow).where(*same))

    def measurements(self, fingerprint: str | None = None) -> list[Measurement]:
        """Return measurements, oldest first.

        Args:
            fingerprint: digest of the wanted machine; None: all machines.
        """
        query = select(MeasurementRow).order_by(MeasurementRow.id)
        if fingerprint is not None:
            query = query.where(MeasurementRow.digest == fingerprint)
        with self._session(self.engine) as session:
            return list(sound(self.path, session.scalars(query), measurement_of))

    def add_recommendation(self, created_at: str, request: dict[str, Any], payload: dict[str, Any]) -> int:
        """Store a recommendation and return its id.

        Args:
            created_at: UTC time, ISO 8601.
            request: request of the user, plain JSON.
            payload: answer of the program, plain JSON.
        """
        row = row_of_recommendation(created_at, request, payload)
        with self._session(self._writer) as session:
            session.add(row)
        return row.id

    def last_recommendation(self) -> StoredRecommendation | None:
        """Return the newest recommendation; None if there is none."""
        query = select(RecommendationRow).order_by(RecommendationRow.id.desc()).limit(1)
        with self._session(self.engine) as session:
            row = session.scalar(query)
            return None if row is None else recommendation_of(row)

    def probed_recommendations(self) -> list[StoredRecommendation]:
        """Return the recommendations that probes were made for, oldest first; damaged ones are left out."""
        # As `json.dumps` writes it. Other answers need not be read, and there may be many.
        query = select(RecommendationRow).where(RecommendationRow.payload.contains('"probing": {'))
        with self._session(self.engine) as session:
            rows = session.scalars(query.order_by(RecommendationRow.id))
            return list(sound(self.path, rows, recommendation_of))

    # Trainings done elsewhere

    def add_reported(self, records: Sequence[ReportedTraining], *, source: str, imported_at: str) -> Imported:
        """Store reported trainings, all or none; known trainings are completed (`db.imports`).

        Args:
            records: trainings of a file.
            source: name of the file, for people.
            imported_at: time in UTC, ISO 8601.
        """
        origin = {"source": source, "imported_at": imported_at}
        values = [origin | values_of_reported(record) for record in records]
        with self._session(self._writer) as session:
            return import_rows(session, values)

    def reported(self) -> list[ReportedTraining]:
        """Return the trainings that were imported, in the order of their import."""
        query = select(ReportedTrainingRow).order_by(ReportedTrainingRow.id)
        with self._session(self.engine) as session:
            return list(sound(self.path, session.scalars(query), reported_of))

    def stored_trainings(self) -> list[StoredTraining]:
        """Return the imported trainings with where they came from, in the order of their import."""
        query = select(ReportedTrainingRow).order_by(ReportedTrainingRow.id)
        with self._session(self.engine) as session:
            return list(sound(self.path, session.scalars(query), stored_training_of))

    def delete_reported(self, ids: Sequence[int]) -> None:
        """Delete imported trainings; numbers that do not exist are passed."""
        with self._session(self._writer) as session:
            for number in ids:
                session.execute(delete(ReportedTrainingRow).where(ReportedTrainingRow.id == number))

    # Looks at data sets

    def add_look(self, look: Look) -> None:
        """Store the errors of simple classifiers on a data set; they replace those of an earlier look."""
        values = values_of_look(look)
        statement = insert(LookRow).values(values)
        statement = statement.on_conflict_do_update(index_elements=("data_key",), set_=values)
        with self._session(self._writer) as session:
            session.execute(statement)

    def look(self, data_key: str) -> Look | None:
        """Return the errors of simple classifiers on a data set; None if nobody has looked at it.

        Args:
            data_key: name that equal data share.
        """
        query = select(LookRow).where(LookRow.data_key == data_key)
        with self._session(self.engine) as session:
            return next(sound(self.path, session.scalars(query), look_of), None)

    # Runs

    def create_run(
        self,
        *,
        created_at: str,
        plan: TrainingPlan,
        parameters: int,
        fingerprint: str,
        forecast: Forecast | None,
        navigation: Navigation | None = None,
    ) -> Run:
        """Store a run that starts now, and return it with its id and folder.

        Args:
            created_at: time in UTC, ISO 8601.
            plan: plan that the run will execute.
            parameters: trainable scalars of all members together.
            fingerprint: digest of the machine's fingerprint.
            forecast: predicted cost and error; None if nothing was predicted.
            navigation: what a stage of a path knows of it; None for a run of its own.
        """
        row = row_of_run(
            created_at=created_at,
            plan=plan,
            parameters=parameters,
            fingerprint=fingerprint,
            forecast=forecast,
            navigation=navigation,
        )
        with self._session(self._writer) as session:
            session.add(row)
        return run_of(row)

    def record_epoch(self, run_id: int, record: EpochRecord) -> None:
        """Store an epoch; it replaces one of the same step and number, which a resumed run may repeat."""
        values = values_of_epoch(run_id, record)
        self._upsert(EpochRow, values, ("run_id", "step", "epoch"))

    def record_step(self, run_id: int, record: StepRecord) -> None:
        """Store a step; it replaces an earlier record of the same step."""
        self._upsert(StepRow, values_of_step(run_id, record), ("run_id", "step"))

    def _upsert(self, table: type[Base], values: dict[str, Any], key: tuple[str, ...]) -> None:
        with self._session(self._writer) as session:
            _run_row(session, values["run_id"])
            session.execute(_upserted(table, values, key))

    def update_run(
        self,
        run_id: int,
        *,
        status: RunStatus,
        train_seconds: float,
        overhead_seconds: float | None = None,
        message: str = "",
        test: EnsembleMetrics | None = None,
        confusion: ConfusionMatrix | None = None,
        dataset: str | None = None,
    ) -> None:
        """Store the state of a run.

        Args:
            run_id: number of the run.
            status: state of the run.
            train_seconds: wall-clock time of training so far, summed over all parts of a resumed run.
            overhead_seconds: seconds that were waited for beside it so far, summed alike; None if unknown.
            message: reason why it stopped, if it did.
            test: figures on the test set; None keeps the stored ones.
            confusion: confusion matrix of the test set; None keeps the stored one.
            dataset: name of the run's data set, whose folder may have moved; None keeps the stored one.
        """
        with self._session(self._writer) as session:
            row = _run_row(session, run_id)
            row.status = status.value
            row.train_seconds = train_seconds
            row.overhead_seconds = overhead_seconds
            row.message = message
            if test is not None:
                set_test(row, test)
            if confusion is not None:
                values = values_of_confusion(run_id, confusion)
                session.execute(_upserted(ConfusionRow, values, ("run_id",)))
            if dataset is not None:
                set_dataset(row, dataset)

    def set_fingerprint(self, run_id: int, fingerprint: str) -> None:
        """Store to which machine the seconds of a run belong: the digest of its fingerprint."""
        with self._session(self._writer) as session:
            _run_row(session, run_id).fingerprint = fingerprint

    def set_navigation(self, run_id: int, navigation: Navigation) -> None:
        """Store what a stage knows of its path."""
        with self._session(self._writer) as session:
            set_navigation(_run_row(session, run_id), navigation)

    def stages(self, first_run: int) -> list[Run]:
        """Return the runs of the stages of a path that still exist, in order.

        Args:
            first_run: number of the run of the first stage.
        """
        query = select(RunRow).where(RunRow.navigation.is_not(None)).order_by(RunRow.id)
        with self._session(self.engine) as session:
            runs = list(sound(self.path, session.scalars(query), run_of))
        return [r for r in runs if r.navigation is not None and r.navigation.first_run(r.id) == first_run]

    def run(self, run_id: int) -> Run:
        """Return a run."""
        with self._session(self.engine) as session:
            return run_of(_run_row(session, run_id))

    def run_ids(self) -> list[int]:
        """Return the numbers of all runs, of those with damaged rows too."""
        with self._session(self.engine) as session:
            return list(session.scalars(select(RunRow.id).order_by(RunRow.id)))

    def mark_failed(self, run_id: int, message: str) -> None:
        """Store that a run is unusable; its row may be damaged otherwise.

        Args:
            run_id: number of the run.
            message: reason.
        """
        with self._session(self._writer) as session:
            row = _run_row(session, run_id)
            row.status = RunStatus.FAILED.value
            row.message = message

    def folder_of_run(self, run_id: int) -> str:
        """Return the folder of a run, relative to the home; its row may be damaged otherwise."""
        with self._session(self.engine) as session:
            if session.scalar(select(RunRow.id).where(RunRow.id == run_id)) is None:
                raise _no_run(run_id)
        return folder_of(run_id)

    def runs(self, status: RunStatus | None = None) -> list[Run]:
        """Return runs, oldest first.

        Args:
            status: wanted state; None: all states.
        """
        query = select(RunRow).order_by(RunRow.id)
        if status is not None:
            query = query.where(RunRow.status == status.value)
        with self._session(self.engine) as session:
            return list(sound(self.path, session.scalars(query), run_of))

    def finished_runs(self, most: int | None = None) -> list[FinishedRun]:
        """Return finished runs that have a forecast with what became of it, newest first.

        Args:
            most: number of runs at most; None for all.
        """
        with self._session(self.engine) as session:
            return finished_runs_of(session, self.path, most)

    def epochs(self, run_id: int) -> list[EpochRecord]:
        """Return the epochs of a run in the order of their execution; none if there is no such run."""
        query = select(EpochRow).where(EpochRow.run_id == run_id).order_by(EpochRow.id)
        with self._session(self.engine) as session:
            return [epoch_of(row) for row in session.scalars(query)]

    def epoch_figures(self, run_id: int) -> list[EpochFigures]:
        """Return the epochs of a run, without probabilities, by step; none if there is no such run."""
        with self._session(self.engine) as session:
            return epoch_figures_of(session, run_id)

    def probabilities(self, run_id: int, step: str, epochs: Collection[int]) -> dict[int, bytes]:
        """Return packed validation probabilities by epoch; an epoch that is not stored has none.

        Args:
            run_id: number of the run.
            step: id of the step.
            epochs: numbers of the wanted epochs within the step, at most 900.
        """
        with self._session(self.engine) as session:
            return probabilities_of(session, run_id, step, epochs)

    def curves(self, run_ids: Sequence[int]) -> dict[int, dict[str, tuple[float, ...]]]:
        """Return the validation errors after every epoch, by run and network; probabilities are not read.

        Args:
            run_ids: numbers of the wanted runs; a run that does not exist has no networks.

        Returns:
            Errors as shares, for every id by the names of the networks that have epochs. They are in the
            order in which steps began, and by epoch within a step. NaN where the network had diverged.
        """
        with self._session(self.engine) as session:
            return curves_of(session, self.path, run_ids)

    def train_errors(self, run_ids: Sequence[int]) -> dict[int, dict[str, tuple[float, ...]]]:
        """Return the training errors of every epoch, by run and step; steps that lack an epoch are left out.

        Args:
            run_ids: numbers of the wanted runs; a run that does not exist has no steps.
        """
        with self._session(self.engine) as session:
            return train_errors_of(session, self.path, run_ids)

    def epoch_counts(self, run_id: int) -> dict[str, int]:
        """Return the number of finished epochs of every training step of a run that has begun."""
        query = select(EpochRow.step, func.max(EpochRow.epoch)).where(EpochRow.run_id == run_id)
        with self._session(self.engine) as session:
            return {step: last + 1 for step, last in session.execute(query.group_by(EpochRow.step))}

    def epoch_seconds(self, run_id: int) -> dict[str, float]:
        """Return the seconds of the finished epochs of every training step of a run that has begun."""
        query = select(EpochRow.step, func.sum(EpochRow.seconds)).where(EpochRow.run_id == run_id)
        with self._session(self.engine) as session:
            return {step: float(total) for step, total in session.execute(query.group_by(EpochRow.step))}

    def trained_epochs(self, fingerprint: str) -> list[TrainedEpochs]:
        """Return the durations of epochs: one record a training step, oldest run first, in plan order.

        Args:
            fingerprint: digest of the machine of the wanted runs.
        """
        with self._session(self.engine) as session:
            seconds = seconds_of_epochs(session, self.path, fingerprint)
            query = select(RunRow).where(RunRow.id.in_(list(seconds))).order_by(RunRow.id)
            runs = list(sound(self.path, session.scalars(query), run_of))
        return [each for run in runs for each in trained_epochs_of(run.plan, seconds[run.id])]

    def steps(self, run_id: int) -> list[StepRecord]:
        """Return the steps of a run in the order of their first report; none if there is no such run."""
        query = select(StepRow).where(StepRow.run_id == run_id).order_by(StepRow.id)
        with self._session(self.engine) as session:
            return [step_of(row) for row in session.scalars(query)]

    def confusion(self, run_id: int) -> ConfusionMatrix | None:
        """Return the confusion matrix of a run; None before its end, and if it ended before schema 0008."""
        query = select(ConfusionRow).where(ConfusionRow.run_id == run_id)
        with self._session(self.engine) as session:
            row = session.scalar(query)
            return None if row is None else confusion_of(row)

    def set_validation_classes(self, run_id: int, classes: Sequence[int] | Classes) -> None:
        """Store the true classes of the validation images of a run, in their order; they replace others."""
        self._upsert(ValidationClassesRow, values_of_classes(run_id, classes), ("run_id",))

    def validation_classes(self, run_id: int) -> Classes | None:
        """Return the true classes of the validation images, int64 (images,).

        They are None for a run that has not begun, or began before schema 0011.
        """
        query = select(ValidationClassesRow).where(ValidationClassesRow.run_id == run_id)
        with self._session(self.engine) as session:
            row = session.scalar(query)
            return None if row is None else classes_of(row)

    def delete_run(self, run_id: int) -> None:
        """Delete a run with its epochs and steps; the caller removes its folder."""
        with self._session(self._writer) as session:
            _run_row(session, run_id)
            session.execute(delete(RunRow).where(RunRow.id == run_id))

    # The file as a whole

    def check(self) -> list[str]:
        """Return the defects of the database, one line each; empty if there are none."""
        return upkeep.problems(self.path, self.engine)

    def backup(self, target: Path) -> None:
        """Copy one consistent state of the database into one file.

        Args:
            target: path of the copy.

        Raises:
            UsageError: `target` exists already.
            StorageError: `target` cannot be written.
        """
        upkeep.save_copy(self.path, target)


def _upserted(table: type[Base], values: dict[str, Any], key: tuple[str, ...]) -> Insert:
    update = {name: value for name, value in values.items() if name not in key}
    return insert(table).values(values).on_conflict_do_update(index_elements=key, set_=update)


def _run_row(session: Session, run_id: int) -> RunRow:
    row = session.get(RunRow, run_id)
    if row is None:
        raise _no_run(run_id)
    return row


def _no_run(run_id: int) -> UsageError:
    return UsageError(f"there is no run {run_id}: `advisor runs list` shows those there are")
