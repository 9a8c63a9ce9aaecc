"""Records of a run: the trainer reports them, the database stores them, the predictors read them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from advisor.conformal import Correction
from advisor.plans.confusion import ConfusionMatrix
from advisor.plans.navigation.path import Navigation
from advisor.plans.plan import TrainingPlan


class RunStatus(StrEnum):
    """State of a run; a planned one was stored and has not begun."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    PARTIAL = "partial"
    INTERRUPTED = "interrupted"
    DEADLINE = "deadline"
    DIVERGED = "diverged"
    FAILED = "failed"


class StepStatus(StrEnum):
    """How an executed step ended; a stopped step continues when the plan is executed again."""

    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    DIVERGED = "diverged"


# States that `advisor resume` continues. A run that was killed still has the state "running".
RESUMABLE = (
    RunStatus.PLANNED,
    RunStatus.RUNNING,
    RunStatus.INTERRUPTED,
    RunStatus.DEADLINE,
    RunStatus.PARTIAL,
    RunStatus.FAILED,
)


# Float32 sums of probabilities may exceed 1 by rounding.
ROUNDING = 1e-6


def _check_shares(name: str, *shares: float | None) -> None:
    for share in shares:
        if share is not None and not -ROUNDING <= share <= 1 + ROUNDING:
            raise ValueError(f"{name} must be between 0 and 1, got {share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleMetrics:
    """Figures of an ensemble on the test set; errors are shares between 0 and 1.

    Figures that may be None are missing from runs before schema 0003, `errors_by_members` from runs before
    0005.

    Attributes:
        error: error of the averaged probabilities.
        member_errors: error of each member that could be trained, in the order of the design.
        oracle_error: share of images on which every member is wrong.
        disagreement: share of images on which two members differ, averaged over pairs; 0 for a single
            network.
        nll: mean negative log-likelihood of the averaged probabilities, in nats.
        voting_error: error of the majority vote; a tie is decided by the averaged probabilities.
        super_learner_error: error of the weighted average whose weights were fitted on the validation set.
        super_learner_weights: weight of each member in it, at least 0; the sum is 1.
        calibration_error: expected calibration error of the averaged probabilities, with 15 bins.
        best_member: index into `member_errors` of the member with the least validation error.
        errors_by_members: errors of averages of 1, 2, … members. Entry i is the mean over all windows of i +
            1 consecutive members in cyclic order, so every member counts equally often. The first entry is
            the mean member error, the last is `error`.
    """

    error: float
    member_errors: tuple[float, ...]
    oracle_error: float
    disagreement: float
    nll: float
    voting_error: float | None = None
    super_learner_error: float | None = None
    super_learner_weights: tuple[float, ...] | None = None
    calibration_error: float | None = None
    best_member: int | None = None
    errors_by_members: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        count = len(self.member_errors)
        if not count:
            raise ValueError("the figures of an ensemble need the error of one member at least")
        for name in ("error", "oracle_error", "disagreement", "voting_error", "super_learner_error"):
            _check_shares(name, getattr(self, name))
        for name in ("member_errors", "errors_by_members", "super_learner_weights"):
            _check_shares(name, *(getattr(self, name) or ()))
        _check_shares("calibration_error", self.calibration_error)
        if self.super_learner_weights is not None and len(self.super_learner_weights) != count:
            raise ValueError(f"{count} members have as many weights, got {len(self.super_learner_weights)}")
        if self.best_member is not None and not 0 <= self.best_member < count:
            raise ValueError(f"the best of {count} members cannot have index {self.best_member}")
        if self.errors_by_members is not None and len(self.errors_by_members) != count:
            raise ValueError(
                f"{count} members have as many errors by members, got {len(self.errors_by_members)}"
            )

    @property
    def mean_member_error(self) -> float:
        """Mean of the members' errors."""
        return sum(self.member_errors) / len(self.member_errors)

    @property
    def best_member_error(self) -> float | None:
        """Test error of the member with the least validation error."""
        return None if self.best_member is None else self.member_errors[self.best_member]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the test images tell of an ensemble.

    Attributes:
        metrics: figures of the ensemble and of its members.
        confusion: confusion matrix of the averaged probabilities.
    """

    metrics: EnsembleMetrics
    confusion: ConfusionMatrix


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch of one network; errors are shares between 0 and 1.

    Attributes:
        step: name of the training step.
        network: name of the network in the plan.
        epoch: number 0, 1, … within the step.
        rate: learning rate at the end of the epoch.
        train_loss, train_error: loss and error on the training images during the epoch.
        validation_loss, validation_error: loss and error on the validation images after the epoch.
        validation_probabilities: class probabilities of the validation images, shape (validation images,
            classes), row by row as zlib-compressed uint8; 255 stands for a probability of 1.
        seconds: wall-clock time of the epoch, evaluation included.
    """

    step: str
    network: str
    epoch: int
    rate: float
    train_loss: float
    train_error: float
    validation_loss: float
    validation_error: float
    validation_probabilities: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """One epoch of one network without its probabilities; attributes as in `EpochRecord`."""

    step: str
    network: str
    epoch: int
    train_error: float
    validation_error: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One executed step of a plan.

    Attributes:
        step: name of the step.
        network: name of the network in the plan.
        status: end of the step; records in the database are never of a stopped step.
        seconds: wall-clock time of the step, summed over all parts of a resumed run.
        hatch_difference: largest |logit(member) − logit(mother)| right after hatching, before noise; None for
            other steps.
        peak_bytes: peak memory of the step beyond the idle process; None where it cannot be read.
        message: reason of a failure, else empty.
    """

    step: str
    network: str
    status: StepStatus
    seconds: float
    hatch_difference: float | None = None
    peak_bytes: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedStep:
    """Forecast of one step: mean and 90 % interval of its seconds."""

    step: str
    mean: float
    low: float
    high: float

    def __post_init__(self) -> None:
        _check_interval(f"seconds of {self.step!r:.60}", (self.mean, self.low, self.high))


# Figures of a forecast with an interval.
FORECAST_FIGURES = (
    *("train_seconds", "train_peak_bytes", "inference_ms_per_image"),
    *("test_error", "overhead_seconds"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Forecast of a run, made before it started: (mean, low, high) of each figure, None if unknown.

    `corrections` are those that the intervals have. Forecasts before schema 0009 have none.
    `overhead_seconds` are those beside the training (`advisor.cost.overhead`), and `overhead_factor` is the
    part of their mean that the machine's own history contributes. Forecasts before schema 0012 have neither.
    The whole wait is the sum of `train_seconds` and `overhead_seconds`.
    """

    train_seconds: tuple[float, float, float] | None
    train_peak_bytes: tuple[float, float, float] | None
    inference_ms_per_image: tuple[float, float, float] | None
    test_error: tuple[float, float, float] | None
    steps: tuple[PredictedStep, ...]
    corrections: tuple[Correction, ...] = ()
    overhead_seconds: tuple[float, float, float] | None = None
    overhead_factor: float = 1.0

    def __post_init__(self) -> None:
        for name in FORECAST_FIGURES:
            _check_interval(name, getattr(self, name))
        if not 0 < self.overhead_factor < math.inf:
            raise ValueError(f"overhead_factor must be positive and finite, got {self.overhead_factor}")


def _check_interval(name: str, interval: tuple[float, float, float] | None) -> None:
    """Refuse (mean, low, high) whose mean lies outside the interval, or which is not a number."""
    if interval is not None and not interval[1] <= interval[0] <= interval[2]:
        mean, low, high = interval
        raise ValueError(f"{name}: the interval [{low}, {high}] does not contain the mean {mean}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A stored run, without its epochs and steps.

    Attributes:
        id: number of the run.
        created_at: time of its start in UTC, ISO 8601.
        status: state of the run.
        plan: plan that it executes.
        parameters: trainable scalars of all members together.
        fingerprint: digest of the machine's fingerprint.
        folder: folder of checkpoints and weights, relative to the home folder.
        forecast: predicted cost and error; None where nothing could be predicted.
        train_seconds: wall-clock time of training so far.
        test: figures on the test set; None until the end.
        message: reason why it stopped, if it did.
        navigation: what the run knows of the path that it is a stage of; None for a run of its own.
        overhead_seconds: seconds that were waited for beside the training so far; None if they are not known.
    """

    id: int
    created_at: str
    status: RunStatus
    plan: TrainingPlan
    parameters: int
    fingerprint: str
    folder: str
    forecast: Forecast | None
    train_seconds: float
    test: EnsembleMetrics | None
    message: str
    navigation: Navigation | None = None
    overhead_seconds: float | None = None
