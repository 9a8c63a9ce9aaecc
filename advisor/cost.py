"""The cost predictor: time and memory of networks that were not measured, each with an interval.

Forward, backward, optimizer and the rest of a step are each a non-negative combination of features
(MACs raw and padded, elements moved, launches, parameters, a constant), fitted by least squares on
relative errors. A Gaussian process on the log of what this misses adds the correction and, widened until
it holds networks that were left out of both fits, the interval. The predictor is refitted from stored
measurements whenever it is needed; nothing fitted is ever stored.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Kernel, WhiteKernel

from advisor.estimate import LEVEL, Estimate, Floats, Z
from advisor.features import NetworkFeatures, features_of
from advisor.layers import Task
from advisor.measurement import Measurement
from advisor.memory import training_bytes

# Below this the Gaussian process has nothing to learn from, and the interval is a guess.
LEAST_MEASUREMENTS = 8
# Times that networks are held out to find how wide intervals must be; more of them only cost time.
FOLDS = 10

# What no clock tells apart from nothing.
LEAST_SECONDS = 1e-9

# Multiply-adds a second that stand in for measurements where there is none: the order of magnitude of one
# core and of a data-centre GPU on small networks. The interval spans a factor of ten either way.
NOMINAL_RATE = {"cpu": 3e10, "cuda": 3e12}
NOMINAL_SPREAD = float(np.log(10)) / Z
SPARSE_SPREAD = float(np.log(2)) / Z
# Two processes on neighbouring cores share caches and memory; used until it is measured.
UNMEASURED_CONTENTION = 1.15


@dataclass(frozen=True, slots=True)
class Workpiece:
    """A network with the batch it is run at."""

    features: NetworkFeatures
    batch: int

    @classmethod
    def of(cls, network: str, task: Task, batch: int) -> Workpiece:
        """Return the workpiece of a named network."""
        return cls(features_of(network, task), batch)


def _pass_row(piece: Workpiece) -> list[float]:
    """Features of a forward or backward pass, scaled to be of order one for a small network."""
    f, b = piece.features, piece.batch
    return [
        b * f.macs / 1e9,
        b * f.macs_8 / 1e9,
        b * f.macs_16 / 1e9,
        b * f.dense_elements / 1e8,
        b * f.other_elements / 1e8,
        f.operations / 1e2,
        1e-3,
    ]


def _update_row(piece: Workpiece) -> list[float]:
    """Features of the optimizer's update."""
    return [piece.features.parameters / 1e8, piece.features.tensors / 1e3, 1e-3]


def _rest_row(piece: Workpiece) -> list[float]:
    """Features of batch preparation and what stands between the phases."""
    return [piece.batch * piece.features.input_elements / 1e8, 1e-3]


def _log_position(piece: Workpiece) -> list[float]:
    """Where a workpiece stands for the Gaussian process: logarithms of size, batch and shape."""
    f, b = piece.features, piece.batch
    moved = f.dense_elements + f.other_elements
    return [
        float(np.log(b * f.macs)),
        float(np.log(f.macs / moved)),
        float(np.log(f.operations)),
        float(np.log(b)),
        float(np.log(f.macs_16 / f.macs)),
    ]


Row = Callable[[Workpiece], list[float]]


class _Phase:
    """One non-negative linear part of a time."""

    def __init__(self, row: Row, pieces: Sequence[Workpiece], seconds: Floats) -> None:
        self._row = row
        rows = np.array([row(piece) for piece in pieces])
        weight = 1 / np.maximum(seconds, LEAST_SECONDS)
        self.coefficients: Floats = nnls(rows * weight[:, None], np.ones(len(seconds)))[0]

    def __call__(self, pieces: Sequence[Workpiece]) -> Floats:
        return np.array([self._row(piece) for piece in pieces]) @ self.coefficients


class _Correction:
    """Gaussian process on log(actual / linear), with the kernel given or fitted."""

    def __init__(self, pieces: Sequence[Workpiece], ratios: Floats, kernel: Kernel | None = None) -> None:
        positions = np.array([_log_position(piece) for piece in pieces])
        self._centre = positions.mean(axis=0)
        self._scale = np.maximum(positions.std(axis=0), 0.3)
        prior = ConstantKernel(0.01, (1e-3, 0.3)) * RBF(2.0, (0.7, 10.0)) + WhiteKernel(1e-3, (2e-4, 0.1))
        self._process = GaussianProcessRegressor(
            prior if kernel is None else kernel,
            optimizer="fmin_l_bfgs_b" if kernel is None else None,
            random_state=0,
        )
        with warnings.catch_warnings():
            # A bound that is reached is the prior doing its work on few points.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._process.fit(self._placed(positions), np.log(ratios))

    @property
    def kernel(self) -> Kernel:
        return self._process.kernel_

    def _placed(self, positions: Floats) -> Floats:
        placed: Floats = (positions - self._centre) / self._scale
        return placed

    def __call__(self, pieces: Sequence[Workpiece]) -> tuple[Floats, Floats]:
        positions = np.array([_log_position(piece) for piece in pieces])
        mean, spread = self._process.predict(self._placed(positions), return_std=True)
        return mean, spread


