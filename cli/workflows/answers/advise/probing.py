"""The answer of `advisor probe`: short trainings, and how they moved the comparison of the designs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from advisor.estimate import Estimate
from cli.workflows.answers.answer import Answer


class ProbingEnd(StrEnum):
    """Why a probing session ended."""

    TIME_IS_UP = "time"
    NOTHING_WORTHWHILE = "nothing worthwhile"
    TOO_LITTLE_TIME = "too little time"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedProbe:
    """A probe, its forecast and its outcome.

    Attributes:
        design: design that was trained.
        epochs: schedule of a network trained from scratch.
        share_of_images: share of the training images that were used.
        predicted_seconds: predicted training time, seconds.
        seconds: time that training and evaluation took, seconds.
        move_points: percentage points of test error by which the probe was expected to move the comparison
            of the designs.
        predicted_error: validation error that was predicted before the training, share.
        error: validation error of the ensemble, share.
        member_errors: validation error of each member, share.
        tuned_weight_decay: weight decay of its networks where it is not that of the recipe; null where it is.
    """

    design: str
    epochs: int
    share_of_images: float
    predicted_seconds: float
    seconds: float
    move_points: float
    predicted_error: Estimate
    error: float
    member_errors: tuple[float, ...]
    tuned_weight_decay: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BestDesign:
    """The design of least expected error among those that keep the limits.

    Attributes:
        design: short name.
        test_error: expected test error, share.
        tuned_weight_decay: weight decay of its networks where it is not that of the recipe; null where it is.
    """

    design: str
    test_error: Estimate
    tuned_weight_decay: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing(Answer):
    """The probes of a session, and the best design before and after them.

    Attributes:
        dataset: name of the data set.
        budget_parameters: parameter budget of the request.
        epochs: schedule of the request.
        probes: finished probes in the order of their end.
        ended: reason why no further probe was trained.
        worthwhile_points: least expected move, in percentage points of test error, that is worth a probe.
        before: best design before the first probe.
        after: best design after the last probe.
        after_as_before: test error of that design as it was expected before the first probe, share.
        at_stake_points: percentage points of test error that perfect knowledge of all errors would save over
            choosing now.
    """

    dataset: str
    budget_parameters: int
    epochs: int
    probes: tuple[FinishedProbe, ...]
    ended: ProbingEnd
    worthwhile_points: float
    before: BestDesign
    after: BestDesign
    after_as_before: Estimate
    at_stake_points: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedProbe:
    """A finished probe that the database has.

    Attributes:
        number: number of the probe.
        dataset: name of the data set; of a folder without a run or kept networks, the digest of its contents.
        design: design that was trained.
        epochs: schedule of a network trained from scratch.
        share_of_images: share of the training images that were used.
        error: validation error of the ensemble, share.
        finished_at: end of the probe in UTC, ISO 8601.
        seconds: time that training and evaluation took; null for probes of older programs.
        networks_kept: whether its trained networks are kept, so that `advisor train` goes on from them.
        tuned_weight_decay: weight decay of its networks where it is not that of the recipe; null where it is.
    """

    number: int
    dataset: str
    design: str
    epochs: int
    share_of_images: float
    error: float
    finished_at: str
    seconds: float | None
    networks_kept: bool
    tuned_weight_decay: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeList(Answer):
    """The probes that the database has.

    Attributes:
        probes: probes, the newest first.
    """

    probes: tuple[ListedProbe, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedProbes(Answer):
    """Probes that are deleted with the evidence that they gave, and their networks.

    Attributes:
        deleted: numbers of the probes.
    """

    deleted: tuple[int, ...]
