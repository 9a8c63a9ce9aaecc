"""What the formula of the accuracy predictor misses: a Gaussian process over designs, schedules and data.

The process has a squared exponential kernel over the logarithms of a member's size, depth, number of members
and share of the schedule, over whether members are hatched, and over family and data set, which are partly
alike. It is written with random Fourier features (Rahimi and Recht 2008),

    f(x) = a_D·φ(x)·w,     φ_j(x) = √(2/M)·cos(ω_j·x + b_j),     w ~ N(0, I),

so that a draw of it is a vector w: errors of one draw belong together whichever designs are asked for, and in
which order. Given what a draw of the formula leaves of the observations, w is a linear regression. The
amplitude a_D belongs to the data set: on little data trainings lie further off any formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve

from advisor.estimate import Floats
from advisor.marginal_likelihood import LogNormal, fit_amplitude

FEATURES = 128
# Amplitudes, of the logarithm of an error. Published ResNets and DenseNets lie that far off one power law;
# other data sets have the amplitude that explains their trainings best, around what is usual.
PUBLISHED = 0.05
AMPLITUDES = np.geomspace(0.03, 0.6, 14)
USUAL, USUAL_STD = float(np.log(0.1)), 0.7
# Distances over which the process forgets, in logarithms; a family or data set apart counts as one of them.
LENGTHS = {"parameters": 1.5, "depth": 0.7, "members": 1.0, "share": 1.5}


@dataclass(frozen=True, slots=True)
class Features:
    """The random features, drawn once.

    Attributes:
        frequencies: ω, shape (inputs, FEATURES).
        phases: b, shape (FEATURES,).
    """

    frequencies: Floats
    phases: Floats

    @classmethod
    def of(cls, inputs: int) -> Features:
        """Return features of so many inputs, always the same."""
        generator = np.random.default_rng(0)
        return cls(generator.standard_normal((inputs, FEATURES)), generator.uniform(0, 2 * np.pi, FEATURES))

    def __call__(self, x: Floats) -> Floats:
        """Return φ of points x in units of the lengths: (points, inputs) → (points, FEATURES)."""
        result: Floats = np.cos(x @ self.frequencies + self.phases) * float(np.sqrt(2 / FEATURES))
        return result


def draw_weights(
    design_matrix: Floats, residuals: Floats, stds: Floats, generator: np.random.Generator
) -> Floats:
    """Return draws of w given what draws of the formula leave.

    Args:
        design_matrix: a·φ of every observation, or its difference for a comparison, shape (observations,
            FEATURES).
        residuals: observation less formula, shape (draws, observations).
        stds: noise of each observation, shape (observations,).
        generator: of the draws.

    Returns:
        Shape (draws, FEATURES).
    """
    scaled = design_matrix / stds[:, None]
    root = np.linalg.cholesky(scaled.T @ scaled + np.eye(FEATURES))
    means = cho_solve((root, True), scaled.T @ (residuals / stds).T).T
    noise = np.linalg.solve(root.T, generator.standard_normal((FEATURES, len(residuals)))).T
    result: Floats = np.asarray(means + noise, dtype=np.float64)
    return result


@dataclass(frozen=True, slots=True)
class Whitener:
    """What makes observations under process and noise independent, with spread 1.

    Attributes:
        stds: noise of each observation, shape (observations,).
        directions: in which the process moves the observations, shape (observations, k).
        shrinkage: what is left in each direction, less one, shape (k,).
    """

    stds: Floats
    directions: Floats
    shrinkage: Floats

    @classmethod
    def of(cls, design_matrix: Floats, stds: Floats) -> Whitener:
        """Return the whitener of observations given as for `draw_weights`."""
        directions, sizes, _ = np.linalg.svd(design_matrix / stds[:, None], full_matrices=False)
        return cls(stds, directions, 1 / np.sqrt(1 + sizes**2) - 1)

    def __call__(self, values: Floats) -> Floats:
        """Return whitened values, shape (…, observations) as given."""
        scaled = values / self.stds
        result: Floats = scaled + (scaled @ self.directions * self.shrinkage) @ self.directions.T
        return result


def likeliest_amplitude(design_matrix: Floats, residuals: Floats, stds: Floats) -> float:
    """Return the amplitude of `AMPLITUDES` that explains best what the formula leaves.

    Args:
        design_matrix: φ, without an amplitude, shape (observations, FEATURES).
        residuals: observation less formula, shape (observations,).
        stds: noise of each observation, shape (observations,).
    """
    prior = LogNormal(USUAL, USUAL_STD)
    return fit_amplitude(design_matrix / stds[:, None], residuals / stds, AMPLITUDES, prior).amplitude
