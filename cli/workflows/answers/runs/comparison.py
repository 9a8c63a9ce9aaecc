"""The answer of `advisor runs compare`: runs side by side, in groups, and by how much the groups differ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from advisor.estimate import Estimate
from advisor.plans.method_traits import Method
from cli.workflows.answers.answer import Answer
from cli.workflows.answers.runs.run import Run


class DifferenceBasis(StrEnum):
    """What the interval of a difference takes into account."""

    SEEDS = "seeds"
    COUNTING = "counting and forecast seed noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A difference of two groups.

    Attributes:
        value: figure of the group minus that of the reference, with a 90 % interval.
        basis: ``seeds``: Student's t over the seeds of both groups, on these test images. ``counting and
            forecast seed noise``: where a group has a single finished run, the noise of counting errors on
            the test images and the noise between seeds that the accuracy predictor forecasts.
    """

    value: Estimate
    basis: DifferenceBasis


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMean:
    """The mean of a figure over a group.

    Attributes:
        value: mean over the seeds of the group, with a 90 % interval.
        basis: what the interval takes into account, as for a difference.
    """

    value: Estimate
    basis: DifferenceBasis


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGroup:
    """Runs that differ by nothing but their seed; a run that has none like it is a group of its own.

    Attributes:
        runs: numbers of the runs.
        design: short name of the design.
        method: training method.
        counted: numbers of the finished runs that the figures rest on, one for each seed.
        test_error: mean test error of these runs, a share; null where no run is finished.
        nll: mean negative log-likelihood in nats; null where it is not known.
        calibration_error: mean expected calibration error; null where it is not known.
        test_error_mean: mean test error with its interval; null where no run is finished.
        train_seconds_mean: mean training time in seconds with its interval; null with fewer than two seeds.
    """

    runs: tuple[int, ...]
    design: str
    method: Method
    counted: tuple[int, ...]
    test_error: float | None
    nll: float | None
    calibration_error: float | None
    test_error_mean: GroupMean | None = None
    train_seconds_mean: GroupMean | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDifference:
    """By how much a group differs from the reference, which is the first group.

    Attributes:
        group: index into `groups`, from 1.
        test_error: difference of the test errors, shares; null where a group has no finished run, or the two
            have other test images.
        nll: difference of the negative log-likelihoods in nats; null unless both groups have two seeds.
        calibration_error: difference of the calibration errors; null unless both groups have two seeds.
        same_test_images: whether both groups are evaluated on the same test images.
    """

    group: int
    test_error: Difference | None
    nll: Difference | None
    calibration_error: Difference | None
    same_test_images: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison(Answer):
    """Several runs side by side.

    Attributes:
        runs: runs in the requested order.
        groups: runs that differ by nothing but their seed, in the order of their first runs.
        differences: differences of every other group from the first one.
    """

    runs: tuple[Run, ...]
    groups: tuple[RunGroup, ...]
    differences: tuple[GroupDifference, ...]
