"""The model discrepancy of the accuracy formula: a Gaussian process on its residuals.

The discrepancy is a function f of a training that is added to log x of the formula. Its kernel is squared
exponential over the logarithms of size and depth of a member, number of members and share of the schedule;
over whether members have a common beginning; and over family and data set.

Notation:

    x      inputs in units of their length scales,                       shape (points, inputs)
    φ      random Fourier features √(2/M)·cos(ω_j·x + b_j), j = 1 … M, with ω_j ~ N(0, I) and b_j ~ U(0, 2π);
                                                                         shape (points, FEATURES)
    w      weights, w ~ N(0, I),                                         shape (FEATURES,)
    a_D    amplitude on data set D: f(x) = a_D·φ(x)·w
    Φ      design matrix: a_D·φ of every observation, or its difference for a ratio of two errors,
                                                                         shape (observations, FEATURES)
    r      residuals: observed less predicted by the formula,            shape (observations,)
    σ      noise of the observations,                                    shape (observations,)

One draw of w is one function, so the errors of all designs under one draw belong together, in whatever order
they are asked for. Given a draw of θ, r = Φ·w + noise is a linear regression, and w has a normal posterior.
Trainings on little data lie further from the formula, which is why the amplitude belongs to the data set.

Source: Rahimi and Recht, Random Features for Large-Scale Kernel Machines (2007); Kennedy and O'Hagan,
Bayesian Calibration of Computer Models (2001), for the discrepancy of a formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve

from advisor.estimate import Floats
from advisor.marginal_likelihood import LogNormal, fit_amplitude

FEATURES = 128
# Amplitude on the data sets with published errors: published ResNets and DenseNets lie that far (in log
# error) from one power law.
PUBLISHED_AMPLITUDE = 0.05
# Amplitudes to choose from for any other data set, and their prior.
AMPLITUDES = np.geomspace(0.03, 0.6, 14)
AMPLITUDE_PRIOR = LogNormal(float(np.log(0.1)), 0.7)
# Length scales of the logarithms. Two families, or two data sets, lie one length scale apart.
LENGTHS = {"parameters": 1.5, "depth": 0.7, "members": 1.0, "schedule_share": 1.5}


@dataclass(frozen=True, slots=True)
class Features:
    """The random Fourier features φ.

    Attributes:
        frequencies: ω, shape (inputs, FEATURES).
        phases: b, shape (FEATURES,).
    """

    frequencies: Floats
    phases: Floats

    @classmethod
    def of(cls, inputs: int) -> Features:
        """Return the features for a number of inputs; they are the same at every call."""
        generator = np.random.default_rng(0)
        return cls(generator.standard_normal((inputs, FEATURES)), generator.uniform(0, 2 * np.pi, FEATURES))

    def __call__(self, x: Floats) -> Floats:
        """Return φ(x), shape (points, FEATURES).

        Args:
            x: points in units of the length scales, shape (points, inputs).
        """
        result: Floats = np.cos(x @ self.frequencies + self.phases) * float(np.sqrt(2 / FEATURES))
        return result


def draw_weights(
    design_matrix: Floats, residuals: Floats, stds: Floats, generator: np.random.Generator
) -> Floats:
    """Return one draw of w from its posterior for every draw of θ, shape (draws, FEATURES).

    Args:
        design_matrix: Φ, shape (observations, FEATURES).
        residuals: r for every draw of θ, shape (draws, observations).
        stds: σ, shape (observations,).
        generator: random generator of the draws.
    """
    scaled = design_matrix / stds[:, None]
    root = np.linalg.cholesky(scaled.T @ scaled + np.eye(FEATURES))
    means = cho_solve((root, True), scaled.T @ (residuals / stds).T).T
    noise = np.linalg.solve(root.T, generator.standard_normal((FEATURES, len(residuals)))).T
    result: Floats = np.asarray(means + noise, dtype=np.float64)
    return result


@dataclass(frozen=True, slots=True)
class Whitener:
    """A linear map that gives residuals with covariance Φ·Φᵀ + diag(σ²) the identity as covariance.

    Attributes:
        stds: σ, shape (observations,).
        directions: left singular vectors of Φ/σ, shape (observations, k).
        shrinkage: factor that remains along each direction, less one, shape (k,).
    """

    stds: Floats
    directions: Floats
    shrinkage: Floats

    @classmethod
    def of(cls, design_matrix: Floats, stds: Floats) -> Whitener:
        """Return the whitener of observations.

        Args:
            design_matrix: Φ, shape (observations, FEATURES).
            stds: σ, shape (observations,).
        """
        directions, sizes, _ = np.linalg.svd(design_matrix / stds[:, None], full_matrices=False)
        return cls(stds, directions, 1 / np.sqrt(1 + sizes**2) - 1)

    def __call__(self, values: Floats) -> Floats:
        """Return whitened values, shape (…, observations) as given."""
        scaled = values / self.stds
        result: Floats = scaled + (scaled @ self.directions * self.shrinkage) @ self.directions.T
        return result


def likeliest_amplitude(design_matrix: Floats, residuals: Floats, stds: Floats) -> float:
    """Return the amplitude of `AMPLITUDES` with the highest posterior density.

    Args:
        design_matrix: Φ at amplitude 1, shape (observations, FEATURES).
        residuals: r, shape (observations,).
        stds: σ, shape (observations,).
    """
    root, whitened = design_matrix / stds[:, None], residuals / stds
    return fit_amplitude(root, whitened, AMPLITUDES, AMPLITUDE_PRIOR).amplitude
