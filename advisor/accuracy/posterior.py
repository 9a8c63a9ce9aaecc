"""The posterior of the accuracy formula's parameters θ, given observations, and of what the formula misses.

θ has a Gaussian prior; observations are log errors of cases, or ratios of two (`advisor.accuracy.evidence`).
What the formula misses is a Gaussian process (`advisor.accuracy.discrepancy`), integrated out while θ is
fitted and drawn after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares

from advisor.accuracy import discrepancy
from advisor.accuracy.evidence import Observation
from advisor.accuracy.formula import DESCRIBED, Case, Cases, Positions
from advisor.estimate import Floats

SAMPLES = 400
# Steps to a mode, and the change of its misfit that ends them: a walk follows, so no mode need be exact.
MODE_STEPS, TOLERANCE = 60, 1e-4
# Modes around which draws begin, how far from them as a share of the Gaussian there, how many steps they go,
# and how far one is.
STARTS = 20
JITTER = 0.5
STEPS = 40
STRIDE = 0.3
# By which a parameter is moved for its slope: the root of what float64 resolves.
DIFFERENCE = 1e-7
# Fits between which the amplitudes of what the formula misses are chosen anew.
AMPLITUDE_ROUNDS = 2


@dataclass(frozen=True)
class Posterior:
    """What observations leave of the prior.

    Attributes:
        samples: draws of θ, shape (SAMPLES, parameters).
        discrepancy_weights: draws of what the formula misses, shape (SAMPLES, discrepancy.FEATURES).
        amplitudes: of the latter, by data set.
    """

    samples: Floats
    discrepancy_weights: Floats
    amplitudes: dict[str, float]


def posterior(
    prior: Mapping[str, tuple[float, float]],
    observations: Sequence[Observation],
    datasets: Sequence[str],
    seed: int,
) -> Posterior:
    """Return the posterior.

    Args:
        prior: mean and spread of every parameter in θ, in their order.
        observations: at least one.
        datasets: that the prior knows.
        seed: of the draws.
    """
    facts = Facts.of(observations, {name: i for i, name in enumerate(prior)})
    mean, std = (np.array([value[i] for value in prior.values()]) for i in (0, 1))
    usual = float(np.exp(discrepancy.USUAL))
    amplitudes = {name: discrepancy.PUBLISHED if name in DESCRIBED else usual for name in datasets}
    mode = mean
    # Amplitudes of described data sets are known.
    for _ in range(AMPLITUDE_ROUNDS if set(facts.datasets) - set(DESCRIBED) else 0):
        white = discrepancy.Whitener.of(facts.design_matrix(amplitudes), facts.stds)
        mode = facts.fitted(mean, std, white, mode).x
        amplitudes |= facts.amplitudes(mode)
    generator = np.random.default_rng(seed)
    samples = _draws(facts, mean, std, amplitudes, generator)
    discrepancies = discrepancy.draw_weights(
        facts.design_matrix(amplitudes), facts.residuals(samples), facts.stds, generator
    )
    return Posterior(samples, discrepancies, amplitudes)


@dataclass(frozen=True)
class Facts:
    """Observations as columns, and the cases that they name, each once.

    Attributes:
        cases: distinct ones.
        own, against: positions of each observation's cases; equal where nothing is compared.
        compared: whether an observation is a ratio.
        values, stds: of the observations.
    """

    cases: Cases
    own: Positions
    against: Positions
    compared: NDArray[np.bool_]
    values: Floats
    stds: Floats

    @classmethod
    def of(cls, observations: Sequence[Observation], index: dict[str, int]) -> Facts:
        """Return observations for a θ whose parameters have these positions."""
        places = {case: i for i, case in enumerate(dict.fromkeys(_named_in(observations)))}
        return cls(
            cases=Cases.of(list(places), index),
            own=np.array([places[o.case] for o in observations]),
            against=np.array([places[o.against or o.case] for o in observations]),
            compared=np.array([o.against is not None for o in observations]),
            values=np.array([o.value for o in observations]),
            stds=np.array([o.std for o in observations]),
        )

    def residuals(self, theta: Floats) -> Floats:
        """Observations less formula for θ of shape (n, parameters), shape (n, observations)."""
        logs = np.log(self.cases.errors(theta))
        found: Floats = self.values - (
            logs[:, self.own] - np.where(self.compared, logs[:, self.against], 0.0)
        )
        return found

    def design_matrix(self, amplitudes: Mapping[str, float]) -> Floats:
        """Features of the misfit as the observations know them, shape (observations, FEATURES)."""
        features = self.cases.features(amplitudes)
        found: Floats = features[self.own] - np.where(self.compared[:, None], features[self.against], 0.0)
        return found

    def fitted(
        self,
        mean: Floats,
        std: Floats,
        white: discrepancy.Whitener,
        start: Floats,
        noise: Floats | float = 0.0,
    ) -> OptimizeResult:
        """Return the mode of θ, what the formula misses being integrated out.

        Args:
            mean: of the prior.
            std: of the prior.
            white: of the observations.
            start: of the search.
            noise: by which whitened observations are moved.
        """

        def residuals(theta: Floats) -> Floats:
            return np.concatenate([white(self.residuals(theta[None])[0]) + noise, (theta - mean) / std])

        def slopes(theta: Floats) -> Floats:
            # All at once: as many calls would take most of the time.
            residuals = self.residuals(np.vstack([theta, theta + DIFFERENCE * np.eye(len(theta))]))
            return np.concatenate([white((residuals[1:] - residuals[0]) / DIFFERENCE).T, np.diag(1 / std)])

        return least_squares(
            residuals, start, slopes, method="lm", x_scale=std, ftol=TOLERANCE, max_nfev=MODE_STEPS
        )

    def neg_log_posterior(
        self, theta: Floats, mean: Floats, std: Floats, white: discrepancy.Whitener
    ) -> Floats:
        """Return −2·log density of θ up to a constant, (n, parameters) → (n,)."""
        own = (white(self.residuals(theta)) ** 2).sum(axis=1)
        found: Floats = own + (((theta - mean) / std) ** 2).sum(axis=1)
        return found

    @property
    def datasets(self) -> tuple[str, ...]:
        """Of each observation."""
        return tuple(self.cases.datasets[i] for i in self.own)

    def amplitudes(self, theta: Floats) -> dict[str, float]:
        """Return the likeliest amplitude of every data set that papers do not describe."""
        datasets = np.array(self.datasets)
        residuals, design_matrix = (
            self.residuals(theta[None])[0],
            self.design_matrix(dict.fromkeys(self.cases.datasets, 1.0)),
        )
        return {
            name: discrepancy.likeliest_amplitude(design_matrix[here], residuals[here], self.stds[here])
            for name in sorted(set(self.datasets) - set(DESCRIBED))
            for here in (datasets == name,)
        }


def _named_in(observations: Sequence[Observation]) -> Iterator[Case]:
    for o in observations:
        yield o.case
        if o.against is not None:
            yield o.against


def _draws(
    facts: Facts,
    mean: Floats,
    std: Floats,
    amplitudes: Mapping[str, float],
    generator: np.random.Generator,
) -> Floats:
    """Draws from the posterior of θ, shape (SAMPLES, parameters).

    Where runs fix a sum such as floor + scale·N^(−α) and not its parts, the posterior is bent, and a Gaussian
    around its mode misses most of it. So `STARTS` modes are sought, each of a prior and observations that are
    moved by their own noise, which are draws of the posterior where the formula is linear (randomise, then
    optimise; Bardsley et al. 2014). Around each of them draws walk `STEPS` Metropolis steps that would leave
    its Gaussian as it is (preconditioned Crank-Nicolson, Cotter et al. 2013).
    """
    roots, modes = [], []
    white = discrepancy.Whitener.of(facts.design_matrix(amplitudes), facts.stds)
    for _ in range(STARTS):
        start = mean + std * generator.standard_normal(len(mean))
        noise = generator.standard_normal(len(facts.values))
        fit = facts.fitted(start, std, white, start, noise)
        modes.append(fit.x)
        roots.append(np.linalg.cholesky(np.linalg.inv(fit.jac.T @ fit.jac)))
    each = SAMPLES // STARTS
    # In units of the Gaussians: θ = mode + root·z, shape (STARTS, each, parameters).
    z = JITTER * generator.standard_normal((STARTS, each, len(mean)))

    def placed(z: Floats) -> Floats:
        found: Floats = np.stack(modes)[:, None] + z @ np.stack(roots).transpose(0, 2, 1)
        return found.reshape(SAMPLES, -1)

    def log_ratio(z: Floats) -> Floats:
        """−log(target / Gaussian) up to a constant."""
        found: Floats = (
            facts.neg_log_posterior(placed(z), mean, std, white).reshape(STARTS, each) - (z**2).sum(axis=2)
        ) / 2
        return found

    here = log_ratio(z)
    for _ in range(STEPS):
        proposed = np.sqrt(1 - STRIDE**2) * z + STRIDE * generator.standard_normal(z.shape)
        there = log_ratio(proposed)
        accepted = np.log(generator.random(here.shape)) < here - there
        z[accepted], here[accepted] = proposed[accepted], there[accepted]
    return placed(z)
