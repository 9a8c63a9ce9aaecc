"""The correction of a cost formula by measurements, and the calibrated width of its interval.

Notation, for a network at a batch:

    f           seconds by formula (`advisor.cost.step_cost`)
    y           measured seconds
    r           log(y / f), the residual; the Gaussian process of `advisor.cost.discrepancy` is fitted on
    these μ, σ        mean and standard deviation of the process at a new point
    z           (r − μ) / σ, the standardised residual of a network that was left out of both fits
    k           `PRIOR_RESIDUALS`, number of standardised residuals ±1 that the prior counts for
    n           number of observed z

The corrected time is f·exp(μ). The standard deviation of its logarithm is c·σ. The factor c makes a 90 %
interval contain 90 % of the networks that were not fitted:

    c = √((k + Σ min(|z|, `LARGEST_RESIDUAL`)²) / (k + n)) · t / Z,

where t is the 95 % quantile of Student's t with k + n degrees of freedom and Z that of the standard normal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from scipy.special import stdtrit

from advisor.cost.discrepancy import Residuals
from advisor.cost.measurement import Measurement, TrainedEpochs
from advisor.cost.step_cost import LEAST_SECONDS, StepFormulas, Workpiece
from advisor.estimate import LEVEL, Z

# Folds of the cross-validation; more of them only take time.
FOLDS = 8
# Number of standardised residuals that the prior counts for, and the largest value that an observed one
# counts with.
PRIOR_RESIDUALS, LARGEST_RESIDUAL = 4, 6.0
# Seconds of an epoch besides its steps and its evaluation: shuffling and the record.
EPOCH_SECONDS = 0.003


class Corrected:
    """A time by formula with its correction and the width of its interval.

    Args:
        times: formulas, and the measurements that they were fitted on.
        quantity: ``step`` or ``inference``.
        epochs: real epochs of finished runs, which the correction of a step is fitted on too.
        contention: factor on the time of a step by the number of networks that train at the same time.

    Attributes:
        process: Gaussian process on the residuals.
    """

    def __init__(
        self,
        times: StepFormulas,
        quantity: str,
        epochs: Sequence[TrainedEpochs] = (),
        contention: Callable[[int], float] = lambda processes: 1.0,
    ) -> None:
        self._times, self._quantity = times, quantity
        points = [Workpiece.of(m).point() for m in times.measurements]
        values = [self._residual(m, times) for m in times.measurements]
        for e in epochs:
            points.append(Workpiece(e.network, e.task, e.batch).point(epoch=True))
            values.append(float(np.log(e.seconds / (contention(e.processes) * _epoch_by_formula(e, times)))))
        self.process = Residuals(points, np.array(values))

    def _residual(self, m: Measurement, times: StepFormulas) -> float:
        actual = m.step_seconds if self._quantity == "step" else m.inference_seconds
        return float(np.log(max(actual, LEAST_SECONDS) / self._formula(Workpiece.of(m), times)))

    def _formula(self, piece: Workpiece, times: StepFormulas) -> float:
        return times.step(piece) if self._quantity == "step" else times.inference(piece)

    def __call__(self, piece: Workpiece) -> tuple[float, float]:
        """Return the mean in seconds and the standard deviation of its logarithm."""
        shift, variance = self.process.predict([piece.point()])
        mean = self._formula(piece, self._times) * float(np.exp(shift[0]))
        return mean, self._inflation * float(np.sqrt(variance[0]))

    def factor(self, piece: Workpiece) -> float:
        """Return the factor exp(μ) on the time by formula."""
        return float(np.exp(self.process.predict([piece.point()])[0][0]))

    def of_epochs(self, piece: Workpiece) -> tuple[float, float]:
        """Return the ratio of real epochs to their steps, and the standard deviation of its logarithm."""
        means, variances = self.process.predict([piece.point(), piece.point(epoch=True)])
        return float(np.exp(means[1] - means[0])), float(np.sqrt(max(variances[1] - variances[0], 0.0)))

    @cached_property
    def _inflation(self) -> float:
        """The factor c on the standard deviation of the process; see the head of this module.

        The prior says that the process is calibrated. Student's t widens the interval further where few
        residuals are known.
        """
        found = self._standardised_residuals()
        known = PRIOR_RESIDUALS + len(found)
        squares = PRIOR_RESIDUALS + float((np.minimum(found, LARGEST_RESIDUAL) ** 2).sum())
        return float(np.sqrt(squares / known) * stdtrit(known, (1 + LEVEL) / 2)) / Z

    def _standardised_residuals(self) -> list[float]:
        """Return |z| of every measurement, by cross-validation over networks.

        Formulas and process are both fitted without the measurements of a fold's networks, all batches of a
        network together. Few points lie close to any formula that was fitted on them.
        """
        measured = self._times.measurements
        networks = list(dict.fromkeys(m.network for m in measured))
        folds = min(len(networks), FOLDS)
        settings = (self.process.amplitude, self.process.noise)
        found: list[float] = []
        for fold in range(folds if folds > 1 else 0):
            held_out = frozenset(networks[fold::folds])
            times = self._times.without(held_out)
            rest = [m for m in measured if m.network not in held_out]
            residuals = np.array([self._residual(m, times) for m in rest])
            process = Residuals([Workpiece.of(m).point() for m in rest], residuals, settings)
            left = [m for m in measured if m.network in held_out]
            mean, variance = process.predict([Workpiece.of(m).point() for m in left])
            actual = np.array([self._residual(m, times) for m in left])
            found += (np.abs(actual - mean) / np.sqrt(variance)).tolist()
        return found


def _epoch_by_formula(e: TrainedEpochs, times: StepFormulas) -> float:
    piece = Workpiece(e.network, e.task, e.batch)
    steps = max(e.train_images // e.batch, 1) * times.step(piece)
    return steps + e.validation_images / e.batch * times.inference(piece) + EPOCH_SECONDS
