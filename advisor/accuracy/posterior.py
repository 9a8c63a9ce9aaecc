"""The posterior of the accuracy formula's parameters and of its model discrepancy.

Notation:

    θ        parameters of the formula, with prior N(mean, diag(std²)),    shape (parameters,)
    w        weights of the discrepancy's features (`advisor.accuracy.discrepancy`), prior N(0, I)
    y        observations: log errors, or log ratios of two errors,        shape (observations,)
    r(θ)     residuals: y less what the formula predicts
    W        whitener of the residuals: covariance of discrepancy and noise → identity

The discrepancy is integrated out while θ is fitted, so that −2·log posterior density of θ is, up to a
constant,

    |W·r(θ)|² + |(θ − mean) / std|²,

and then w is drawn given each draw of θ.

The posterior of θ is curved where trainings determine a sum, such as floor + scale·N^(−α), and not its terms;
one Gaussian around its mode would leave out most of it. So the draws are made in two steps:

1. Randomise, then optimise: `STARTS` modes are found, each for a prior and observations that are displaced by
   a draw of their own noise. Where the formula is linear, these modes are draws of the posterior.
2. From every mode, draws walk `STEPS` steps of preconditioned Crank-Nicolson, a Metropolis walk that leaves
   the Gaussian around the mode invariant.

Source: Bardsley et al., Randomize-Then-Optimize (2014); Cotter et al., MCMC Methods for Functions (2013), for
preconditioned Crank-Nicolson.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, least_squares

from advisor.accuracy import discrepancy
from advisor.accuracy.observations import Observation
from advisor.accuracy.prior import PUBLISHED_DATASETS, Normal
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
    prior: Mapping[str, Normal],
    observations: Sequence[Observation],
    datasets: Sequence[str],
    seed: int,
) -> Posterior:
    """Return draws from the posterior.

    Args:
        prior: mean and standard deviation of every parameter, in the order of θ.
        observations: observations, at least one.
        datasets: data sets that the prior has parameters for.
        seed: random seed of the draws.
    """
    columns = Observations.of(observations, {name: i for i, name in enumerate(prior)})
    mean, std = (np.array([value[i] for value in prior.values()]) for i in (0, 1))
    amplitudes = _amplitudes(columns, mean, std, datasets)
    design_matrix = columns.design_matrix(amplitudes)
    target = _Target(columns, mean, std, discrepancy.Whitener.of(design_matrix, columns.stds))
    generator = np.random.default_rng(seed)
    samples = _draws(target, generator)
    weights = discrepancy.draw_weights(design_matrix, columns.residuals(samples), columns.stds, generator)
    return Posterior(samples, weights, amplitudes)


def _amplitudes(
    observations: Observations, mean: Floats, std: Floats, datasets: Sequence[str]
) -> dict[str, float]:
    """Return the amplitude of the discrepancy on every data set.

    Amplitudes and mode of θ depend on each other, so they are found in turns. The amplitudes of data sets
    with published errors are fixed.
    """
    other = float(np.exp(discrepancy.AMPLITUDE_PRIOR.log_median))
    amplitudes = {
        name: discrepancy.PUBLISHED_AMPLITUDE if name in PUBLISHED_DATASETS else other for name in datasets
    }
    mode = mean
    for _ in range(AMPLITUDE_ROUNDS if set(observations.datasets) - set(PUBLISHED_DATASETS) else 0):
        white = discrepancy.Whitener.of(observations.design_matrix(amplitudes), observations.stds)
        mode = _Target(observations, mean, std, white).mode(mean, mode).x
        amplitudes |= observations.likeliest_amplitudes(mode)
    return amplitudes


@dataclass(frozen=True)
class _Target:
    """The posterior of θ with the discrepancy integrated out.

    Attributes:
        observations: the observations.
        mean: prior mean of θ, shape (parameters,).
        std: prior standard deviation of θ, shape (parameters,).
        white: whitener W of the residuals.
    """

    observations: Observations
    mean: Floats
    std: Floats
    white: discrepancy.Whitener

    def neg_log_posterior(self, theta: Floats) -> Floats:
        """Return −2·log density up to a constant, shape (draws,).

        Args:
            theta: draws of θ, shape (draws, parameters).
        """
        residual_part = (self.white(self.observations.residuals(theta)) ** 2).sum(axis=1)
        total: Floats = residual_part + (((theta - self.mean) / self.std) ** 2).sum(axis=1)
        return total

    def mode(self, prior_mean: Floats, start: Floats, noise: Floats | float = 0.0) -> OptimizeResult:
        """Return the mode of θ, by Levenberg-Marquardt, with the Jacobian there.

        Args:
            prior_mean: mean of the prior, in place of the target's own, shape (parameters,).
            start: first value of θ, shape (parameters,).
            noise: displacement of the whitened residuals, shape (observations,).
        """
        observations, white, std = self.observations, self.white, self.std

        def residuals(theta: Floats) -> Floats:
            whitened = white(observations.residuals(theta[None])[0])
            return np.concatenate([whitened + noise, (theta - prior_mean) / std])

        def slopes(theta: Floats) -> Floats:
            # One call for all parameters: separate calls would take most of the time.
            displaced = np.vstack([theta, theta + DIFFERENCE * np.eye(len(theta))])
            found = observations.residuals(displaced)
            return np.concatenate([white((found[1:] - found[0]) / DIFFERENCE).T, np.diag(1 / std)])

        return least_squares(
            residuals, start, slopes, method="lm", x_scale=std, ftol=TOLERANCE, max_nfev=MODE_STEPS
        )


@dataclass(frozen=True)
class _Modes:
    """Modes of θ with the Gaussian around each: θ = mode + root·z with z ~ N(0, I).

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
            prior_mean = target.mean + target.std * generator.standard_normal(len(target.mean))
            noise = generator.standard_normal(len(target.observations.values))
            fit = target.mode(prior_mean, prior_mean, noise)
            modes.append(fit.x)
            roots.append(np.linalg.cholesky(np.linalg.inv(fit.jac.T @ fit.jac)))
        return cls(np.stack(modes), np.stack(roots))

    def theta(self, z: Floats) -> Floats:
        """Return θ for z of shape (STARTS, draws of a mode, parameters), shape (SAMPLES, parameters)."""
        theta: Floats = self.modes[:, None] + z @ self.roots.transpose(0, 2, 1)
        return theta.reshape(SAMPLES, -1)


def _draws(target: _Target, generator: np.random.Generator) -> Floats:
    """Return draws of θ, shape (SAMPLES, parameters)."""
    around = _Modes.of(target, generator)
    of_mode = SAMPLES // STARTS
    z = JITTER * generator.standard_normal((STARTS, of_mode, len(target.mean)))

    def log_ratio(z: Floats) -> Floats:
        """Return −log(target / Gaussian) up to a constant, shape (STARTS, draws of a mode)."""
        target_part = target.neg_log_posterior(around.theta(z)).reshape(STARTS, of_mode)
        ratio: Floats = (target_part - (z**2).sum(axis=2)) / 2
        return ratio

    here = log_ratio(z)
    for _ in range(STEPS):
        proposed = np.sqrt(1 - STRIDE**2) * z + STRIDE * generator.standard_normal(z.shape)
        there = log_ratio(proposed)
        accepted = np.log(generator.random(here.shape)) < here - there
        z[accepted], here[accepted] = proposed[accepted], there[accepted]
    return around.theta(z)
