"""Peak memory as it is measured: the bytes of the specification, and what libraries and allocators add.

The tensors of a step are counted exactly (`memory`). What comes on top is learned: an amount that every
network needs, and a factor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import nnls

from advisor.estimate import Estimate, Z
from advisor.layers import Task
from advisor.measurement import Measurement
from advisor.memory import inference_bytes, training_bytes

LEAST_MEASUREMENTS = 3
# Until that many peaks are known.
USUAL_FACTOR = 1.2
USUAL_SPREAD = float(np.log(1.5)) / Z
LEAST_SPREAD = 0.02


class MemoryFit:
    """Predicts peaks.

    Args:
        measured: measurements that have a peak.
        dtype: arithmetic of what is predicted.
    """

    def __init__(self, measured: Sequence[Measurement], dtype: str) -> None:
        self._dtype = dtype
        self._training = _fitted(measured, lambda m: m.peak_bytes)
        reserved = [m for m in measured if m.reserved_bytes]
        self._reserved = _fitted(reserved, lambda m: m.reserved_bytes) if reserved else None

    def training(self, network: str, task: Task, batch: int) -> Estimate:
        """Peak bytes of training."""
        return _estimate(self._training, training_bytes(network, task, batch, self._dtype))

    def inference(self, network: str, task: Task, batch: int) -> Estimate:
        """Peak bytes of a forward pass, by what was learned in training."""
        return _estimate(self._training, inference_bytes(network, task, batch, self._dtype))

    def reserved(self, network: str, task: Task, batch: int) -> Estimate | None:
        """Bytes that the allocator reserves in training, None where that was never measured."""
        if self._reserved is None:
            return None
        return _estimate(self._reserved, training_bytes(network, task, batch, self._dtype))


def _estimate(fit: tuple[float, float, float], computed: float) -> Estimate:
    offset, factor, spread = fit
    mean, width = offset + factor * computed, float(np.exp(Z * spread))
    return Estimate(mean, mean / width, mean * width)


def _fitted(
    measured: Sequence[Measurement], peak: Callable[[Measurement], int | None]
) -> tuple[float, float, float]:
    """Offset in bytes, factor on the computed peak, and spread of the logarithm."""
    if len(measured) < LEAST_MEASUREMENTS:
        return 0.0, USUAL_FACTOR, USUAL_SPREAD
    computed = np.array([training_bytes(m.network, m.task, m.batch, m.fingerprint.dtype) for m in measured])
    actual = np.array([float(peak(m) or 0) for m in measured])
    rows = np.stack([np.full(len(actual), 1e6), computed], axis=1) / actual[:, None]
    (offset, factor), _ = nnls(rows, np.ones(len(actual)))
    predicted = np.maximum(offset * 1e6 + factor * computed, 1.0)
    missed = np.abs(np.log(actual / predicted))
    return offset * 1e6, factor, max(float(np.quantile(missed, 0.9)) / Z, LEAST_SPREAD)
