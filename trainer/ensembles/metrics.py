"""Metrics of an ensemble from the class probabilities of its members.

Notation: p[i, n, c] is the probability that member i gives to class c for image n, shape (members, images,
classes); p̄ is the average over the members. All metrics are measured on the test set. The weights of the
super learner and the best member are chosen on the validation set, on which no member was trained.

Sources:

- MotherNets (MLSys 2020), section 3: the metrics.
- Ju, Bibaut and van der Laan, "The relative performance of ensemble methods with deep convolutional neural
  networks for image classification" (J. Applied Statistics 2018): the super learner.
- Guo et al., "On calibration of modern neural networks" (ICML 2017): the calibration error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.plans.confusion import ConfusionMatrix
from advisor.plans.records import EnsembleMetrics
from trainer.training.stored_probabilities import Probabilities

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]

# The number of bins of Guo et al., which most later papers use too.
CALIBRATION_BINS = 15
# Number of sums in memory at once: 4 MiB in float32, which fit into the cache of a processor.
WINDOW_VALUES = 2**20
# About the resolution of float32 next to one. A likelihood of zero would have an infinite logarithm.
SMALLEST_LIKELIHOOD = 1e-7


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions of the members for one split.

    Attributes:
        probabilities: class probabilities p, float32 (members, images, classes).
        labels: true classes, int64 (images,).
    """

    probabilities: Probabilities
    labels: Labels

    @property
    def likelihoods(self) -> Probabilities:
        """Probabilities of the true classes, (members, images)."""
        return np.take_along_axis(self.probabilities, self.labels[None, :, None], axis=2)[:, :, 0]


def ensemble_metrics(test: Predictions, validation: Predictions) -> EnsembleMetrics:
    """Return the metrics of an ensemble on the test set.

    Args:
        test: predictions for the test set.
        validation: predictions of the same members, in the same order, for the validation set; they decide on
            weights and the best member.
    """
    labels = test.labels
    answers = test.probabilities.argmax(axis=2)  # (members, images)
    wrong = answers != labels
    mean = test.probabilities.mean(axis=0, dtype=np.float64)  # (images, classes)
    likelihood = np.take_along_axis(mean, labels[:, None], axis=1)
    weights = super_learner_weights(validation)
    weighted = np.einsum("i,inc->nc", weights, test.probabilities)
    validation_errors = (validation.probabilities.argmax(axis=2) != validation.labels).mean(axis=1)
    error = _share_wrong(mean.argmax(axis=1), labels)
    return EnsembleMetrics(
        error=error,
        member_errors=tuple(float(e) for e in wrong.mean(axis=1)),
        oracle_error=float(wrong.all(axis=0).mean()),
        disagreement=disagreement(answers),
        nll=float(-np.log(np.maximum(likelihood, np.finfo(np.float64).tiny)).mean()),
        voting_error=_share_wrong(_elected(answers, mean), labels),
        super_learner_error=_share_wrong(weighted.argmax(axis=1), labels),
        super_learner_weights=tuple(float(w) for w in weights),
        calibration_error=calibration_error(mean, labels),
        best_member=int(validation_errors.argmin()),
        errors_by_members=(*errors_of_windows(test), error),
    )


