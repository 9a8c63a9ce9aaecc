"""The test error of a training that is at hand: its networks exist, and their errors on validation images.

Notation, for one training of a design with expected error e:

    l    logarithm of its error on infinitely many test images,  l ~ N(log e, s²)
    s    standard deviation of one training around its prediction (`noise.training_std`)
    b    by how much the validation images are harder than all; common to all trainings on the data
    v    its error on the validation images,  log v ~ N(l + b, o²)
    o    what a count of errors shares with no other count on the same images (`noise.own_count_variance`)

    l | e, b, v  ~  N(log e + w·(log v − b − log e), w·o²),  w = s² / (s² + o²)

The posterior of e and b has learned from v as well. Given them, l depends on no other training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from advisor.accuracy.noise import error_count, own_count_variance
from advisor.estimate import Floats


@dataclass(frozen=True, slots=True)
class AtHand:
    """What is known of a training whose networks exist.

    Attributes:
        error: error of the ensemble on the validation images, share.
        images: number of validation images.
    """

    error: float
    images: int


def errors_at_hand(
    expected: Floats, on_validation: Floats, std: float, known: AtHand
) -> tuple[Floats, float]:
    """Return what is expected of the test error of a training that is at hand.

    Args:
        expected: draws of e, shape (draws,).
        on_validation: draws of e · exp(b), the expected error on the validation images, shape (draws,).
        std: s.
        known: the training.

    Returns:
        Draws of the median of exp(l), shares, shape (draws,), and the standard deviation √w·o of l around
        its logarithm.
    """
    count = error_count(known.error, known.images)
    own = own_count_variance(count, known.images)
    weight = std**2 / (std**2 + own)
    surprise = np.log(count / known.images) - np.log(on_validation)
    errors: Floats = np.minimum(expected * np.exp(weight * surprise), 1.0)
    return errors, float(np.sqrt(weight * own))
