"""Whether both ensemble classes have less error than the single network ("More or Less", figure 2).

Notation: s, d, w are the errors of one training each of the single network, the depth-equivalent and the
width-equivalent ensemble; σ is the standard deviation of the logarithm of an error around its expectation.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from advisor.accuracy.noise import RATIO_STD
from advisor.estimate import Floats

# Points of the Gauss-Hermite quadrature over the noise of the single network's training.
POINTS = 21


def probability_both_win(
    single: Floats, ensembles: tuple[Floats, Floats], seed_stds: tuple[float, float, float]
) -> float:
    """Return P(d < s and w < s): one training of each, against the same training of the single network.

    Given s, the trainings of the two ensembles are independent. The noise of s is common to both comparisons,
    so the probability is more than the product of the two.

    Args:
        single: draws of the expected error of the single network, shape (draws,).
        ensembles: draws of the expected errors of the two ensembles, each of shape (draws,).
        seed_stds: standard deviations of the log errors between seeds, of the single network first.
    """
    own, *others = (float(np.hypot(RATIO_STD, std)) for std in seed_stds)
    nodes, weights = np.polynomial.hermite_e.hermegauss(POINTS)
    log_single = np.log(single)[:, None] + own * nodes  # (draws, points)
    both = np.ones_like(log_single)
    for errors, std in zip(ensembles, others, strict=True):
        both *= ndtr((log_single - np.log(errors)[:, None]) / std)
    return float((both @ (weights / weights.sum())).mean())