@dataclass(frozen=True, slots=True)
class _Times:
    """Measured times of workpieces: the seconds of each phase with its features, and the totals."""

    pieces: Sequence[Workpiece]
    phases: Sequence[tuple[Row, Floats]]
    totals: Floats

    def without(self, held_out: set[NetworkFeatures]) -> _Times:
        """Return the times of all other networks."""
        kept = [i for i, piece in enumerate(self.pieces) if piece.features not in held_out]
        phases = [(row, seconds[kept]) for row, seconds in self.phases]
        return _Times([self.pieces[i] for i in kept], phases, self.totals[kept])


class _Linear:
    """Sum of the phases."""

    def __init__(self, times: _Times) -> None:
        self._phases = [_Phase(row, times.pieces, seconds) for row, seconds in times.phases]

    def __call__(self, pieces: Sequence[Workpiece]) -> Floats:
        return np.maximum(
            sum((phase(pieces) for phase in self._phases), np.zeros(len(pieces))), LEAST_SECONDS
        )


class _TimePredictor:
    """Sum of phases, with a correction once there is enough to learn it from."""

    def __init__(self, times: _Times) -> None:
        self._linear = _Linear(times)
        self._correction: _Correction | None = None
        self._inflation = 1.0
        if len(times.pieces) >= LEAST_MEASUREMENTS:
            self._correction = _Correction(times.pieces, times.totals / self._linear(times.pieces))
            self._inflation = _inflation(times, self._correction.kernel)

    def __call__(self, pieces: Sequence[Workpiece]) -> tuple[Floats, Floats]:
        """Return means in seconds and spreads of their logarithms."""
        linear = self._linear(pieces)
        if self._correction is None:
            return linear, np.full(len(pieces), SPARSE_SPREAD)
        shift, spread = self._correction(pieces)
        return linear * np.exp(shift), spread * self._inflation


def _inflation(times: _Times, kernel: Kernel) -> float:
    """How much wider than its own spread the process must be to hold 90 % of what it was not fitted on.

    Networks are held out in turn, all batches of a network together, and both the linear part and the
    process are fitted on the others: few points are all close to a linear part that was fitted on them.
    """
    networks = list(dict.fromkeys(piece.features for piece in times.pieces))
    folds = min(len(networks), FOLDS)
    misses: list[float] = []
    for fold in range(folds if folds > 1 else 0):
        held_out = set(networks[fold::folds])
        rest = times.without(held_out)
        linear = _Linear(rest)
        correction = _Correction(rest.pieces, rest.totals / linear(rest.pieces), kernel)
        left = [i for i, piece in enumerate(times.pieces) if piece.features in held_out]
        pieces = [times.pieces[i] for i in left]
        shift, spread = correction(pieces)
        missed = np.log(times.totals[left] / linear(pieces))
        misses += (np.abs(missed - shift) / spread).tolist()
    # The quantile of n misses that holds the next one with 90 %.
    level = min(LEVEL * (1 + 1 / max(len(misses), 1)), 1.0)
    return max(1.0, float(np.quantile(misses or [0.0], level)) / Z)


class _NominalPredictor:
    """Stands in for measurements where there is none."""

    def __init__(self, device: str, passes: float) -> None:
        self._seconds_per_mac = passes / NOMINAL_RATE[device]

    def __call__(self, pieces: Sequence[Workpiece]) -> tuple[Floats, Floats]:
        means = np.array([piece.batch * piece.features.macs * self._seconds_per_mac for piece in pieces])
        return means, np.full(len(pieces), NOMINAL_SPREAD)


_AnyPredictor = _TimePredictor | _NominalPredictor


