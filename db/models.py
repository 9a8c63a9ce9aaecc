"""Tables of the database.

::

    runs ─┬─< epochs       one row a run, step and epoch
          ├─< steps        one row a run and step
          ├── validation_classes    one row a run, since schema 0011
          └── confusion_matrices    one row a finished run, since schema 0008
    measurements           measurements of the profiler, by fingerprint of the machine
    recommendations        requests and answers, as JSON
    reported_trainings     trainings that were done elsewhere, imported from CSV files
    looks                  errors of simple classifiers, one row a data set

A run's plan is the JSON that `advisor.plans.plan.plan_to_json` writes. The columns beside it repeat the parts
that a listing filters and sorts by. Ids are AUTOINCREMENT, so the number of a deleted run is never used
again. Deleting a run deletes its rows in the tables below it (foreign keys are on in every connection of
`db.engine`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from sqlalchemy import Boolean, Dialect, Float, ForeignKey, Index, MetaData, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

# A migration can only change a constraint that has a name.
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class NanFloat(TypeDecorator[float]):
    """A float that may be NaN, such as the loss of a diverged epoch; SQLite stores NaN as NULL."""

    impl = Float
    cache_ok = True

    def process_result_value(self, value: float | None, dialect: Dialect) -> float:
        """Read NULL as NaN."""
        return math.nan if value is None else value


class StoredBoolean(Boolean):
    """A boolean that is read as it is stored: SQLAlchemy's own reads any text as True."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return the function from a stored value to a boolean, or to what it is if it is none."""
        return lambda value: bool(value) if type(value) is int and value in (0, 1) else value


class Base(DeclarativeBase):
    """Registry of the tables."""

    metadata = MetaData(naming_convention=_NAMES)
    # SQLAlchemy 2.0 and 2.1 choose different types for a float.
    type_annotation_map: ClassVar[dict[Any, Any]] = {float: Float()}


class RunRow(Base):
    """A run: its plan, state, forecast and results.

    The columns from `voting_error` on came with schema 0003 and are NULL for runs that ended before. A
    forecast has the corrections of its intervals since schema 0009. `navigation` came with schema 0010: what
    a stage of a path knows of it, as JSON, NULL for other runs. `overhead_seconds` came with schema 0012:
    what was waited for beside the training, NULL where it is not known.
    """

    __tablename__ = "runs"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[str]
    status: Mapped[str]
    design: Mapped[str]
    dataset: Mapped[str]
    family: Mapped[str]
    method: Mapped[str]
    epochs: Mapped[int]
    members: Mapped[int]
    clusters: Mapped[int]
    batch: Mapped[int]
    seed: Mapped[int]
    device: Mapped[str]
    parameters: Mapped[int]
    train_seconds: Mapped[float]
    test_error: Mapped[float | None]
    mean_member_error: Mapped[float | None]
    predicted_train_seconds: Mapped[float | None]
    predicted_test_error: Mapped[float | None]
    fingerprint: Mapped[str]
    message: Mapped[str]
    plan: Mapped[str]
    forecast: Mapped[str | None]
    test: Mapped[str | None]
    voting_error: Mapped[float | None]
    super_learner_error: Mapped[float | None]
    best_member_error: Mapped[float | None]
    calibration_error: Mapped[float | None]
    navigation: Mapped[str | None]
    overhead_seconds: Mapped[float | None]


