"""Observations of the accuracy formula, from publications and from trainings.

Notation: an observation is y ~ N(log e(case), std²), where e is the error that the formula predicts for a
case, or y ~ N(log(e(case) / e(reference)), std²) if it compares two errors. A finished training yields

- the mean error of its members;
- the ratio of the ensemble's error to it, for all members and for 2, 4, 8, … of them;
- the ratio of earlier errors of its learning curve to the last one, before every drop of the learning rate.

An unfinished training yields errors of its learning curve. Two errors of one training are compared as a
ratio, because what its seed and its data contribute cancels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from advisor.accuracy.cases import (
    case_of,
    progress,
    relative_rates,
    single_member_case,
    smaller_ensemble_case,
)
from advisor.accuracy.data_level import DataLevel
from advisor.accuracy.evidence import Curve, TrainedEvidence, has_curve
from advisor.accuracy.formula import REFERENCE_PARAMETERS, Case
from advisor.accuracy.noise import (
    CURVE_STD,
    PUBLISHED_SEED_STD,
    error_count,
    member_std,
    ratio_std,
    ratio_to_another_std,
    training_std,
)
from advisor.accuracy.prior import ANCHORS, GLOBAL
from advisor.accuracy.sources.published import ERRORS, GAPS, HATCHED_PENALTY, PublishedError
from advisor.plans.dataset import DATASETS
from advisor.plans.method_traits import Method
from advisor.plans.recipes.table import RECIPES

# Exponent of the number of training images in the prior.
IMAGES_EXPONENT = GLOBAL["eta"][0]
# Test images of CIFAR.
PUBLISHED_TEST_IMAGES = 10_000
# Data set and epochs of the published errors of hatched members, and the standard deviation of the logarithm
# of their ratio: they are rounded to a tenth of a point.
HATCHED_ON, HATCHED_EPOCHS, HATCHED_STD = "cifar10", 128, 0.02
# The network that a level is foretold for: one of medium depth.
LEVEL_FAMILY, LEVEL_DEPTH = "resnet", 14
# Epochs before a drop of the learning rate over which errors are averaged: at a high rate they jump.
AVERAGED_EPOCHS = 3


@dataclass(frozen=True, slots=True)
class Observation:
    """A log error, or the log of the ratio of two errors, with its noise.

    Attributes:
        case: case whose error is observed.
        value: natural logarithm of the error (a share), or of the ratio.
        std: standard deviation of the noise.
        reference: case whose error is the denominator of the ratio; None for a single error.
    """

    case: Case
    value: float
    std: float
    reference: Case | None = None


def published_observations(datasets: Collection[str] = ANCHORS) -> list[Observation]:
    """Return the published errors and switchover thresholds as observations.

    Args:
        datasets: names of the data sets that they may be on.
    """
    singles = {_without_members(e): e for e in ERRORS if e.members == 1}
    found = [_published_error(e, singles.get(_without_members(e))) for e in ERRORS if e.dataset in datasets]
    for g in (gap for gap in GAPS if gap.dataset in datasets):
        classes = DATASETS[g.dataset].task.classes
        single = Case(g.dataset, classes, g.family, g.parameters, g.depth, g.share, 1)
        ensemble = replace(single, parameters=g.parameters / g.members, members=g.members)
        found.append(Observation(ensemble, g.log_ratio, g.std, reference=single))
    if HATCHED_ON in datasets:
        found.append(_published_hatching())
    return found


def _published_hatching() -> Observation:
    """Return the errors of hatched members over those of members from scratch, as in the MotherNets paper.

    V5 has VGGs of 13 to 19 layers with 16 million parameters.
    """
    classes, share = DATASETS[HATCHED_ON].task.classes, HATCHED_EPOCHS / RECIPES["vgg"].reference_epochs
    scratch = Case(HATCHED_ON, classes, "vgg", 16.0, 16, share, 1)
    hatched = replace(scratch, method=Method.MOTHERNETS.value, penalised_share=1.0)
    return Observation(hatched, float(np.log(HATCHED_PENALTY)), HATCHED_STD, reference=scratch)


def _without_members(e: PublishedError) -> PublishedError:
    """Return what an ensemble and one network of its members' kind have in common in one publication."""
    return replace(e, members=1, error=0.0)


