"""The answer of `advisor train`, `resume`, `extend` and `runs show`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from advisor.estimate import Estimate
from advisor.plans.dataset import Augmentation
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method
from advisor.plans.plan import Role, TrainingPlan
from advisor.plans.records import RunStatus
from cli.workflows.answers.answer import NO_KEY, Answer
from cli.workflows.answers.runs.class_errors import ErrorsByClass


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleFigures:
    """Figures of an ensemble on the test set; errors are shares between 0 and 1.

    Runs of older versions lack some figures, which are null.

    Attributes:
        error: error of the averaged probabilities.
        voting_error: error of the class that most members name.
        super_learner_error: error of the weighted average, whose weights are fitted to the validation set.
        super_learner_weights: weight of each member in that average; none is negative, their sum is one.
        best_member: index into `member_errors` of the member with the least validation error.
        best_member_error: test error of that member.
        mean_member_error: mean of `member_errors`.
        member_errors: error of each trained member, in the order of the design.
        errors_by_members: entry i is the mean error of averages of i + 1 members.
        oracle_error: share of images that every member gets wrong.
        disagreement: mean share of images on which two members differ.
        nll: mean negative log-likelihood of the averaged probabilities, in nats.
        calibration_error: expected calibration error of the averaged probabilities, 15 bins.
    """

    error: float
    voting_error: float | None
    super_learner_error: float | None
    super_learner_weights: tuple[float, ...] | None
    best_member: int | None
    best_member_error: float | None
    mean_member_error: float
    member_errors: tuple[float, ...]
    errors_by_members: tuple[float, ...] | None
    oracle_error: float
    disagreement: float
    nll: float
    calibration_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedFigures:
    """Forecast that was stored when the run began; figures that could not be predicted are null.

    Attributes:
        train_seconds: wall-clock time of training, in seconds.
        train_peak_bytes: peak memory of training, in bytes.
        inference_ms_per_image: inference time of one image, in milliseconds.
        test_error: test error of the ensemble, as a share.
        cost_usd: cost of training in USD; null where the machine has no price.
        overhead_seconds: seconds beside the training; null on a cluster, and for runs of older programs.
    """

    train_seconds: Estimate | None
    train_peak_bytes: Estimate | None
    inference_ms_per_image: Estimate | None
    test_error: Estimate | None
    cost_usd: Estimate | None = None
    overhead_seconds: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedNetwork:
    """A network of the plan and the progress of its training.

    Attributes:
        name: name in the plan.
        network: short name of the architecture.
        role: purpose of the network in the plan.
        epochs: number of finished epochs.
        validation_error: validation error after the newest epoch, null before the first.
        train_error: training error of the newest epoch, null before the first.
        predicted_epochs: epochs to convergence that were expected when the run began; null where the length
            of its training is fixed.
    """

    name: str
    network: str
    role: Role
    epochs: int
    validation_error: float | None
    train_error: float | None
    predicted_epochs: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep:
    """A step of the plan, predicted beside actual.

    Attributes:
        step: id of the step.
        network: name of its network in the plan.
        status: ``done``, ``diverged`` or ``failed``; null where the step has not ended.
        message: reason of a failure, or a remark, else empty.
        predicted_seconds: predicted wall-clock time, in seconds.
        actual_seconds: wall-clock time, in seconds.
        peak_bytes: peak memory beyond the idle process, in bytes.
        hatch_difference: largest difference of a logit between member and mother network at hatching.
    """

    step: str
    network: str
    status: str | None
    message: str
    predicted_seconds: Estimate | None
    actual_seconds: float | None
    peak_bytes: int | None
    hatch_difference: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStage:
    """A trained stage of a path: an ensemble with one cluster more than the stage before.

    Attributes:
        run: number of its run.
        clusters: number of clusters.
        validation_error: error of the ensemble on the validation images, as a share.
        seconds: wall-clock time of what this stage trained, in seconds.
        total_seconds: that of this stage and all before it, in seconds.
        total_usd: cost of this stage and all before it in USD; null where the machine has no price.
        kept: members of the cluster that was split to get here that kept their mother network.
        renewed: members of that cluster that were trained again, with a mother network of their own.
    """

    run: int
    clusters: int
    validation_error: float
    seconds: float
    total_seconds: float
    total_usd: float | None
    kept: tuple[str, ...]
    renewed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NavigationPath:
    """The path that a run is a stage of.

    Attributes:
        until_error: validation error to reach, as a share; null for none.
        until_seconds: wall-clock time that all training together may take, in seconds; null for no limit.
        until_usd: cost of all training together in USD; null for no limit.
        stages: trained stages up to this run, in order.
    """

    until_error: float | None
    until_seconds: float | None
    until_usd: float | None
    stages: tuple[PathStage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Answer):
    """A run: its plan, its forecast, its progress and its outcome.

    Attributes:
        id: number of the run.
        created_at: time of its creation, UTC, ISO 8601.
        status: state of the run.
        message: reason why the run stopped, else empty.
        design: short name of the design.
        method: training method.
        dataset: name of the data set.
        epochs: epochs of a network that is trained from scratch.
        batch: images in a step.
        seed: origin of all randomness.
        execution: processes, threads, arithmetic and device.
        parameters: parameters of all members together.
        folder: folder of checkpoints and weights, relative to the home.
        train_seconds: wall-clock time of training so far, in seconds.
        test: figures on the test set, null before the end.
        predicted: forecast from the beginning of the run, null where nothing could be predicted.
        networks: networks in the order of the plan.
        steps: steps in the order of the plan.
        augmentation: augmentation of training batches.
        hint: what may be wrong with the training, null where nothing strikes.
        by_class: errors by class and the confusion matrix on the test set; null before the end, and for runs
            that ended under an older program.
        price_per_hour_usd: price of the machine in USD per hour; null if none is given.
        cost_usd: cost of training so far in USD; null where the machine has no price.
        navigation: targets and stages of the path up to this run; null for a run that is not a stage of one.
        busy_machine: whether it was trained on a busy machine, so that its time is not comparable with the
            forecast, which is for the usual speed.
        overhead_seconds: seconds that were waited for beside the training so far, to start, evaluate and
            store; null where they are not known, as on a cluster and in runs of older programs.
        path: absolute path of the folder, which `advisor.load` reads.
        plan: the plan that the run executes.
    """

    json_key: ClassVar[str | None] = "run"

    id: int
    created_at: str
    status: RunStatus
    message: str
    design: str
    method: Method
    dataset: str
    epochs: int
    batch: int
    seed: int
    execution: Execution
    parameters: int
    folder: str
    train_seconds: float
    test: EnsembleFigures | None
    predicted: PredictedFigures | None
    networks: tuple[TrainedNetwork, ...]
    steps: tuple[RunStep, ...]
    augmentation: Augmentation
    hint: str | None
    by_class: ErrorsByClass | None = field(repr=False)
    price_per_hour_usd: float | None = None
    cost_usd: float | None = None
    navigation: NavigationPath | None = None
    busy_machine: bool = False
    overhead_seconds: float | None = None
    path: Path = field(metadata=NO_KEY)
    plan: TrainingPlan = field(metadata=NO_KEY, repr=False)
