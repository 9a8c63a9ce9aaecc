"""Measurements under one augmentation lent to another: only the preparation of their batches differs.

What is no forward pass, backward pass or update of a measured step is its preparation. It is taken to grow
evenly with the pixels of a batch beyond a constant, fitted on the steps that were measured with the
augmentation; a lent step keeps its passes and is given that preparation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from advisor.cost.measurement import Measurement

# Scales of order one for the two sizes of the fit.
MEGAPIXELS, MILLISECONDS = 1e6, 1e-3


def lent_to(own: Sequence[Measurement], others: Sequence[Measurement]) -> list[Measurement]:
    """Return other measurements as if their batches had been augmented as the own ones were.

    Args:
        own: on one machine, with the augmentation that is asked for.
        others: on the same machine, with another augmentation.

    Returns:
        The others with other `step_seconds`; none of them without an own step on one process.
    """
    steps = [m for m in own if m.fits and m.processes == 1]
    if not steps:
        return []
    rows = np.array([_sizes(m) for m in steps])
    seconds = np.array([max(m.step_seconds - _passes(m), 0.0) for m in steps])
    coefficients = nnls(rows, seconds)[0]
    return [
        replace(m, step_seconds=_passes(m) + float(np.dot(_sizes(m), coefficients))) if m.fits else m
        for m in others
    ]


def _sizes(m: Measurement) -> tuple[float, float]:
    task = m.task
    return m.batch * task.channels * task.height * task.width / MEGAPIXELS, MILLISECONDS


def _passes(m: Measurement) -> float:
    return m.forward_seconds + m.backward_seconds + m.optimizer_seconds