class CostPredictor:
    """Predicts step time, inference time and peak memory on the machine of its measurements.

    Args:
        measurements: all of one fingerprint; those that did not fit into memory left out.
        device: ``cpu`` or ``cuda``, for the stand-in without measurements.
        dtype: arithmetic, for memory.
    """

    def __init__(self, measurements: Sequence[Measurement], device: str, dtype: str) -> None:
        alone = [m for m in measurements if m.processes == 1]
        self.count = len(alone)
        self.families = tuple(sorted({m.network.split("-")[0] for m in alone}))
        self._dtype = dtype
        self._contention = _contention(measurements)
        self._cache: dict[tuple[int, str, Task, int], Estimate] = {}
        self._step: _AnyPredictor = _NominalPredictor(device, 3.0)
        self._inference: _AnyPredictor = _NominalPredictor(device, 1.0)
        if len(alone) >= 2:
            self._fit(alone)
        self._memory = _fit_memory([m for m in alone if m.peak_bytes], dtype)

    def _fit(self, alone: list[Measurement]) -> None:
        pieces = [Workpiece.of(m.network, m.task, m.batch) for m in alone]
        forward, backward, update, step, inference = (
            np.maximum([getattr(m, name) for m in alone], LEAST_SECONDS)
            for name in (
                "forward_seconds",
                "backward_seconds",
                "optimizer_seconds",
                "step_seconds",
                "inference_seconds",
            )
        )
        rest = np.maximum(step - forward - backward - update, 1e-6)
        phases = [(_pass_row, forward), (_pass_row, backward), (_update_row, update), (_rest_row, rest)]
        self._step = _TimePredictor(_Times(pieces, phases, step))
        self._inference = _TimePredictor(_Times(pieces, [(_pass_row, inference)], inference))

    @property
    def basis(self) -> str:
        """What the figures rest on: ``nominal``, ``few measurements`` or ``measurements``."""
        if self.count < 2:
            return "nominal"
        return "measurements" if self.count >= LEAST_MEASUREMENTS else "few measurements"

    def step_seconds(self, network: str, task: Task, batch: int) -> Estimate:
        """Seconds of one training step, the network alone on its cores."""
        return self._predicted(self._step, network, task, batch)

    def inference_seconds(self, network: str, task: Task, batch: int) -> Estimate:
        """Seconds of a forward pass of a batch without gradients."""
        return self._predicted(self._inference, network, task, batch)

    def _predicted(self, predictor: _AnyPredictor, network: str, task: Task, batch: int) -> Estimate:
        # A search asks for the same networks again and again.
        key = (id(predictor), network, task, batch)
        if key not in self._cache:
            means, spreads = predictor([Workpiece.of(network, task, batch)])
            mean, width = float(means[0]), float(np.exp(Z * spreads[0]))
            self._cache[key] = Estimate(mean, mean / width, mean * width)
        return self._cache[key]

    def training_peak_bytes(self, network: str, task: Task, batch: int) -> Estimate:
        """Peak bytes of training one network, beyond the idle process."""
        offset, factor, spread = self._memory
        mean = offset + factor * training_bytes(features_of(network, task), batch, self._dtype)
        return Estimate(mean, mean * float(np.exp(-Z * spread)), mean * float(np.exp(Z * spread)))

    def contention(self, processes: int) -> float:
        """How much longer a step takes while `processes` networks train at once.

        Between numbers that were measured, and from one process on, it is taken to grow evenly.
        """
        if processes <= 1:
            return 1.0
        if not self._contention:
            return UNMEASURED_CONTENTION
        counts = [1, *sorted(self._contention)]
        factors = [self._contention.get(count, 1.0) for count in counts]
        return float(np.interp(processes, counts, factors))

    def spreads(self, pieces: Sequence[Workpiece]) -> Floats:
        """Spread of the logarithm of each predicted step time, shape (pieces,)."""
        return self._step(pieces)[1]


def _contention(measurements: Sequence[Measurement]) -> dict[int, float]:
    """Median ratio of a step among several processes to the same step alone, by their number."""
    alone = {(m.network, m.task, m.batch): m.step_seconds for m in measurements if m.processes == 1}
    ratios: dict[int, list[float]] = {}
    for m in measurements:
        reference = alone.get((m.network, m.task, m.batch))
        if m.processes > 1 and reference:
            ratios.setdefault(m.processes, []).append(m.step_seconds / reference)
    return {count: max(float(np.median(r)), 1.0) for count, r in ratios.items()}


def _fit_memory(measured: list[Measurement], dtype: str) -> tuple[float, float, float]:
    """Offset in bytes, factor on the computed peak, and spread of the logarithm."""
    if len(measured) < 3:
        return 0.0, 1.2, float(np.log(1.5)) / Z
    computed = np.array([training_bytes(features_of(m.network, m.task), m.batch, dtype) for m in measured])
    actual = np.array([float(m.peak_bytes or 0) for m in measured])
    rows = np.stack([np.full(len(actual), 1e6), computed], axis=1) / actual[:, None]
    (offset, factor), _ = nnls(rows, np.ones(len(actual)))
    predicted = np.maximum(offset * 1e6 + factor * computed, 1.0)
    return offset * 1e6, factor, max(float(np.quantile(np.abs(np.log(actual / predicted)), 0.9)) / Z, 0.02)
