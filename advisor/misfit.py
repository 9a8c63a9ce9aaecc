"""What the formula of the accuracy predictor misses: a Gaussian process over designs, schedules and data.

The process has a squared exponential kernel over the logarithms of a member's size, depth, number of members
and share of the schedule, over whether members are hatched, and over family and data set, which are partly
alike. It is written with random Fourier features (Rahimi and Recht 2008),

    f(x) = φ(x)·w,     φ_j(x) = √(2/M)·cos(ω_j·x + b_j),     w ~ N(0, SPREAD²·I),

so that a draw of it is a vector w: errors of one draw belong together whichever designs are asked for, and in
which order. Given what a draw of the formula leaves of the observations, w is a linear regression.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from advisor.estimate import Floats

FEATURES = 128
# Of the logarithm of an error: published ResNets and DenseNets lie that far off one power law.
SPREAD = 0.05
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


def draw_weights(rows: Floats, left: Floats, spreads: Floats, generator: np.random.Generator) -> Floats:
    """Return draws of w given what draws of the formula leave.

    Args:
        rows: φ of every observation, or its difference for a comparison, shape (observations, FEATURES).
        left: observation less formula, shape (draws, observations).
        spreads: noise of each observation, shape (observations,).
        generator: of the draws.

    Returns:
        Shape (draws, FEATURES).
    """
    scaled = rows / spreads[:, None]
    precision = scaled.T @ scaled + np.eye(FEATURES) / SPREAD**2
    root = np.linalg.cholesky(precision)
    means = np.linalg.solve(precision, scaled.T @ (left / spreads).T).T
    noise = np.linalg.solve(root.T, generator.standard_normal((FEATURES, len(left)))).T
    result: Floats = np.asarray(means + noise, dtype=np.float64)
    return result