def _published_error(e: PublishedError, single: PublishedError | None) -> Observation:
    """Return a published error as an observation.

    The error of an ensemble is a ratio to that of one network of the same publication if it prints one: what
    its recipe contributes cancels. A single error on a part of the images is brought to all of them by the
    prior's exponent. Otherwise the exponent would absorb what the recipes of publications contribute.

    Args:
        e: the published error.
        single: error of one network like the members, from the same publication.
    """
    share = e.epochs / RECIPES[e.family].reference_epochs
    classes = DATASETS[e.dataset].task.classes
    case = Case(e.dataset, classes, e.family, e.parameters, e.depth, share, e.members)
    seed_std = float(np.exp(PUBLISHED_SEED_STD.log_median))
    if e.members == 1 or single is None:
        value = np.log(e.error / 100) + IMAGES_EXPONENT * np.log(e.image_share)
        return Observation(case, float(value), training_std(seed_std, case))
    # The denominator is one training, not the mean of the members.
    count = e.error / 100 * PUBLISHED_TEST_IMAGES
    std = ratio_to_another_std(seed_std, case, count, PUBLISHED_TEST_IMAGES)
    return Observation(case, float(np.log(e.error / single.error)), std, single_member_case(case))


def level_observation(level: DataLevel) -> Observation:
    """Return what simple classifiers foretell of a data set as an observation of a medium network."""
    case = Case(
        dataset=level.dataset,
        classes=level.classes,
        family=LEVEL_FAMILY,
        parameters=REFERENCE_PARAMETERS,
        depth=LEVEL_DEPTH,
        schedule_share=level.epochs / RECIPES[LEVEL_FAMILY].reference_epochs,
        members=1,
    )
    return Observation(case, level.error.log_mean, level.error.log_std)


def observations_of(evidence: TrainedEvidence, seed_std: float) -> Iterator[Observation]:
    """Yield the observations of a training.

    A design of several families has no single case and yields none.

    Args:
        evidence: the training.
        seed_std: standard deviation of the log error of one network between seeds on its data.
    """
    e = evidence
    if len(e.design.families) > 1:
        return
    case = case_of(
        e.design,
        e.dataset,
        e.task,
        e.epochs,
        e.method,
        image_share=e.image_share,
        weight_decay=e.weight_decay,
        validated=e.validated,
    )
    if e.member_errors is not None and e.ensemble_error is not None:
        yield from _final_errors(e, case, e.member_errors, e.ensemble_error, seed_std)
    if e.curve is not None and has_curve(e.design, e.method):
        yield from _curve_errors(e, e.curve, case, seed_std)


def _final_errors(
    e: TrainedEvidence, case: Case, member_errors: Sequence[float], ensemble_error: float, seed_std: float
) -> Iterator[Observation]:
    """Yield the error of the mean member, and the ratios of ensembles of it."""
    m, member = case.members, single_member_case(case)
    count = error_count(_mean_error(e, member_errors), e.test_images)
    std = member_std(seed_std, case, count, e.test_images)
    yield Observation(member, float(np.log(count / e.test_images)), std)
    errors = {m: ensemble_error} if m > 1 else {}
    # The first members of several shapes, or of several clusters, are not an ensemble of the same kind.
    if e.errors_by_members is not None and e.design.homogeneous and e.design.clusters in (1, m):
        errors |= {k: e.errors_by_members[k - 1] for k in _powers_of_two(m)}
    for k, error in errors.items():
        ensemble_count, ensemble = error_count(error, e.test_images), smaller_ensemble_case(case, k)
        value = float(np.log(ensemble_count / count))
        std = ratio_std(seed_std, (ensemble_count, count), e.test_images, k, m)
        yield Observation(ensemble, value, std, reference=member)


def _mean_error(e: TrainedEvidence, errors: Sequence[float]) -> float:
    """Return the mean error of the members.

    Members of several shapes are represented by the geometric mean of their sizes, so their errors are too.
    """
    if e.design.homogeneous:
        return float(np.mean(errors))
    return float(np.exp(np.mean([np.log(error_count(x, e.test_images) / e.test_images) for x in errors])))


