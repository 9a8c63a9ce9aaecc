"""What a cost formula misses: a Gaussian process on the logarithm of actual over predicted time.

Notation: a point has a position x (logarithms of size, batch and shape), a family f, and a flag e, 1 for
whole real epochs and 0 for single steps. The covariance of two points is

    a² [ shared + family·1(f = f') + local·k(x, x')·(1 + 1(f = f'))/2 ] + EPOCH_SPREAD² e e'

with k a squared exponential of fixed length scales; a and the noise are chosen by the likelihood on a grid,
with a prior that few points cannot overrule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from advisor.estimate import Floats
from advisor.marginal_likelihood import LogNormal, fit_amplitude

# Length scales of: MACs of the batch, MACs an element, operations, batch, padding.
LENGTHS = np.array([2.0, 0.8, 0.8, 1.2, 0.5])
SHARED, FAMILY, LOCAL = 0.2, 0.3, 0.5
AMPLITUDES = np.array([0.03, 0.05, 0.08, 0.12, 0.2, 0.3])
NOISES = np.array([0.015, 0.025, 0.04, 0.06, 0.1])
# Logarithms of what is usual, and how far from it a machine may be.
USUAL_AMPLITUDE, USUAL_NOISE, USUAL_STD = float(np.log(0.08)), float(np.log(0.035)), 0.7
# By how much all real epochs of a machine may differ from the steps they consist of.
EPOCH_STD = 0.04
# Real epochs run beside others, at another time: their noise is larger than that of a measurement.
EPOCH_NOISE = 0.04


@dataclass(frozen=True, slots=True)
class Point:
    """Where a network at a batch stands.

    Attributes:
        position: as `LENGTHS` lists.
        family: of the network.
        epoch: whether it is about whole real epochs.
    """

    position: tuple[float, ...]
    family: str
    epoch: bool = False


class Residuals:
    """Gaussian process on observed residuals; without any, its prior.

    Args:
        points: where something was observed, n of them.
        values: logarithms of actual over predicted, shape (n,).
        settings: amplitude and noise if they are known, as those of another fit.
    """

    def __init__(
        self, points: Sequence[Point], values: Floats, settings: tuple[float, float] | None = None
    ) -> None:
        self._points, self._values = list(points), values
        self.amplitude, self.noise = settings or self._likeliest()
        self._factor = self._factored(self.amplitude, self.noise) if self._points else np.zeros((0, 0))
        self._weights = cho_solve((self._factor, True), values) if self._points else values

    def predict(self, points: Sequence[Point]) -> tuple[Floats, Floats]:
        """Return means and variances of the residuals to be observed at new points, noise included."""
        mean, half = self._means_and_halves(points)
        prior = np.diag(_covariance(points, points, self.amplitude))
        noise = self._noise_variance(points, self.noise)
        return mean, np.maximum(prior - (half**2).sum(axis=0), 0.0) + noise

    def covariance(self, points: Sequence[Point], others: Sequence[Point]) -> Floats:
        """Return the covariance of what is not yet known at two sets of points, noise left out."""
        _, left = self._means_and_halves(points)
        _, right = self._means_and_halves(others)
        known: Floats = left.T @ right
        return _covariance(points, others, self.amplitude) - known

    def correlation(self, points: Sequence[Point]) -> Floats:
        """Return how the residuals to be observed at different points go together; noise does not.

        Returns:
            Shape (n, n), with ones on the diagonal.
        """
        known = self.covariance(points, points)
        # The noise of an observation is in its own variance only.
        np.fill_diagonal(known, self.predict(points)[1])
        stds = np.sqrt(np.diag(known))
        correlation: Floats = known / np.outer(stds, stds)
        return correlation

    def _means_and_halves(self, points: Sequence[Point]) -> tuple[Floats, Floats]:
        across = _covariance(self._points, points, self.amplitude)
        if not self._points:
            return np.zeros(len(points)), across
        return across.T @ self._weights, solve_triangular(self._factor, across, lower=True)

    def _likeliest(self) -> tuple[float, float]:
        """Return amplitude and noise of highest posterior density on the grid."""
        if len(self._points) < 3:
            return float(np.exp(USUAL_AMPLITUDE)), float(np.exp(USUAL_NOISE))
        between_epochs = _covariance(self._points, self._points, 0.0)
        kernel = _covariance(self._points, self._points, 1.0) - between_epochs
        eigenvalues, eigenvectors = np.linalg.eigh(kernel)
        root = eigenvectors * np.sqrt(np.maximum(eigenvalues, 0.0))
        fits = [self._fit_at_noise(noise, root, between_epochs) for noise in NOISES]
        amplitude, noise, _ = max(fits, key=lambda fit: fit[2])
        return amplitude, noise

    def _fit_at_noise(self, noise: float, root: Floats, between_epochs: Floats) -> tuple[float, float, float]:
        """Return the best amplitude for a noise, the noise, and their log posterior density."""
        variances = np.diag(self._noise_variance(self._points, noise))
        factor = cholesky(between_epochs + variances, lower=True)
        whitened_root, whitened = (solve_triangular(factor, y, lower=True) for y in (root, self._values))
        fit = fit_amplitude(whitened_root, whitened, AMPLITUDES, LogNormal(USUAL_AMPLITUDE, USUAL_STD))
        log_prior = LogNormal(USUAL_NOISE, USUAL_STD).log_density(np.array(noise))
        log_posterior = fit.log_posterior - np.log(np.diag(factor)).sum() + log_prior
        return fit.amplitude, float(noise), float(log_posterior)

    def _factored(self, amplitude: float, noise: float) -> Floats:
        matrix = _covariance(self._points, self._points, amplitude)
        factor: Floats = cholesky(matrix + np.diag(self._noise_variance(self._points, noise)), lower=True)
        return factor

    @staticmethod
    def _noise_variance(points: Sequence[Point], noise: float) -> Floats:
        return np.array([noise**2 + (EPOCH_NOISE**2 if p.epoch else 0.0) for p in points])


def _covariance(points: Sequence[Point], others: Sequence[Point], amplitude: float) -> Floats:
    if not points or not others:
        return np.zeros((len(points), len(others)))
    x, y = (np.array([p.position for p in side]) / LENGTHS for side in (points, others))
    near = np.exp(-0.5 * ((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=2))
    related = np.array([[p.family == q.family for q in others] for p in points], dtype=float)
    epochs = np.outer([p.epoch for p in points], [q.epoch for q in others])
    formula = SHARED + FAMILY * related + LOCAL * near * (1 + related) / 2
    covariance: Floats = amplitude**2 * formula + EPOCH_STD**2 * epochs
    return covariance
