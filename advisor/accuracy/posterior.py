"""The posterior of the accuracy formula's parameters and of its model discrepancy.

Notation:

    θ        parameters of the formula,                                    shape (parameters,)
    z        the same in units of the prior: θ = mean + root·z, z ~ N(0, I)
    w        weights of the discrepancy's features (`advisor.accuracy.discrepancy`), prior N(0, I)
    y        observations: log errors, or log ratios of two errors,        shape (observations,)
    r(θ)     residuals: y less what the formula predicts
    W        whitener of the residuals: covariance of discrepancy and noise → identity

The discrepancy is integrated out while θ is fitted, so that −2·log posterior density of z is, up to a
constant,

    |W·r(θ)|² + |z|²,

and then w is drawn given each draw of θ.

The posterior of θ is curved where trainings determine a sum, such as f + (1 − f)·N^(−α), and not its terms;
one Gaussian around its mode would leave out most of it. So the draws are made in two steps:

1. Randomise, then optimise: `STARTS` modes are found, each for a prior and observations that are displaced by
   a draw of their own noise. Where the formula is linear, these modes are draws of the posterior.
2. From every mode, draws walk `STEPS` steps of preconditioned Crank-Nicolson, a Metropolis walk that leaves
   the Gaussian around the mode invariant.

Source: Bardsley et al., Randomize-Then-Optimize (2014); Cotter et al., MCMC Methods for Functions (2013), for
preconditioned Crank-Nicolson.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, least_squares

from advisor.accuracy import discrepancy
from advisor.accuracy.observations import Observation
from advisor.accuracy.prior import PUBLISHED_DATASETS, Prior
from advisor.accuracy.residuals import Observations
from advisor.estimate import Floats

SAMPLES = 400
# Most steps to a mode, and the relative change that ends the search: the walk makes up for an inexact mode.
MODE_STEPS, TOLERANCE = 60, 1e-4
# Number of modes; distance of the first draws from their mode, as a share of the Gaussian there; number of
# Metropolis steps; size of a step as a share of the Gaussian.
STARTS = 20
JITTER = 0.5
STEPS = 40
STRIDE = 0.3
# Difference of a parameter for a numerical slope: the root of the precision of float64.
DIFFERENCE = 1e-7
# Fits after which the amplitudes of the discrepancy are chosen anew.
AMPLITUDE_ROUNDS = 2


@dataclass(frozen=True)
class Posterior:
    """Draws from the posterior.

    Attributes:
        samples: draws of θ, shape (SAMPLES, parameters).
        discrepancy_weights: draws of w, shape (SAMPLES, discrepancy.FEATURES).
        amplitudes: amplitude of the discrepancy on each data set.
    """

    samples: Floats
    discrepancy_weights: Floats
    amplitudes: dict[str, float]


def posterior(
    prior: Prior,
    observations: Sequence[Observation],
    datasets: Sequence[str],
    seed: int,
) -> Posterior:
    """Return draws from the posterior.

    Args:
        prior: prior of θ.
        observations: observations, at least one.
        datasets: data sets that the prior has parameters for.
        seed: random seed of the draws.
    """
    columns = Observations.of(observations, prior.index)
    amplitudes = _amplitudes(columns, prior, datasets)
    design_matrix = columns.design_matrix(amplitudes)
    target = _Target(columns, prior, discrepancy.Whitener.of(design_matrix, columns.stds))
    generator = np.random.default_rng(seed)
    samples = prior.theta(_draws(target, generator))
    weights = discrepancy.draw_weights(design_matrix, columns.residuals(samples), columns.stds, generator)
    return Posterior(samples, weights, amplitudes)


def _amplitudes(observations: Observations, prior: Prior, datasets: Sequence[str]) -> dict[str, float]:
    """Return the amplitude of the discrepancy on every data set.

    Amplitudes and mode of θ depend on each other, so they are found in turns. The amplitudes of data sets
    with published errors are fixed.
    """
    other = float(np.exp(discrepancy.AMPLITUDE_PRIOR.log_median))
    amplitudes = {
        name: discrepancy.PUBLISHED_AMPLITUDE if name in PUBLISHED_DATASETS else other for name in datasets
    }
    mode = np.zeros(len(prior.mean))
    for _ in range(AMPLITUDE_ROUNDS if set(observations.datasets) - set(PUBLISHED_DATASETS) else 0):
        white = discrepancy.Whitener.of(observations.design_matrix(amplitudes), observations.stds)
        mode = _Target(observations, prior, white).mode(np.zeros_like(mode), mode).x
        amplitudes |= observations.likeliest_amplitudes(prior.theta(mode))
    return amplitudes


@dataclass(frozen=True)
class _Target:
    """The posterior of z with the discrepancy integrated out.

    Attributes:
        observations: the observations.
        prior: prior of θ.
        white: whitener W of the residuals.
    """

    observations: Observations
    prior: Prior
    white: discrepancy.Whitener

    def neg_log_posterior(self, z: Floats) -> Floats:
        """Return −2·log density up to a constant, shape (draws,).

        Args:
            z: draws of z, shape (draws, parameters).
        """
        residuals = self.observations.residuals(self.prior.theta(z))
        total: Floats = (self.white(residuals) ** 2).sum(axis=1) + (z**2).sum(axis=1)
        return total

    def mode(self, prior_mean: Floats, start: Floats, noise: Floats | float = 0.0) -> OptimizeResult:
        """Return the mode of z, by Levenberg-Marquardt, with the Jacobian there.

        Args:
            prior_mean: mean of the prior of z, in place of 0, shape (parameters,).
            start: first value of z, shape (parameters,).
            noise: displacement of the whitened residuals, shape (observations,).
        """
        observations, white, prior = self.observations, self.white, self.prior
        steps, identity = DIFFERENCE * np.eye(len(prior.mean)), np.eye(len(prior.mean))

        def residuals(z: Floats) -> Floats:
            whitened = white(observations.residuals(prior.theta(z)[None])[0])
            return np.concatenate([whitened + noise, z - prior_mean])

        def slopes(z: Floats) -> Floats:
            # One call for all parameters: separate calls would take most of the time. A parameter of θ has
            # few observations that depend on it, so the steps are those of θ.
            theta = prior.theta(z)
            found = observations.residuals(np.vstack([theta, theta + steps]))
            by_theta = white((found[1:] - found[0]) / DIFFERENCE).T
            return np.concatenate([by_theta @ prior.root, identity])

        return least_squares(residuals, start, slopes, method="lm", ftol=TOLERANCE, max_nfev=MODE_STEPS)


@dataclass(frozen=True)
class _Modes:
    """Modes of z with the Gaussian around each: z = mode + root·u with u ~ N(0, I).

    Attributes:
        modes: the modes, shape (STARTS, parameters).
        roots: roots of the Gaussians' covariances, shape (STARTS, parameters, parameters).
    """

    modes: Floats
    roots: Floats

    @classmethod
    def of(cls, target: _Target, generator: np.random.Generator) -> _Modes:
        """Return modes for displaced priors and observations."""
        modes, roots = [], []
        for _ in range(STARTS):
            prior_mean = generator.standard_normal(len(target.prior.mean))
            noise = generator.standard_normal(len(target.observations.values))
            fit = target.mode(prior_mean, prior_mean, noise)
            modes.append(fit.x)
            roots.append(np.linalg.cholesky(np.linalg.inv(fit.jac.T @ fit.jac)))
        return cls(np.stack(modes), np.stack(roots))

    def z(self, u: Floats) -> Floats:
        """Return z for u of shape (STARTS, draws of a mode, parameters), shape (SAMPLES, parameters)."""
        z: Floats = self.modes[:, None] + u @ self.roots.transpose(0, 2, 1)
        return z.reshape(SAMPLES, -1)


def _draws(target: _Target, generator: np.random.Generator) -> Floats:
    """Return draws of z, shape (SAMPLES, parameters)."""
    around = _Modes.of(target, generator)
    of_mode = SAMPLES // STARTS
    u = JITTER * generator.standard_normal((STARTS, of_mode, len(target.prior.mean)))

    def log_ratio(u: Floats) -> Floats:
        """Return −log(target / Gaussian) up to a constant, shape (STARTS, draws of a mode)."""
        target_part = target.neg_log_posterior(around.z(u)).reshape(STARTS, of_mode)
        ratio: Floats = (target_part - (u**2).sum(axis=2)) / 2
        return ratio

    here = log_ratio(u)
    for _ in range(STEPS):
        proposed = np.sqrt(1 - STRIDE**2) * u + STRIDE * generator.standard_normal(u.shape)
        there = log_ratio(proposed)
        accepted = np.log(generator.random(here.shape)) < here - there
        u[accepted], here[accepted] = proposed[accepted], there[accepted]
    return around.z(u)
