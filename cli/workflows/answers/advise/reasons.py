"""Parts of the advice that explain it: trades, conditions that would change it, and the next probe."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from advisor.decision.alternatives import Crossover
from advisor.decision.ranking import Objective
from advisor.estimate import Estimate
from advisor.plans.method_traits import Method


class Need(StrEnum):
    """A resource that a limit of the request bounds."""

    TRAIN_SECONDS = "train_seconds"
    MEMORY_BYTES = "memory_bytes"
    LATENCY_MS = "latency_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDesign:
    """A design and how it is trained.

    Attributes:
        design: short name.
        method: training method.
        tuned_weight_decay: weight decay of its networks where it is not that of the recipe; null where it is.
    """

    design: str
    method: Method
    tuned_weight_decay: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignTrade:
    """The error and the time of a design relative to another one.

    Attributes:
        against: the other design, which is the reference; for the reference itself, the best ensemble of the
            ranking.
        points_less: percentage points of test error that the design saves; negative if it has more error.
        epoch_times: seconds per epoch as a multiple of the other design's.
        train_times: seconds of training as a multiple of the other design's.
    """

    against: NamedDesign
    points_less: Estimate
    epoch_times: Estimate
    train_times: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerUp(NamedDesign):
    """The design of rank 2, and the probability that it belongs first.

    Attributes:
        test_error: predicted error of one training on the test images, share.
        train_seconds: predicted seconds of the whole training.
        objective: objective of the ranking.
        probability: probability that the design should have rank 1 by that objective.
        against: reference that designs are compared with.
    """

    test_error: Estimate
    train_seconds: Estimate
    objective: Objective
    probability: float
    against: NamedDesign


@dataclass(frozen=True, slots=True, kw_only=True)
class TighterLimit:
    """A limit below what the first design needs, and the design that comes first under it.

    Attributes:
        need: resource that is limited.
        below: limit under which the design comes first, in the unit of the resource.
        down_to: least limit under which it still does, in the unit of the resource.
        design: short name.
        method: training method.
        test_error: predicted error of one training on the test images, share.
        train_seconds: predicted seconds of the whole training.
        tuned_weight_decay: weight decay of its networks where it is not that of the recipe; null where it is.
    """

    need: Need
    below: float
    down_to: float
    design: str
    method: Method
    test_error: Estimate
    train_seconds: Estimate
    tuned_weight_decay: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherObjective:
    """Another objective, and the design that comes first by it.

    Attributes:
        objective: the other objective.
        design: short name.
        method: training method.
        test_error: predicted error of one training on the test images, share.
        train_seconds: predicted seconds of the whole training.
        tuned_weight_decay: weight decay of its networks where it is not that of the recipe; null where it is.
    """

    objective: Objective
    design: str
    method: Method
    test_error: Estimate
    train_seconds: Estimate
    tuned_weight_decay: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldChange:
    """Conditions that would put another design first.

    Attributes:
        thresholds: sizes and numbers of epochs from which another design has less error.
        second: design of rank 2, null where no forecast suggests that it belongs first.
        limits: tighter limits under which another design comes first.
        objectives: other objectives by which another design comes first.
    """

    thresholds: tuple[Crossover, ...]
    second: RunnerUp | None
    limits: tuple[TighterLimit, ...]
    objectives: tuple[OtherObjective, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedProbe:
    """A short training that would teach the accuracy predictor most, and the command that makes it.

    Attributes:
        design: design to train.
        epochs: schedule of a network trained from scratch.
        share_of_images: share of the training images to use.
        seconds: predicted training time, seconds.
        move_points: percentage points of test error by which the probe is expected to move the comparison of
            the designs.
        predicted_error: predicted validation error, share.
        minutes: time to give the command, minutes.
        command: command line that makes the probe.
        tuned_weight_decay: weight decay of its networks where it is not that of the recipe; null where it is.
    """

    design: str
    epochs: int
    share_of_images: float
    seconds: Estimate
    move_points: float
    predicted_error: Estimate
    minutes: int
    command: str
    tuned_weight_decay: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureNext:
    """The probe to make before training, if one is worth its time.

    Attributes:
        probe: probe that moves the comparison most per second; null where none is worth its time.
        allowed_seconds: time that a probe may reasonably take before the training that is advised, seconds.
        none_within_allowed: whether every worthwhile probe takes longer than that.
        worthwhile_points: least expected move, in percentage points of test error, that is worth a probe.
        untried: design that would lead on its forecast alone, if one of its families had a training on the
            data set: the probe is of this family, and compares its designs. Null where there is none.
    """

    probe: ProposedProbe | None
    allowed_seconds: float
    none_within_allowed: bool
    worthwhile_points: float
    untried: NamedDesign | None = None
