"""The model discrepancy of the accuracy formula: a Gaussian process on its residuals.

The discrepancy is a function f of a training that is added to log x of the formula. It has two parts, each
with a squared exponential kernel over family, data set and

- the logarithms of size and depth of a member, number of members and share of the schedule, and whether
  members have a common beginning;
- the logarithms of the shares of the schedule and of the images, and of the size of a member. Its length
  scales of the shares are short and those of the size are long: all designs that were trained for a part of
  the schedule, or on a part of the images, lie off in common. So many of them do not tell what the whole has.

Notation:

    x      inputs in units of their length scales,                       shape (points, inputs)
    φ      random Fourier features √(2/M)·cos(ω_j·x + b_j), j = 1 … M, with ω_j ~ N(0, I) and b_j ~ U(0, 2π),
           those of the second part times `FAR`;                         shape (points, FEATURES)
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

NEAR_FEATURES, FAR_FEATURES = 128, 64
FEATURES = NEAR_FEATURES + FAR_FEATURES
# Amplitude of the second part over that of the first.
FAR = 1.0
# Amplitude on the data sets with published errors: published ResNets and DenseNets lie that far (in log
# error) from one power law.
PUBLISHED_AMPLITUDE = 0.05
# Amplitudes to choose from for any other data set, and their prior.
AMPLITUDES = np.geomspace(0.03, 0.6, 14)
AMPLITUDE_PRIOR = LogNormal(float(np.log(0.1)), 0.7)
# Length scales of the logarithms. Two families, or two data sets, lie one length scale apart.
LENGTHS = {"parameters": 1.5, "depth": 0.7, "members": 1.0, "schedule_share": 1.5}
FAR_LENGTHS = {"schedule_share": 1.0, "image_share": 1.0, "parameters": 4.0}


@dataclass(frozen=True, slots=True)
class Features:
    """The random Fourier features φ.

    Attributes:
        frequencies: ω, shape (inputs, features).
        phases: b, shape (features,).
    """

    frequencies: Floats
    phases: Floats

    @classmethod
    def of(cls, inputs: int, number: int) -> Features:
        """Return a number of features for a number of inputs; they are the same at every call."""
        generator = np.random.default_rng(0)
        return cls(generator.standard_normal((inputs, number)), generator.uniform(0, 2 * np.pi, number))

    def __call__(self, x: Floats) -> Floats:
        """Return φ(x), shape (points, features).

        Args:
            x: points in units of the length scales, shape (points, inputs).
        """
        scale = float(np.sqrt(2 / len(self.phases)))
        result: Floats = np.cos(x @ self.frequencies + self.phases) * scale
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
