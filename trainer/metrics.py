"""Figures of an ensemble from the probabilities of its members.

Notation: p[i, n, c] is what member i gives to class c for image n, shape (members, images, classes).
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from advisor.records import EnsembleMetrics

Probabilities = NDArray[np.float32]
Labels = NDArray[np.int64]

# One part in 255 is enough for ensemble curves and a quarter of the bytes of float32.
LEVELS = 255


def ensemble_metrics(probabilities: Probabilities, labels: Labels) -> EnsembleMetrics:
    """Return the figures of members whose probabilities have shape (members, images, classes)."""
    answers = probabilities.argmax(axis=2)  # (members, images)
    wrong = answers != labels
    mean = probabilities.astype(np.float64).mean(axis=0)
    likelihood = np.take_along_axis(mean, labels[:, None], axis=1)
    return EnsembleMetrics(
        error=float((mean.argmax(axis=1) != labels).mean()),
        member_errors=tuple(float(e) for e in wrong.mean(axis=1)),
        oracle_error=float(wrong.all(axis=0).mean()),
        disagreement=_disagreement(answers),
        nll=float(-np.log(np.maximum(likelihood, np.finfo(np.float64).tiny)).mean()),
    )


def _disagreement(answers: NDArray[np.int64]) -> float:
    """Mean share of images on which a pair of members differs."""
    pairs = [
        (answers[i] != answers[j]).mean() for i in range(len(answers)) for j in range(i + 1, len(answers))
    ]
    return float(np.mean(pairs)) if pairs else 0.0


def pack_probabilities(probabilities: Probabilities) -> bytes:
    """Compress (images, classes) to one byte a value; errors up to 1/510."""
    return zlib.compress(np.rint(probabilities * LEVELS).astype(np.uint8).tobytes(), 6)


def unpack_probabilities(packed: bytes, classes: int) -> Probabilities:
    """Return what `pack_probabilities` packed, shape (images, classes)."""
    values = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(-1, classes)
    return values.astype(np.float32) / np.float32(LEVELS)
