"""The amplitude of a Gaussian process, chosen by its marginal likelihood.

Notation:

    y    residuals, divided by the Cholesky factor of their noise ("whitened"),     shape (n,)
    R    root of the kernel at amplitude 1, whitened likewise: kernel = R·Rᵀ,       shape (n, k)
    a    amplitude, one of a grid,                                                  shape (grid,)

The residuals are y ~ N(0, a²·R·Rᵀ + I). With the singular value decomposition R = U·diag(s)·Vᵀ their log
density is, up to a constant,

    −½ Σ_j [ log(1 + a²s_j²) + (u_j·y)² / (1 + a²s_j²) ] − ½ (|y|² − Σ_j (u_j·y)²),

so that one decomposition serves the whole grid. The amplitude has a log-normal prior, which a few residuals
cannot overrule.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 5.4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from advisor.estimate import Floats


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Log-normal prior of a positive number.

    Attributes:
        log_median: logarithm of the median.
        log_std: standard deviation of the logarithm.
    """

    log_median: float
    log_std: float

    def log_density(self, values: Floats) -> Floats:
        """Return the log density of the logarithm of each value, up to a constant."""
        density: Floats = -0.5 * ((np.log(values) - self.log_median) / self.log_std) ** 2
        return density


@dataclass(frozen=True, slots=True)
class AmplitudeFit:
    """The amplitude of highest posterior density on a grid.

    Attributes:
        amplitude: the amplitude.
        log_posterior: its log posterior density, up to a constant that the noise does not change.
    """

    amplitude: float
    log_posterior: float


def fit_amplitude(root: Floats, residuals: Floats, grid: Floats, prior: LogNormal) -> AmplitudeFit:
    """Return the most probable amplitude of a Gaussian process with unit noise.

    Args:
        root: whitened root R of the kernel at amplitude 1, shape (n, k).
        residuals: whitened residuals y, shape (n,).
        grid: amplitudes to choose from, shape (grid,).
        prior: prior of the amplitude.
    """
    log_posterior = log_likelihoods(root, residuals, grid) + prior.log_density(grid)
    best = int(log_posterior.argmax())
    return AmplitudeFit(float(grid[best]), float(log_posterior[best]))


def log_likelihoods(root: Floats, residuals: Floats, amplitudes: Floats) -> Floats:
    """Return the log marginal likelihood of every amplitude, up to a constant; shape (amplitudes,).

    Args:
        root: whitened root R of the kernel at amplitude 1, shape (n, k).
        residuals: whitened residuals y, shape (n,).
        amplitudes: amplitudes a, shape (amplitudes,).
    """
    directions, singular_values, _ = np.linalg.svd(root, full_matrices=False)
    projections = directions.T @ residuals
    variances = 1 + (amplitudes[:, None] * singular_values) ** 2
    # The directions that the kernel does not reach have variance 1 at every amplitude.
    unreached = residuals @ residuals - projections @ projections
    log_density: Floats = -0.5 * ((np.log(variances) + projections**2 / variances).sum(axis=1) + unreached)
    return log_density
