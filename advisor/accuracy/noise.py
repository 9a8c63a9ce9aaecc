"""How far the error of one training lies from its prediction: seeds, discrepancy and counting.

Notation: every figure is the standard deviation of a logarithm of an error, or of a ratio of two errors.

    σ       seed_std: of the error of one network between seeds, on one data set
    m, r    members, and the share of ordered pairs (over m²) with a common beginning
    k, e    errors counted on a finite number of images, and their share
    c       √((1 − e)/k), of a count
    w       share of c² that is common to all networks: images that are hard are so for each (`common_share`)

    one network                      σ
    an ensemble                      σ · √(1/m + r), since members with one mother share her seed
    one training                     √(DISCREPANCY_STD² + σ²·(1/m + r))
    its count                        √(c²·(1 − w)/m), and √w·c in common with all counts on the same images
    ensemble of j of the m members / mean member
                                     √(RATIO_STD² + (SEEDS_OF_RATIO·σ)² + σ²·(1/j − 1/m) + (1 − R)/k + OWN·c²)
    the same / network of another training
                                     √(RATIO_STD² + σ²/m + σ² + c²·(1 − w))

R is the ratio of the two errors of one training; k and c are those of the ensemble. Both errors are of the
same networks on the same images, so that their ratio is known better than either. In the middle of a schedule
the ratio has CURVE_STD times the relative learning rate on top (`advisor.accuracy.observations`).

σ is estimated for every data set from trainings that differ by nothing but their seed (`fitted_seed_std`), by
the likelihood of their log errors under a common normal distribution whose mean is integrated out, with a
log-normal prior of σ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from advisor.accuracy.cases import case_of, single_member_case
from advisor.accuracy.evidence import TrainedEvidence, has_curve
from advisor.accuracy.formula import Case
from advisor.accuracy.prior import PUBLISHED_DATASETS
from advisor.estimate import Floats
from advisor.marginal_likelihood import LogNormal

# A training around the prediction (formula and Gaussian process), its seed left out.
DISCREPANCY_STD = 0.05
# The same for the ratio of two errors of one training.
RATIO_STD = 0.02
# Standard deviation of that ratio between seeds, over σ: 0.2 to 0.5 for independent members on the grids. An
# ensemble errs on images on which its members err; of the variance of its count the share OWN_ERRORS is of
# others: 0.01 to 0.15 (`benchmarks/trainings/ratio_noise.py`).
SEEDS_OF_RATIO, OWN_ERRORS = 0.3, 0.05
# Discrepancy of an epoch in the middle of a schedule over the end of the same training.
CURVE_STD = 0.15
# Correlation of the wrong answers of two networks on the same images, over the images. Pairs of members have
# 0.24 to 0.39 where a hundredth of the answers is wrong, and 0.72 to 0.89 from a seventh on
# (`benchmarks/trainings/common_errors.py`). Between lies a line in the logarithm of the error.
LEAST_COMMON, MOST_COMMON, COMMON_SLOPE, COMMON_ERROR = 0.3, 0.75, 0.15, 0.01
# Priors of σ: for data sets with published errors, and for all others, where little data and short schedules
# may make it ten times as large.
PUBLISHED_SEED_STD = LogNormal(float(np.log(0.03)), 0.2)
OTHER_SEED_STD = LogNormal(float(np.log(0.1)), 0.8)
SEED_STD_GRID = np.geomspace(0.01, 1.0, 41)


def error_count(error: float, images: int) -> float:
    """Return the number of errors on a number of images, at least half an error.

    Zero errors have no logarithm, and half an error is the next smaller count.

    Args:
        error: error, share.
        images: number of images.
    """
    return max(error * images, 0.5)


def common_share(error: float) -> float:
    """Return the share of the variance of a count that all counts on the same images have in common.

    Args:
        error: error, share.
    """
    found = LEAST_COMMON + COMMON_SLOPE * np.log(max(error, 1e-9) / COMMON_ERROR)
    return float(np.clip(found, LEAST_COMMON, MOST_COMMON))


def own_count_variance(count: float, images: int) -> float:
    """Return the variance of the logarithm of a count that no other count on the same images shares.

    Args:
        count: number of errors.
        images: number of images.
    """
    error = min(count / images, 1.0)
    return _count_variance(count, error) * (1 - common_share(error))


def _count_variance(count: float, error: float) -> float:
    """Return the variance of the logarithm of a count of errors, which are a share of the images."""
    return (1 - error) / count


def ensemble_seed_std(seed_std: float, case: Case) -> float:
    """Return the standard deviation of an ensemble's log error between seeds.

    Args:
        seed_std: the same of one network.
        case: case of the ensemble.
    """
    shared = 1 / case.members + case.pairs_same + case.pairs_mixed + case.pairs_shared
    return float(seed_std * np.sqrt(shared))


def training_std(seed_std: float, case: Case) -> float:
    """Return the standard deviation of one training's log error around its prediction, counting left out.

    Args:
        seed_std: standard deviation of the log error of one network between seeds.
        case: case of the training.
    """
    return float(np.hypot(DISCREPANCY_STD, ensemble_seed_std(seed_std, case)))


def member_std(seed_std: float, case: Case, count: float, images: int) -> float:
    """Return the standard deviation of the log error of the mean member of one training, counted on images.

    Args:
        seed_std: standard deviation of the log error of one network between seeds.
        case: case of the training.
        count: number of errors that a member makes, the mean of all.
        images: number of images that they are counted on.
    """
    own = own_count_variance(count, images) / case.members
    return float(np.hypot(training_std(seed_std, case), np.sqrt(own)))


def ratio_std(
    seed_std: float, counts: tuple[float, float], images: int, members: int, averaged: int | None = None
) -> float:
    """Return the standard deviation of the log of an ensemble's error over the mean error of its members.

    Args:
        seed_std: standard deviation of the log error of one network between seeds.
        counts: numbers of errors of the ensemble, and of its members in the mean.
        images: number of images that they are counted on.
        members: members of the ensemble.
        averaged: members whose mean it is, if the ensemble has the first of them only.
    """
    ensemble, member = counts
    nested = (1 - min(ensemble / member, 1.0)) / ensemble
    own = OWN_ERRORS * _count_variance(ensemble, min(ensemble / images, 1.0))
    others = 1 / members - 1 / (averaged or members)
    return float(np.sqrt(RATIO_STD**2 + seed_std**2 * (SEEDS_OF_RATIO**2 + others) + nested + own))


def ratio_to_another_std(seed_std: float, case: Case, count: float, images: int) -> float:
    """Return the standard deviation of the log of an ensemble's error over that of one other network.

    Args:
        seed_std: standard deviation of the log error of one network between seeds.
        case: case of the ensemble.
        count: number of errors that the ensemble makes.
        images: number of images that they are counted on.
    """
    own = own_count_variance(count, images)
    return float(np.sqrt(RATIO_STD**2 + seed_std**2 * (1 / case.members + 1) + own))


def split_stds(evidence: Sequence[TrainedEvidence]) -> dict[str, float]:
    """Return how far the log error on validation images may lie off that on all images, by data set.

    All trainings are counted on the same validation images, so what these contribute is common to them, and
    many trainings do not average it out.

    Args:
        evidence: trainings; those that are counted on test images are passed over.
    """
    variances: dict[str, list[float]] = {}
    for e in evidence:
        if e.validated and e.member_errors is not None:
            count = error_count(float(np.mean(e.member_errors)), e.test_images)
            error = min(count / e.test_images, 1.0)
            variances.setdefault(e.dataset, []).append(_count_variance(count, error) * common_share(error))
    return {dataset: float(np.median(found) ** 0.5) for dataset, found in variances.items()}


def fitted_seed_std(dataset: str, evidence: Sequence[TrainedEvidence]) -> float:
    """Return the standard deviation of the log error of one network between seeds on a data set.

    Independent members of one shape differ by their seed only, and so do repeated trainings. The value of
    `SEED_STD_GRID` with the highest posterior density is returned.

    Args:
        dataset: name that errors on the data are learned under.
        evidence: trainings, on this data set and others.
    """
    prior = PUBLISHED_SEED_STD if dataset in PUBLISHED_DATASETS else OTHER_SEED_STD
    log_posterior = prior.log_density(SEED_STD_GRID)
    for counts, images in _repeated_trainings(dataset, evidence):
        log_posterior += _log_likelihoods(counts, images)
    return float(SEED_STD_GRID[log_posterior.argmax()])


def _repeated_trainings(dataset: str, evidence: Sequence[TrainedEvidence]) -> Iterable[Floats]:
    """Return the trainings that differ by their seed only: for each case errors and images, shape (2, n)."""
    groups: dict[Case, list[tuple[float, int]]] = {}
    for e in evidence:
        if e.dataset == dataset and e.member_errors and has_curve(e.design, e.method):
            case = case_of(
                e.design,
                e.dataset,
                e.task,
                e.epochs,
                e.method,
                image_share=e.image_share,
                weight_decay=e.weight_decay,
            )
            counted = [(error_count(error, e.test_images), e.test_images) for error in e.member_errors]
            groups.setdefault(single_member_case(case), []).extend(counted)
    return [np.array(group).T for group in groups.values()]


def _log_likelihoods(counts: Floats, images: Floats) -> Floats:
    """Return the log likelihood of each value of `SEED_STD_GRID`, up to a constant.

    Args:
        counts: errors of each training, shape (n,).
        images: images that they are counted on, shape (n,).
    """
    own = np.array([own_count_variance(*pair) for pair in zip(counts, images, strict=True)])
    weights = 1 / (SEED_STD_GRID[:, None] ** 2 + own)
    total = weights.sum(axis=1)
    logs = np.log(counts / images)
    mean = weights @ logs / total
    squares = (weights * (logs - mean[:, None]) ** 2).sum(axis=1)
    log_density: Floats = 0.5 * (np.log(weights).sum(axis=1) - np.log(total) - squares)
    return log_density
