"""The amplitude of a Gaussian process: its likelihood against the density of the whole covariance."""

import numpy as np
import pytest
from scipy.stats import lognorm, multivariate_normal

from advisor.marginal_likelihood import LogNormal, fit_amplitude, log_likelihoods

GRID = np.array([0.05, 0.1, 0.3, 1.0])
FLAT = LogNormal(log_median=0.0, log_std=1e6)


@pytest.mark.parametrize("columns", [2, 6, 9])
def test_likelihoods_are_those_of_the_whole_covariance(columns):
    generator = np.random.default_rng(columns)
    root, residuals = generator.normal(size=(6, columns)), generator.normal(size=6)
    expected = [
        multivariate_normal.logpdf(residuals, cov=a**2 * root @ root.T + np.eye(6)) + 3 * np.log(2 * np.pi)
        for a in GRID
    ]
    assert log_likelihoods(root, residuals, GRID) == pytest.approx(expected)


def test_the_prior_is_log_normal():
    prior = LogNormal(log_median=np.log(0.1), log_std=0.7)
    # The density of a logarithm is that of the value times the value.
    expected = np.log(lognorm.pdf(GRID, s=0.7, scale=0.1) * GRID)
    density = prior.log_density(GRID)
    assert density - density[1] == pytest.approx(expected - expected[1])


@pytest.mark.parametrize("amplitude", [0.1, 0.3, 1.0])
def test_the_amplitude_that_made_the_residuals_is_found(amplitude):
    generator = np.random.default_rng(1)
    root = 30 * generator.normal(size=(400, 40))
    residuals = amplitude * root @ generator.normal(size=40) + generator.normal(size=400)
    fit = fit_amplitude(root, residuals, GRID, FLAT)
    assert fit.amplitude == amplitude
    assert fit.log_posterior == pytest.approx(log_likelihoods(root, residuals, GRID).max())


def test_without_residuals_the_prior_decides():
    prior = LogNormal(log_median=np.log(0.29), log_std=0.5)
    assert fit_amplitude(np.zeros((0, 3)), np.zeros(0), GRID, prior).amplitude == 0.3
