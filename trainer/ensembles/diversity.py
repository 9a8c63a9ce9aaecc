"""How different the members of an ensemble are: variance, covariance and disagreement.

Notation:

    p[r, i, n]   probability that member i gives to the true class of image n in training r of the ensemble,
                 shape (trainings, members, images)
    p̄[r, n]      average over the m members
    C[i, j]      covariance of members i and j, with the variances on the diagonal

With two trainings or more, which differ by nothing but their seed, C is the covariance over the trainings,
averaged over the images (MotherNets, section 3.4 and appendix B). With one training it is the covariance over
the images. That one also has what makes an image hard for every member. So it is larger, and the two are not
comparable.

Either way the variance identity holds exactly:

    Var(p̄) = (1/m²) · (Σ_i C[i, i] + Σ_{i≠j} C[i, j]),

and so does Chebyshev's inequality, which bounds how often p̄ lies ε or more from its mean:

    P(|p̄ − E p̄| ≥ ε) ≤ Var(p̄) / ε².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.ensembles.metrics import Predictions, disagreement, probability_covariance, variance_of_average

Floats = NDArray[np.float64]

# Distances ε of Chebyshev's bound. Who loses a true class of mean probability 1/2 + ε is off by ε or more.
DISTANCES = (0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How often the average of the members lies far from its mean.

    Attributes:
        distance: ε.
        bound: Var(p̄) / ε², at most 1.
        share: share of the images and trainings whose average lies ε or more from its mean.
    """

    distance: float
    bound: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """How different the members of an ensemble are.

    Attributes:
        trainings: number of trainings; with one, the covariance is over the images.
        images: number of images.
        covariance: C, shape (members, members).
        variance_of_average: Var(p̄), measured on the averages.
        variance_by_identity: the same by the variance identity.
        disagreement: share of images on which two members name different classes, averaged over pairs and
            trainings; 0 for one member.
        deviations: how often the average lies far from its mean, by distance.
    """

    trainings: int
    images: int
    covariance: Floats
    variance_of_average: float
    variance_by_identity: float
    disagreement: float
    deviations: tuple[Deviation, ...]

    @property
    def member_variance(self) -> float:
        """Mean variance of a member."""
        return float(np.diag(self.covariance).mean())

    @property
    def correlation(self) -> Floats:
        """Correlation of the members, shape (members, members); 0 where a member never varies."""
        std = np.sqrt(np.diag(self.covariance))
        scale = np.outer(std, std)
        found = np.divide(self.covariance, scale, out=np.zeros_like(scale), where=scale > 0)
        return np.asarray(found)

    def mean_covariance(self, pairs: Sequence[tuple[int, int]]) -> float | None:
        """Return the mean covariance of pairs of members; None if there is no pair."""
        return float(np.mean([self.covariance[i, j] for i, j in pairs])) if pairs else None

    def mean_correlation(self, pairs: Sequence[tuple[int, int]]) -> float | None:
        """Return the mean correlation of pairs of members; None if there is no pair."""
        matrix = self.correlation
        return float(np.mean([matrix[i, j] for i, j in pairs])) if pairs else None


def diversity(trainings: Sequence[Predictions]) -> Diversity:
    """Return how different the members of an ensemble are.

    Args:
        trainings: predictions of the members for the same images, one for each training of the ensemble.

    Raises:
        ValueError: there is no training, one image of one training, or trainings have other images.
    """
    likelihoods = np.stack([each.likelihoods for each in trainings]).astype(np.float64)
    images = likelihoods.shape[2]
    if len(trainings) == 1:
        # The images of one training take the place of the trainings of one image.
        likelihoods = likelihoods.transpose(2, 1, 0)
    covariance = probability_covariance(likelihoods)
    averages = likelihoods.mean(axis=1)
    return Diversity(
        trainings=len(trainings),
        images=images,
        covariance=covariance,
        variance_of_average=float(averages.var(axis=0, ddof=1).mean()),
        variance_by_identity=variance_of_average(covariance),
        disagreement=float(np.mean([disagreement(p.probabilities.argmax(axis=2)) for p in trainings])),
        deviations=deviations(averages),
    )


def deviations(averages: Floats) -> tuple[Deviation, ...]:
    """Return how often averages lie far from their mean, and Chebyshev's bound on it.

    Args:
        averages: p̄, shape (trainings, images); the mean is that over the trainings.
    """
    variance = float(averages.var(axis=0, ddof=1).mean())
    away = np.abs(averages - averages.mean(axis=0))
    return tuple(
        Deviation(distance=e, bound=min(variance / e**2, 1.0), share=float((away >= e).mean()))
        for e in DISTANCES
    )
