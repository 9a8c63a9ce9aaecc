"""The answer of `advisor runs diversity`: how different the members of finished ensembles are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from advisor.plans.method_traits import Method
from cli.workflows.answers.answer import Answer


class ImageSplit(StrEnum):
    """The images whose probabilities are compared.

    ``test``: probabilities are computed by the networks of the run. ``validation``: those of the last epoch
    are stored with the run, rounded to 1/255.
    """

    TEST = "test"
    VALIDATION = "validation"


class VarianceBasis(StrEnum):
    """What variances and covariances are taken over.

    ``seeds``: trainings that differ by nothing but their seed, averaged over the images. ``images``: images
    of one training, which also differ in how hard they are.
    """

    SEEDS = "seeds"
    IMAGES = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChebyshevBound:
    """How often the average of the members lies far from its mean.

    Attributes:
        distance: distance from the mean, in probability.
        bound: variance of the average ÷ distance², at most 1.
        share: share of the images and seeds whose average is so far away.
    """

    distance: float
    bound: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDiversity:
    """Runs that differ by nothing but their seed, and how different their members are.

    All variances are of the probability of the true class.

    Attributes:
        runs: numbers of the runs, one for each seed.
        design: short name of the design.
        method: training method.
        members: number of members.
        over: what variances are taken over.
        images: number of images.
        member_variance: mean variance of a member.
        member_covariance: mean covariance of two members; null for a single network.
        member_correlation: mean correlation of two members; null for a single network.
        covariance_of_one_beginning: mean covariance of members with one mother network or chain; null if
            there are none.
        covariance_of_different_beginnings: mean covariance of the other pairs; null if there are none.
        variance_of_average: variance of the average of the members, measured.
        variance_by_identity: the same by (1/m²)·(Σ variances + Σ covariances of ordered pairs).
        disagreement: share of images on which two members name different classes, averaged over pairs.
        chebyshev: how often the average lies far from its mean.
        covariance: covariance of the members, with the variances on the diagonal, in the order of the design.
        correlation: correlation of the members.
    """

    runs: tuple[int, ...]
    design: str
    method: Method
    members: int
    over: VarianceBasis
    images: int
    member_variance: float
    member_covariance: float | None
    member_correlation: float | None
    covariance_of_one_beginning: float | None
    covariance_of_different_beginnings: float | None
    variance_of_average: float
    variance_by_identity: float
    disagreement: float
    chebyshev: tuple[ChebyshevBound, ...]
    covariance: tuple[tuple[float, ...], ...]
    correlation: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiversity(Answer):
    """How different the members of finished ensembles are.

    Attributes:
        split: images whose probabilities are compared.
        groups: runs that differ by nothing but their seed, in the order of their first runs.
        repeated: runs that are left out, because an earlier one has their seed.
    """

    split: ImageSplit
    groups: tuple[GroupDiversity, ...]
    repeated: tuple[int, ...]
