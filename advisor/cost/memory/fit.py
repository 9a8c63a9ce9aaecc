"""Peak memory as it is measured: the computed bytes of tensors, and what libraries and allocators add.

Notation, for a network at a batch:

    B           peak bytes of tensors, computed exactly (`advisor.cost.memory.peak`)
    C           1 for a network with convolutions, else 0
    R           bytes of the largest map that a convolution reads; libraries may copy it into another layout
    β           coefficients, shape (4,), all ≥ 0
    r           log(measured / predicted peak) of a network that was left out of the fit
    s           `USUAL_STD`, standard deviation of r without measurements

The peak is β_0·B + 10⁶·(β_1 + β_2·C) + β_3·R. Coefficients minimise the squared relative errors, with one
prior row for each coefficient that is usually positive. The standard deviation of the logarithm is estimated
from r in the same way as that of times (`advisor.cost.correction`): few measurements lie close to any formula
fitted on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.special import stdtrit

from advisor.cost.features import KINDS, layer_sizes
from advisor.cost.measurement import Measurement
from advisor.cost.memory.peak import inference_bytes, training_bytes
from advisor.estimate import LEVEL, Estimate, Floats, Z
from advisor.networks.layers import Task
from advisor.plans.execution import Execution

# Coefficients β until there are enough measurements. On a CPU they were fitted on the pool of
# benchmarks/cost/cost_model.py, less about 4 MB: those peaks included the maps of the profiler's reference
# convolution, later ones do not. On CUDA, whose allocator counts tensors alone, they are a guess.
USUAL = {"cpu": (1.5, 8.0, 0.0, 0.0), "cuda": (1.2, 0.0, 0.0, 0.0)}
USUAL_STD = float(np.log(1.5)) / Z
# Fewest networks for a fit. As many networks as coefficients would leave no residuals.
LEAST_NETWORKS = len(USUAL["cpu"]) + 1
# Number of residuals that the prior counts for, and the largest |r| / s that an observed one counts with.
PRIOR_RESIDUALS, LARGEST_RESIDUAL = 4, 4.0
CONVOLUTIONS = [KINDS.index("Conv"), KINDS.index("Conv@images")]
# Column of `LayerSizes.rows` with the elements read, in 1e8.
READ_COLUMN = 4


class MemoryFit:
    """Predicts peak memory.

    Args:
        measured: measurements that have a peak.
        execution: settings of the training that is predicted.
    """

    def __init__(self, measured: Sequence[Measurement], execution: Execution) -> None:
        self._settings = (execution.dtype, execution.memory_format)
        usual = np.array(USUAL[execution.device])
        self._training = _fitted(measured, lambda m: m.peak_bytes, usual)
        reserved = [m for m in measured if m.reserved_bytes]
        self._reserved = _fitted(reserved, lambda m: m.reserved_bytes, usual) if reserved else None

    def training(self, network: str, task: Task, batch: int) -> Estimate:
        """Return the peak bytes of training."""
        computed = training_bytes(network, task, batch, *self._settings)
        return _estimate(self._training, _row(network, task, batch, computed))

    def inference(self, network: str, task: Task, batch: int) -> Estimate:
        """Return the peak bytes of a forward pass, with the coefficients that were fitted on training."""
        computed = inference_bytes(network, task, batch, *self._settings)
        return _estimate(self._training, _row(network, task, batch, computed))

    def reserved(self, network: str, task: Task, batch: int) -> Estimate | None:
        """Return the bytes that the allocator reserves in training; None if that was never measured."""
        if self._reserved is None:
            return None
        computed = training_bytes(network, task, batch, *self._settings)
        return _estimate(self._reserved, _row(network, task, batch, computed))


@dataclass(frozen=True, slots=True)
class _Fit:
    """Coefficients β, and the standard deviation of the logarithm of a peak."""

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
    """Return coefficients, and their standard deviation by leaving out each network with all its batches.

    Args:
        measured: measurements to fit.
        peak: peak of a measurement in bytes.
        usual: coefficients until there are enough measurements.
    """
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
    residuals: list[float] = []
    for name in names:
        left = networks == name
        coefficients = _coefficients(rows[~left], actual[~left], usual)
        residuals += np.log(actual[left] / np.maximum(rows[left] @ coefficients, 1.0)).tolist()
    return _Fit(_coefficients(rows, actual, usual), _log_std(np.array(residuals)))


def _coefficients(rows: Floats, actual: Floats, usual: Floats) -> Floats:
    """Return β by non-negative least squares on relative errors.

    Each coefficient that is usually positive has one more row with its usual value. Without these rows, a few
    very small networks could make the coefficient of the tensors 0.
    """
    known = usual > 0
    prior = np.eye(len(usual))[known] / usual[known, None]
    coefficients: Floats = nnls(np.vstack([rows / actual[:, None], prior]), np.ones(len(rows) + len(prior)))[
        0
    ]
    return coefficients


def _log_std(residuals: Floats) -> float:
    """Return the standard deviation of the logarithm from residuals r, with a prior and Student's t."""
    known = PRIOR_RESIDUALS + len(residuals)
    sizes = np.minimum(np.abs(residuals) / USUAL_STD, LARGEST_RESIDUAL)
    scale = USUAL_STD * float(np.sqrt((PRIOR_RESIDUALS + (sizes**2).sum()) / known))
    return scale * float(stdtrit(known, (1 + LEVEL) / 2)) / Z
