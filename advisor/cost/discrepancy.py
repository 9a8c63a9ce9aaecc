"""The model discrepancy of a cost formula: a Gaussian process on log(measured / predicted time).

Notation:

    x           position of a point: logarithms of size, batch and shape, shape (5,), as `LENGTHS` lists them
    f           family of its network
    e           1 for whole real epochs, 0 for single steps
    k(x, x')    squared exponential with the length scales `LENGTHS`
    a           amplitude
    n           standard deviation of the noise of a single step

The covariance of two points is

    a² [ SHARED + FAMILY·1(f = f') + LOCAL·k(x, x')·(1 + 1(f = f'))/2 ] + EPOCH_STD² e e'.

Amplitude and noise maximise the posterior on a grid; few points cannot overrule the prior.

Source: Kennedy and O'Hagan, "Bayesian calibration of computer models" (J. R. Stat. Soc. B 2001) for the
discrepancy; Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), chapters 2 and 5.
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
# Prior of log a and log n: their means, and the standard deviation of both.
USUAL_AMPLITUDE, USUAL_NOISE, USUAL_STD = float(np.log(0.08)), float(np.log(0.035)), 0.7
# Standard deviation of the log ratio of a machine's real epochs to the steps that they consist of.
EPOCH_STD = 0.04
# Standard deviation of the further noise of real epochs, which run at another time and beside other networks.
EPOCH_NOISE = 0.04


@dataclass(frozen=True, slots=True)
class Point:
    """A network at a batch, as a point of the process.

    Attributes:
        position: x, one number for each of `LENGTHS`.
        family: family of the network.
        epoch: whether the point stands for whole real epochs instead of single steps.
    """

    position: tuple[float, ...]
    family: str
    epoch: bool = False


class Residuals:
    """Gaussian process fitted on residuals; without any, the prior.

    Args:
        points: observed points, n of them.
        values: logarithms of measured over predicted time, shape (n,).
        settings: amplitude and noise of another fit; None: chosen by their posterior.

    Attributes:
        amplitude: a.
        noise: n.
    """

    def __init__(
        self, points: Sequence[Point], values: Floats, settings: tuple[float, float] | None = None
    ) -> None:
        self._points, self._values = list(points), values
        self.amplitude, self.noise = settings or self._likeliest()
        self._factor = self._factored(self.amplitude, self.noise) if self._points else np.zeros((0, 0))
        self._weights = cho_solve((self._factor, True), values) if self._points else values

    def predict(self, points: Sequence[Point]) -> tuple[Floats, Floats]:
        """Return mean and variance of the residual at each new point, noise included, shapes (points,)."""
        mean, half = self._means_and_halves(points)
        prior = np.diag(_covariance(points, points, self.amplitude))
        noise = self._noise_variance(points, self.noise)
        return mean, np.maximum(prior - (half**2).sum(axis=0), 0.0) + noise

    def covariance(self, points: Sequence[Point], others: Sequence[Point]) -> Floats:
        """Return the posterior covariance of two sets of points without noise, shape (points, others)."""
        _, left = self._means_and_halves(points)
        _, right = self._means_and_halves(others)
        known: Floats = left.T @ right
        return _covariance(points, others, self.amplitude) - known

    def correlation(self, points: Sequence[Point]) -> Floats:
        """Return the posterior correlation of the residuals at different points.

        Noise is independent between points, so it lowers the correlation.

        Returns:
            Shape (points, points), with ones on the diagonal.
        """
        known = self.covariance(points, points)
        # Noise adds to variances, not to covariances.
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
