"""Measurements with one augmentation transferred to another: only the preparation of the batches differs.

Notation, for a measured step:

    s           seconds of the step
    p           seconds of its forward pass, backward pass and update
    s − p       seconds of its preparation
    x           pixels of the batch, in millions, all channels counted
    a, b        coefficients of the preparation, both ≥ 0

The preparation is modelled as a·x + b. Coefficients are fitted by non-negative least squares on the steps
that were measured with the wanted augmentation. A transferred step keeps its passes and gets that
preparation: s' = p + a·x + b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from advisor.cost.measurement import Measurement

# Units in which both columns of the fit are of order one.
MEGAPIXELS, MILLISECONDS = 1e6, 1e-3


def transferred(own: Sequence[Measurement], others: Sequence[Measurement]) -> list[Measurement]:
    """Return measurements with another augmentation as if they had been made with the wanted one.

    Args:
        own: measurements of one machine with the wanted augmentation.
        others: measurements of the same machine with another augmentation.

    Returns:
        The others with new `step_seconds`; none if `own` has no step of a single process.
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