def _curve_errors(e: TrainedEvidence, curve: Curve, case: Case, seed_std: float) -> Iterator[Observation]:
    """Yield the errors of a learning curve at its turning points.

    The error of a member is a ratio to the error at the end if the training has finished. The error of the
    ensemble is a ratio to that of a member at the same epoch.
    """
    case = replace(case, validated=1.0)
    finished = len(curve.member) >= e.epochs and e.member_errors is not None
    last = error_count(curve.member[e.epochs - 1], curve.images) if finished else None
    length, done = e.epochs, len(curve.member)
    for epochs in turning_points(case.family, length, done, finished=finished, dataset=case.dataset):
        here, window = _epoch_case(case, length, epochs), _averaged(case, length, epochs)
        member, count = single_member_case(here), _count_in(curve.member, window, curve.images)
        std = np.hypot(CURVE_STD, 1 / np.sqrt(count))
        if last is None:
            value, std = np.log(count / curve.images), np.hypot(std, training_std(seed_std, case))
            yield Observation(member, float(value), float(std))
        else:
            value, std = np.log(count / last), np.hypot(std, 1 / np.sqrt(last))
            yield Observation(member, float(value), float(std), reference=single_member_case(case))
        if curve.ensemble is not None and case.members > 1:
            together = _count_in(curve.ensemble, window, curve.images)
            # Where the rate is high, averaging removes now most of what it adds to an error, now nothing.
            rate_std = CURVE_STD * here.relative_rate
            std = np.hypot(ratio_std(seed_std, (together, count), curve.images, case.members), rate_std)
            yield Observation(here, float(np.log(together / count)), float(std), reference=member)


def _epoch_case(case: Case, length: int, epochs: int) -> Case:
    """Return the case of a training after some of its epochs.

    Args:
        case: case of the whole training.
        length: epochs of its schedule.
        epochs: epochs so far, at least 1.
    """
    rates = relative_rates(case.family, length, case.dataset)
    return replace(
        case,
        schedule_share=case.schedule_share * progress(case.family, length, case.dataset)[epochs - 1],
        relative_rate=rates[epochs - 1],
        final_relative_rate=rates[-1],
    )


def _averaged(case: Case, length: int, epochs: int) -> slice:
    """Return the epochs whose errors are averaged: the last ones so far that have the same learning rate."""
    rates = relative_rates(case.family, length, case.dataset)
    first = next(i for i in range(epochs) if rates[i] == rates[epochs - 1])
    return slice(max(epochs - AVERAGED_EPOCHS, first), epochs)


def _count_in(errors: Sequence[float], window: slice, images: int) -> float:
    return error_count(float(np.mean(errors[window])), images)


def _powers_of_two(below: int) -> Iterator[int]:
    size = 2
    while size < below:
        yield size
        size *= 2


def turning_points(family: str, epochs: int, done: int, *, finished: bool, dataset: str = "") -> list[int]:
    """Return the numbers of epochs after which a learning curve is observed.

    These are the last epochs before each drop of the learning rate, and for an unfinished training also the
    last epoch so far. The end of a finished training is observed by its test errors.

    Args:
        family: family of the network.
        epochs: length of its schedule.
        done: number of epochs so far.
        finished: whether the training has finished.
        dataset: name that errors on its data are learned under; "" for the family's usual drops.
    """
    rates = relative_rates(family, epochs, dataset)
    drops = {e for e in range(1, min(done, epochs - 1) + 1) if rates[e] < rates[e - 1]}
    return sorted(drops if finished or not done else {*drops, min(done, epochs)})


def merged(observations: Iterable[Observation]) -> list[Observation]:
    """Return one observation for each case and reference, weighted by inverse variance."""
    groups: dict[tuple[Case, Case | None], list[Observation]] = {}
    for o in observations:
        groups.setdefault((o.case, o.reference), []).append(o)
    found = []
    for (case, reference), group in groups.items():
        weights = np.array([o.std**-2 for o in group])
        value = float(weights @ [o.value for o in group] / weights.sum())
        found.append(Observation(case, value, float(weights.sum() ** -0.5), reference))
    return found
