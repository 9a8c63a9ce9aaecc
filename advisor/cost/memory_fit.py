"""Peak memory as it is measured: the bytes of the specification, and what libraries and allocators add.

The tensors of a step are counted exactly (`memory`). What comes on top is learned: an amount that every
network needs, one that convolutions need, a part of the largest map that they read (their libraries lay it
out anew), and a factor.

Few measurements lie close to any formula that was fitted on them, so that what it misses is taken on networks
that were left out of the fit, and widened as `correction` widens times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.special import stdtrit

from advisor.cost.features import KINDS, layer_sizes
from advisor.cost.measurement import Measurement
from advisor.cost.memory import inference_bytes, training_bytes
from advisor.estimate import LEVEL, Estimate, Floats, Z
from advisor.networks.layers import Task
from advisor.plans.execution import Execution

# Coefficients of a row until enough is known. On a CPU, where heap and libraries count, of the pool of
# benchmarks/cost/cost_model.py, less about 4 MB: its peaks contained the maps of the profiler's reference
# convolution, which later ones do not. On CUDA, whose allocator counts tensors, a guess.
USUAL = {"cpu": (1.5, 8.0, 0.0, 0.0), "cuda": (1.2, 0.0, 0.0, 0.0)}
USUAL_STD = float(np.log(1.5)) / Z
# With as many networks as coefficients nothing is left that a fit could miss.
LEAST_NETWORKS = len(USUAL["cpu"]) + 1
# Misses that the usual spread counts for, and the largest that counts, in usual spreads.
PRIOR_MISSES, LARGEST_MISS = 4, 4.0
CONVOLUTIONS = [KINDS.index("Conv"), KINDS.index("Conv@images")]
# Of `LayerSizes.rows`: elements read, in 1e8.
READ_COLUMN = 4


class MemoryFit:
    """Predicts peaks.

    Args:
        measured: measurements that have a peak.
        execution: how what is predicted is trained.
    """

    def __init__(self, measured: Sequence[Measurement], execution: Execution) -> None:
        self._settings = (execution.dtype, execution.memory_format)
        usual = np.array(USUAL[execution.device])
        self._training = _fitted(measured, lambda m: m.peak_bytes, usual)
        reserved = [m for m in measured if m.reserved_bytes]
        self._reserved = _fitted(reserved, lambda m: m.reserved_bytes, usual) if reserved else None

    def training(self, network: str, task: Task, batch: int) -> Estimate:
        """Peak bytes of training."""
        computed = training_bytes(network, task, batch, *self._settings)
        return _estimate(self._training, _row(network, task, batch, computed))

    def inference(self, network: str, task: Task, batch: int) -> Estimate:
        """Peak bytes of a forward pass, by what was learned in training."""
        computed = inference_bytes(network, task, batch, *self._settings)
        return _estimate(self._training, _row(network, task, batch, computed))

    def reserved(self, network: str, task: Task, batch: int) -> Estimate | None:
        """Bytes that the allocator reserves in training, None where that was never measured."""
        if self._reserved is None:
            return None
        computed = training_bytes(network, task, batch, *self._settings)
        return _estimate(self._reserved, _row(network, task, batch, computed))


@dataclass(frozen=True, slots=True)
class _Fit:
    """Bytes for each entry of a row, and the spread of the logarithm."""

    coefficients: Floats
    std: float


def _row(network: str, task: Task, batch: int, computed: int) -> list[float]:
    sizes = layer_sizes(network, task, batch)
    read = sizes.rows[np.isin(sizes.kinds, CONVOLUTIONS), READ_COLUMN]
    return [float(computed), 1e6, 1e6 * bool(len(read)), 4e8 * float(read.max(initial=0.0))]


def _estimate(fit: _Fit, row: list[float]) -> Estimate:
    mean, width = float(np.dot(row, fit.coefficients)), float(np.exp(Z * fit.std))
    return Estimate(mean, mean / width, mean * width)


def _fitted(
    measured: Sequence[Measurement], peak: Callable[[Measurement], int | None], usual: Floats
) -> _Fit:
    """Fit, and find the spread with each network left out in turn, all its batches together."""
    networks = np.array([m.network for m in measured])
    names = dict.fromkeys(networks.tolist())
    if len(names) < LEAST_NETWORKS:
        return _Fit(usual, USUAL_STD)
    computed = [
        training_bytes(m.network, m.task, m.batch, m.fingerprint.dtype, m.fingerprint.memory_format)
        for m in measured
    ]
    rows = np.array([_row(m.network, m.task, m.batch, c) for m, c in zip(measured, computed, strict=True)])
    actual = np.array([float(peak(m) or 0) for m in measured])
    misses: list[float] = []
    for name in names:
        left = networks == name
        coefficients = _coefficients(rows[~left], actual[~left], usual)
        misses += np.log(actual[left] / np.maximum(rows[left] @ coefficients, 1.0)).tolist()
    return _Fit(_coefficients(rows, actual, usual), _spread(np.array(misses)))


def _coefficients(rows: Floats, actual: Floats, usual: Floats) -> Floats:
    """Non-negative least squares on relative errors.

    A row more for each coefficient that is usually above nothing has it as usual: a few of the smallest
    networks would have it that tensors take nothing.
    """
    known = usual > 0
    prior = np.eye(len(usual))[known] / usual[known, None]
    coefficients: Floats = nnls(np.vstack([rows / actual[:, None], prior]), np.ones(len(rows) + len(prior)))[
        0
    ]
    return coefficients


def _spread(misses: Floats) -> float:
    """Return the scale of misses of the logarithm, with a prior that has them usual, by Student's t."""
    known = PRIOR_MISSES + len(misses)
    sizes = np.minimum(np.abs(misses) / USUAL_STD, LARGEST_MISS)
    scale = USUAL_STD * float(np.sqrt((PRIOR_MISSES + (sizes**2).sum()) / known))
    return scale * float(stdtrit(known, (1 + LEVEL) / 2)) / Z
