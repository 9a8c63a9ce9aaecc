"""Peak memory as it is measured: the bytes of the specification, and what libraries and allocators add.

The tensors of a step are counted exactly (`memory`). What comes on top is learned: an amount that every
network needs, one that convolutions need, a part of the largest map that they read (their libraries lay it
out anew), and a factor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from advisor.estimate import Estimate, Floats, Z
from advisor.features import KINDS, layer_sizes
from advisor.layers import Task
from advisor.measurement import Measurement
from advisor.memory import inference_bytes, training_bytes

LEAST_MEASUREMENTS = 3
# Until that many peaks are known.
USUAL_FACTOR = 1.2
USUAL_SPREAD = float(np.log(1.5)) / Z
LEAST_SPREAD = 0.02
CONVOLUTIONS = [KINDS.index("Conv"), KINDS.index("Conv@images")]
# Of `LayerSizes.rows`: elements read, in 1e8.
READ_COLUMN = 4


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
        computed = training_bytes(network, task, batch, self._dtype)
        return _estimate(self._training, _row(network, task, batch, computed))

    def inference(self, network: str, task: Task, batch: int) -> Estimate:
        """Peak bytes of a forward pass, by what was learned in training."""
        computed = inference_bytes(network, task, batch, self._dtype)
        return _estimate(self._training, _row(network, task, batch, computed))

    def reserved(self, network: str, task: Task, batch: int) -> Estimate | None:
        """Bytes that the allocator reserves in training, None where that was never measured."""
        if self._reserved is None:
            return None
        computed = training_bytes(network, task, batch, self._dtype)
        return _estimate(self._reserved, _row(network, task, batch, computed))


@dataclass(frozen=True, slots=True)
class _Fit:
    """Bytes for each entry of a row, and the spread of the logarithm."""

    coefficients: Floats
    spread: float


def _row(network: str, task: Task, batch: int, computed: int) -> list[float]:
    sizes = layer_sizes(network, task, batch)
    read = sizes.rows[np.isin(sizes.kinds, CONVOLUTIONS), READ_COLUMN]
    return [float(computed), 1e6, 1e6 * bool(len(read)), 4e8 * float(read.max(initial=0.0))]


def _estimate(fit: _Fit, row: list[float]) -> Estimate:
    mean, width = float(np.dot(row, fit.coefficients)), float(np.exp(Z * fit.spread))
    return Estimate(mean, mean / width, mean * width)


def _fitted(measured: Sequence[Measurement], peak: Callable[[Measurement], int | None]) -> _Fit:
    """Non-negative least squares on relative errors."""
    if len(measured) < LEAST_MEASUREMENTS:
        return _Fit(np.array([USUAL_FACTOR, 0.0, 0.0, 0.0]), USUAL_SPREAD)
    computed = [training_bytes(m.network, m.task, m.batch, m.fingerprint.dtype) for m in measured]
    rows = np.array([_row(m.network, m.task, m.batch, c) for m, c in zip(measured, computed, strict=True)])
    actual = np.array([float(peak(m) or 0) for m in measured])
    coefficients, _ = nnls(rows / actual[:, None], np.ones(len(actual)))
    missed = np.abs(np.log(actual / np.maximum(rows @ coefficients, 1.0)))
    return _Fit(coefficients, max(float(np.quantile(missed, 0.9)) / Z, LEAST_SPREAD))