class EpochRow(Base):
    """One epoch of one network of a run; `id` is the order of execution."""

    __tablename__ = "epochs"
    __table_args__ = (
        UniqueConstraint("run_id", "step", "epoch"),
        # In a row, seconds follow the large probabilities. This index has seconds without them.
        Index(None, "run_id", "step", "epoch", "seconds"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    step: Mapped[str]
    network: Mapped[str]
    epoch: Mapped[int]
    rate: Mapped[float]
    train_loss: Mapped[float] = mapped_column(NanFloat, nullable=True)
    train_error: Mapped[float] = mapped_column(NanFloat, nullable=True)
    validation_loss: Mapped[float] = mapped_column(NanFloat, nullable=True)
    validation_error: Mapped[float] = mapped_column(NanFloat, nullable=True)
    validation_probabilities: Mapped[bytes]
    seconds: Mapped[float]


class StepRow(Base):
    """One executed step of a run; `id` is the order in which steps were first reported."""

    __tablename__ = "steps"
    __table_args__ = (UniqueConstraint("run_id", "step"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    step: Mapped[str]
    network: Mapped[str]
    status: Mapped[str]
    seconds: Mapped[float]
    hatch_difference: Mapped[float | None]
    peak_bytes: Mapped[int | None]
    message: Mapped[str]


class ConfusionRow(Base):
    """The confusion matrix of a run on its test set, in JSON lists; a large one, so not a column of the run.

    `images` has a number for each class, `confused` a list [class, answer, images] for each pair of classes
    that were confused, and `names` is empty where the classes have no names.
    """

    __tablename__ = "confusion_matrices"
    __table_args__ = (UniqueConstraint("run_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    images: Mapped[str]
    confused: Mapped[str]
    names: Mapped[str]


class ValidationClassesRow(Base):
    """The true classes of the validation images of a run, in their order, packed by `db.conversion`.

    With the probabilities of the members' epochs they give the error of the ensemble while it trains.
    """

    __tablename__ = "validation_classes"
    __table_args__ = (UniqueConstraint("run_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    classes: Mapped[bytes]


class MeasurementRow(Base):
    """One measurement of the profiler, with its fingerprint as JSON and the digest to select by.

    `layers` is JSON without spaces, a list [name, forward, backward, inference] for each layer. The columns
    from `fits` on came with schema 0002; older rows have their defaults.
    """

    __tablename__ = "measurements"
    __table_args__ = (Index(None, "digest"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str]
    fingerprint: Mapped[str]
    network: Mapped[str]
    channels: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    classes: Mapped[int]
    batch: Mapped[int]
    processes: Mapped[int]
    forward_seconds: Mapped[float]
    backward_seconds: Mapped[float]
    optimizer_seconds: Mapped[float]
    step_seconds: Mapped[float]
    step_iqr_seconds: Mapped[float]
    inference_seconds: Mapped[float]
    peak_bytes: Mapped[int | None]
    spent_seconds: Mapped[float]
    measured_at: Mapped[str]
    fits: Mapped[bool] = mapped_column(StoredBoolean, server_default=text("1"))
    layers: Mapped[str] = mapped_column(server_default=text("'[]'"))
    reference_seconds: Mapped[float | None]
    reserved_bytes: Mapped[int | None]
    watts: Mapped[float | None]
    clock_mhz: Mapped[int | None]
    throttle: Mapped[str] = mapped_column(server_default=text("''"))


class ReportedTrainingRow(Base):
    """One training that was done elsewhere (`advisor.accuracy.sources.reported`), with the file that had it.

    `digest` identifies the training: it is a hash of the columns from `dataset` to `date`, and of a weight
    decay that is not the recipe's. The columns from `validation_images` on are NULL where no file had them; a
    later file that has them completes the training (`db.imports`). Errors and curves are JSON lists.
    """

    __tablename__ = "reported_trainings"
    __table_args__ = (UniqueConstraint("digest"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str]
    imported_at: Mapped[str]
    source: Mapped[str]
    dataset: Mapped[str]
    channels: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    classes: Mapped[int]
    augmentation: Mapped[str]
    train_images: Mapped[int]
    test_images: Mapped[int]
    design: Mapped[str]
    epochs: Mapped[int]
    batch: Mapped[int]
    seed: Mapped[int]
    error: Mapped[float]
    member_errors: Mapped[str]
    device: Mapped[str]
    date: Mapped[str]
    validation_images: Mapped[int | None]
    errors_by_members: Mapped[str | None]
    member_curve: Mapped[str | None]
    ensemble_curve: Mapped[str | None]
    weight_decay: Mapped[float] = mapped_column(server_default=text("1"))


class LookRow(Base):
    """The errors of simple classifiers on a data set (`advisor.accuracy.data_level.Look`).

    A new look at the data replaces the row. `errors` is a JSON object: by name of the classifier, the number
    of images that it got wrong and the number that it was measured on.
    """

    __tablename__ = "looks"
    __table_args__ = (UniqueConstraint("data_key"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    data_key: Mapped[str]
    looked_at: Mapped[str]
    seed: Mapped[int]
    train_images: Mapped[int]
    errors: Mapped[str]


class RecommendationRow(Base):
    """One recommendation: request and answer, both JSON."""

    __tablename__ = "recommendations"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[str]
    request: Mapped[str]
    payload: Mapped[str]
