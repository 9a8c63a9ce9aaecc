"""The curves of a run: how every network learns, how the ensemble does, and how much is left to train.

Epochs are counted from the beginning of the network that a member was grown from. A member that is hatched
after 20 epochs of its mother has its first point at 21, where her curve ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.estimate import Estimate
from advisor.plans.method_traits import Method
from advisor.plans.plan import Role
from advisor.plans.records import RunStatus
from cli.workflows.answers.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """A network after an epoch.

    Attributes:
        epoch: epochs trained so far, those of the networks that it was grown from included.
        validation_error: error on the validation images after the epoch, a share; null where it diverged.
        train_error: error on the training images during the epoch, a share; null where it diverged.
        seconds: wall-clock time of the epoch, in seconds.
    """

    epoch: int
    validation_error: float | None
    train_error: float | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCurve:
    """A network of the plan and how it learned so far.

    Attributes:
        name: name in the plan.
        network: short name of the architecture.
        role: purpose of the network in the plan.
        mother: name of the network that it was grown from; null for one that begins with random weights, and
            for a member that is an output of a joint network.
        cluster: number of its cluster: networks that stem from one beginning; null where no member does.
        start: epochs of the networks that it was grown from, expected ones until these have ended.
        planned_epochs: epochs of its own training: those that it had where it ended, else the expected ones.
        points: its epochs so far, in order; none for an output of a joint network.
    """

    name: str
    network: str
    role: Role
    mother: str | None
    cluster: int | None
    start: int
    planned_epochs: float
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsemblePoint:
    """The ensemble after an epoch that every member has reached, or has ended before.

    Attributes:
        epoch: epochs trained so far, counted as in `CurvePoint`.
        mean_member_error: mean validation error of the members, a share; null where one diverged.
        validation_error: validation error of the averaged probabilities, a share; null where it is not
            computed, between the epochs of an even sample where there are many, and for a run before schema
            0011, of which the true classes are not stored.
        disagreement: share of validation images on which two members differ, averaged over pairs; null where
            it is not computed, for members without probabilities of their own, and between the epochs of that
            sample.
    """

    epoch: int
    mean_member_error: float | None
    validation_error: float | None
    disagreement: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How much of a run is done.

    Attributes:
        epochs_done: epochs of all networks so far.
        epochs_planned: epochs of all networks in the end, expected ones where convergence ends a training.
        seconds_spent: wall-clock time of training so far, in seconds.
        seconds_left: wall-clock time of the rest, in seconds: the forecast's share for it at the pace of the
            epochs so far; null where nothing was predicted.
    """

    epochs_done: int
    epochs_planned: float
    seconds_spent: float
    seconds_left: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCurves(Answer):
    """A run while it trains, and after.

    Attributes:
        run: number of the run.
        design: short name of the design.
        method: training method.
        dataset: name of the data set.
        status: state of the run.
        epochs: epochs of a network that is trained from scratch.
        device: ``cpu`` or ``cuda``.
        validation_images: number of validation images.
        networks: networks in the order of the plan.
        ensemble: the ensemble by epoch, in order; of a very long run an even sample with the last.
        predicted_test_error: test error that was predicted when the run began; null where it was not.
        test_error: test error of the ensemble; null before the end.
        progress: how much is done.
    """

    run: int
    design: str
    method: Method
    dataset: str
    status: RunStatus
    epochs: int
    device: str
    validation_images: int
    networks: tuple[NetworkCurve, ...]
    ensemble: tuple[EnsemblePoint, ...]
    predicted_test_error: Estimate | None
    test_error: float | None
    progress: RunProgress