def confusion_matrix(
    answers: Labels, labels: Labels, classes: int, names: tuple[str, ...] = ()
) -> ConfusionMatrix:
    """Return which classes are taken for which others.

    Args:
        answers: class that each image is given, int64 (images,).
        labels: true classes, int64 (images,).
        classes: number of classes.
        names: names of the classes by label, empty if they have none.
    """
    pairs, numbers = np.unique(labels * classes + answers, return_counts=True)
    cells = zip((pairs // classes).tolist(), (pairs % classes).tolist(), numbers.tolist(), strict=True)
    return ConfusionMatrix(
        images=tuple(np.bincount(labels, minlength=classes).tolist()),
        confused=tuple(cell for cell in cells if cell[0] != cell[1]),
        names=names,
    )


def confusion_of(predictions: Predictions, names: tuple[str, ...] = ()) -> ConfusionMatrix:
    """Return the confusion matrix of the averaged probabilities.

    Args:
        predictions: predictions of all members.
        names: names of the classes by label, empty if they have none.
    """
    mean = predictions.probabilities.mean(axis=0, dtype=np.float64)
    return confusion_matrix(mean.argmax(axis=1), predictions.labels, mean.shape[1], names)


def errors_of_windows(predictions: Predictions) -> tuple[float, ...]:
    """Return the errors of smaller ensembles: averages of 1, 2, …, m − 1 of the m members.

    Args:
        predictions: predictions of all members.

    Returns:
        Errors as shares, m − 1 of them. Entry i is the mean over the m windows of i + 1 consecutive members
        in cyclic order.
    """
    p, labels = predictions.probabilities, predictions.labels
    members, images, classes = p.shape
    wrong = np.zeros(members - 1, np.int64)
    part = max(WINDOW_VALUES // (members * classes), 1)
    for first in range(0, images, part):
        among = slice(first, first + part)
        around = np.concatenate([p[:, among], p[:-1, among]])  # (2 members - 1, part, classes)
        # Summed member by member, because differences of cumulative sums lose digits of small probabilities.
        sums = np.zeros_like(around[:members])
        for size in range(1, members):
            sums += around[size - 1 : size - 1 + members]
            wrong[size - 1] += np.count_nonzero(sums.argmax(axis=2) != labels[among])
    return tuple(float(count) for count in wrong / (members * images))


def _share_wrong(answers: NDArray[np.int64], labels: Labels) -> float:
    return float((answers != labels).mean())


def _elected(answers: NDArray[np.int64], mean: Floats) -> NDArray[np.int64]:
    """Return the class with the most votes for each image; of tied classes the one with the largest p̄.

    Args:
        answers: most probable class of each member, int64 (members, images).
        mean: averaged probabilities p̄, (images, classes).
    """
    images = np.arange(len(mean))
    votes = np.zeros(mean.shape, np.int16)
    for answer in answers:
        votes[images, answer] += 1
    tied = votes == votes.max(axis=1, keepdims=True)
    return np.asarray(np.where(tied, mean, -1.0).argmax(axis=1))


def super_learner_weights(validation: Predictions) -> Floats:
    """Return the weights of the convex super learner: not negative, with sum 1.

    The weights w maximise the likelihood of Σ_i w_i p[i] on the validation images. The super learner of van
    der Laan, Polley and Hubbard (2007) fits them to cross-validated predictions, so that no learner is
    evaluated on its training data. Here the validation set serves this purpose, because no member was trained
    on it (Ju et al. 2018). The problem is convex and has one variable for each member. SciPy's SLSQP
    (sequential quadratic programming) solves it, starting from equal weights.

    Args:
        validation: predictions for the validation set.

    Returns:
        Weights, float64 (members,).
    """
    # SciPy takes a second to import, and epochs are recorded without it.
    from scipy.optimize import minimize

    likelihoods = np.maximum(validation.likelihoods.astype(np.float64), SMALLEST_LIKELIHOOD)

    def loss(weights: Floats) -> tuple[float, Floats]:
        mixed = weights @ likelihoods
        return float(-np.log(mixed).mean()), -(likelihoods / mixed).mean(axis=1)

    members = len(likelihoods)
    found = minimize(
        loss,
        np.full(members, 1 / members),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"maxiter": 500, "ftol": 1e-10},
    )
    # The solver satisfies the constraints up to rounding errors.
    weights = np.maximum(found.x, 0.0)
    return np.asarray(weights / weights.sum())


def calibration_error(probabilities: Floats, labels: Labels) -> float:
    """Return the expected calibration error: Σ_b |B_b|/n · |accuracy(B_b) − confidence(B_b)| (Guo et al.).

    B_b is the set of images whose confidence, the largest probability, is in bin b. Bins have one width;
    images of confidence 1 have a bin of their own, as in TorchMetrics, which takes seconds to import.

    Args:
        probabilities: class probabilities, (images, classes).
        labels: true classes, int64 (images,).
    """
    # Rounding may raise an average above 1.
    confidences = np.minimum(probabilities.max(axis=1), 1.0)
    bins = np.floor(confidences * CALIBRATION_BINS).astype(int)
    gaps = (probabilities.argmax(axis=1) == labels) - confidences
    return float(np.abs(np.bincount(bins, gaps)).sum() / len(labels))


def probability_covariance(repeats: Floats) -> Floats:
    """Return the covariance of the members' true-class probabilities over repeated trainings.

    It is the unbiased covariance over the repeats, averaged over the images (MotherNets, section 3.4 and
    appendix B). Member i of every repeat is the same network, or a network of the same cluster.

    Args:
        repeats: probabilities of the true classes, (repeats, members, images).

    Returns:
        Symmetric matrix, float64 (members, members), with the variances on its diagonal.

    Raises:
        ValueError: there are fewer than two repeats, or the shape is another one.
    """
    if repeats.ndim != 3 or len(repeats) < 2:
        raise ValueError(f"repeats must be (2 or more, members, images), got shape {repeats.shape}")
    centred = repeats - repeats.mean(axis=0, dtype=np.float64)
    summed = np.einsum("rin,rjn->ij", centred, centred, optimize=True)
    return np.asarray(summed / ((len(repeats) - 1) * repeats.shape[2]))


def variance_of_average(covariance: Floats) -> float:
    """Return the variance of the members' average, (1/m²)(Σ_i Var_i + Σ_{i≠j} Cov_ij).

    Args:
        covariance: covariance of the members, for example from `probability_covariance`, (members, members).
    """
    return float(covariance.sum() / len(covariance) ** 2)


def disagreement(answers: NDArray[np.int64]) -> float:
    """Return the share of images on which two members differ, averaged over all pairs; 0 for one member.

    Args:
        answers: most probable class of each member, int64 (members, images).
    """
    pairs = [
        (answers[i] != answers[j]).mean() for i in range(len(answers)) for j in range(i + 1, len(answers))
    ]
    return float(np.mean(pairs)) if pairs else 0.0
