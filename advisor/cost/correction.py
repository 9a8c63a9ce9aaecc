"""The correction of a formula by what was observed, and how wide its interval must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from scipy.special import stdtrit

from advisor.cost.discrepancy import Residuals
from advisor.cost.measurement import Measurement, TrainedEpochs
from advisor.cost.step_cost import LEAST_SECONDS, StepFormulas, Workpiece
from advisor.estimate import LEVEL, Z

# Times that networks are held out to find how wide intervals must be; more of them only cost time.
FOLDS = 8
# Misses that the prior on their scale counts for, and the largest that counts, in spreads.
PRIOR_MISSES, LARGEST_MISS = 4, 6.0
# Of an epoch, besides its steps and the evaluation: its order, its record.
EPOCH_SECONDS = 0.003


class Corrected:
    """A time by formula, with the correction of the Gaussian process and the width of its interval.

    Args:
        times: formulas and measurements.
        quantity: ``step`` or ``inference``.
        epochs: real ones, which the correction of a step learns from too.
        contention: of the networks that trained at the same time.
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
        values = [self._missed(m, times) for m in times.measurements]
        for e in epochs:
            points.append(Workpiece(e.network, e.task, e.batch).point(epoch=True))
            values.append(float(np.log(e.seconds / (contention(e.processes) * _epoch_by_formula(e, times)))))
        self.process = Residuals(points, np.array(values))

    def _missed(self, m: Measurement, times: StepFormulas) -> float:
        actual = m.step_seconds if self._quantity == "step" else m.inference_seconds
        return float(np.log(max(actual, LEAST_SECONDS) / self._formula(Workpiece.of(m), times)))

    def _formula(self, piece: Workpiece, times: StepFormulas) -> float:
        return times.step(piece) if self._quantity == "step" else times.inference(piece)

    def __call__(self, piece: Workpiece) -> tuple[float, float]:
        """Return the mean in seconds and the spread of its logarithm."""
        shift, variance = self.process.predict([piece.point()])
        mean = self._formula(piece, self._times) * float(np.exp(shift[0]))
        return mean, self._inflation * float(np.sqrt(variance[0]))

    def factor(self, piece: Workpiece) -> float:
        """Return what the formula is multiplied by."""
        return float(np.exp(self.process.predict([piece.point()])[0][0]))

    def of_epochs(self, piece: Workpiece) -> tuple[float, float]:
        """Return the factor of real epochs on their steps, and the spread of its logarithm."""
        means, variances = self.process.predict([piece.point(), piece.point(epoch=True)])
        return float(np.exp(means[1] - means[0])), float(np.sqrt(max(variances[1] - variances[0], 0.0)))

    @cached_property
    def _inflation(self) -> float:
        """How much wider than its own spread the process must be to hold 90 % of what it was not fitted on.

        Networks are held out in turn, all batches of a network together, and both the formulas and the
        process are fitted on the others: few points are all close to formulas that were fitted on them. The
        scale of their misses, in spreads, is estimated with a prior that says the spread is right, and
        few misses widen it further by Student's t.
        """
        networks = list(dict.fromkeys(m.network for m in self._times.measurements))
        folds = min(len(networks), FOLDS)
        misses: list[float] = []
        settings = (self.process.amplitude, self.process.noise)
        for fold in range(folds if folds > 1 else 0):
            held_out = frozenset(networks[fold::folds])
            times = self._times.without(held_out)
            rest = [m for m in self._times.measurements if m.network not in held_out]
            process = Residuals(
                [Workpiece.of(m).point() for m in rest],
                np.array([self._missed(m, times) for m in rest]),
                settings,
            )
            left = [m for m in self._times.measurements if m.network in held_out]
            shift, variance = process.predict([Workpiece.of(m).point() for m in left])
            missed = np.array([self._missed(m, times) for m in left])
            misses += (np.abs(missed - shift) / np.sqrt(variance)).tolist()
        known = PRIOR_MISSES + len(misses)
        squares = PRIOR_MISSES + float((np.minimum(misses, LARGEST_MISS) ** 2).sum())
        return float(np.sqrt(squares / known) * stdtrit(known, (1 + LEVEL) / 2)) / Z


def _epoch_by_formula(e: TrainedEpochs, times: StepFormulas) -> float:
    piece = Workpiece(e.network, e.task, e.batch)
    steps = max(e.train_images // e.batch, 1) * times.step(piece)
    return steps + e.validation_images / e.batch * times.inference(piece) + EPOCH_SECONDS
