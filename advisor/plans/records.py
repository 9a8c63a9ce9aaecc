"""What a run leaves behind: plain records that trainer reports, db stores and the predictors read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from advisor.plans.plan import TrainingPlan


class RunStatus(StrEnum):
    """Where a run stands."""

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


# States that `advisor resume` continues; a run that was killed is still marked as running.
RESUMABLE = (
    RunStatus.RUNNING,
    RunStatus.INTERRUPTED,
    RunStatus.DEADLINE,
    RunStatus.PARTIAL,
    RunStatus.FAILED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleMetrics:
    """Figures of an ensemble on the test set; errors are shares between 0 and 1.

    Runs from before schema 0003 know nothing of the figures that may be None, those from before 0005 nothing
    of `errors_by_members`.

    Attributes:
        error: of the averaged probabilities.
        member_errors: of each member that could be trained, in the order of the design.
        oracle_error: share of images that every member gets wrong.
        disagreement: mean share of images on which two members differ; 0 for a single network.
        nll: mean negative log-likelihood of the averaged probabilities, in nats.
        voting_error: of the class that most members name; among equals the one with the highest average.
        super_learner_error: of the weighted average, the weights being fitted to the validation set.
        super_learner_weights: of each member, none negative, their sum one.
        calibration_error: expected calibration error of the averaged probabilities, 15 bins, a share.
        best_member: index into `member_errors` of the member with the least validation error.
        errors_by_members: entry i is the error of averages of i + 1 members, as the mean over the windows of
            i + 1 consecutive members in cyclic order, so that every member counts equally often; the first
            is the mean member error, the last `error`.
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
        if self.best_member is not None and not 0 <= self.best_member < count:
            raise ValueError(f"the best of {count} members cannot have index {self.best_member}")
        if self.errors_by_members is not None and len(self.errors_by_members) != count:
            raise ValueError(
                f"{count} members have as many errors by members, got {len(self.errors_by_members)}"
            )

    @property
    def mean_member_error(self) -> float:
        """Mean over members."""
        return sum(self.member_errors) / len(self.member_errors)

    @property
    def best_member_error(self) -> float | None:
        """Of the member that a user would choose by its validation error."""
        return None if self.best_member is None else self.member_errors[self.best_member]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch of one network; errors are shares between 0 and 1.

    Attributes:
        step: id of the training step.
        network: name in the plan.
        epoch: 0, 1, … within the step.
        rate: learning rate at the end of the epoch.
        validation_probabilities: zlib-compressed uint8, 255 a probability of one, shape
            (validation images, classes) row by row.
        seconds: wall clock of the epoch, evaluation included.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One executed step of a plan.

    Attributes:
        step: id.
        network: name in the plan.
        status: end of the step; records in the database are never of a stopped step.
        seconds: wall clock spent, over all executions of a resumed run.
        hatch_difference: largest |logit(member) − logit(mother)| at hatching before noise, else None.
        peak_bytes: peak memory of the step beyond the idle process, where it can be read.
        message: why it failed, else empty.
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
    """Forecast of one step: seconds with the 90 % interval."""

    step: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What was predicted for a run before it started; each a (mean, low, high), None if unknown."""

    train_seconds: tuple[float, float, float] | None
    train_peak_bytes: tuple[float, float, float] | None
    inference_ms_per_image: tuple[float, float, float] | None
    test_error: tuple[float, float, float] | None
    steps: tuple[PredictedStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as the database knows it, without its epochs.

    Attributes:
        id: number of the run.
        created_at: UTC time, ISO 8601.
        status: where it stands.
        plan: what was or is executed.
        parameters: of all members together.
        fingerprint: digest of the machine's fingerprint.
        folder: of checkpoints and weights, relative to the home folder.
        forecast: predicted cost and error, None where nothing could be predicted.
        train_seconds: wall clock of training so far.
        test: figures on the test set, None until the end.
        message: why it stopped, if it did.
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
