"""The Gaussian process on the residuals of the accuracy formula: its kernel, and an exact regression."""

import numpy as np
import pytest

from advisor.accuracy.discrepancy import (
    AMPLITUDES,
    FEATURES,
    Features,
    Whitener,
    draw_weights,
    likeliest_amplitude,
)


def test_features_have_the_covariance_of_the_kernel():
    points = np.random.default_rng(1).normal(0, 1, (12, 3))
    design_matrix = Features.of(3, FEATURES)(points)
    distance = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    # Random features approximate the kernel to one over the root of their number.
    assert np.abs(design_matrix @ design_matrix.T - np.exp(-distance / 2)).max() < 4 / np.sqrt(FEATURES)


def test_features_are_always_the_same():
    x = np.ones((1, 4))
    assert np.array_equal(Features.of(4, FEATURES)(x), Features.of(4, FEATURES)(x))


def test_an_observation_without_noise_is_met_and_far_from_it_the_prior_remains():
    design_matrix = 0.05 * Features.of(1, FEATURES)(np.array([[0.0], [50.0]]))
    residuals = np.full((500, 1), 0.04)
    weights = draw_weights(design_matrix[:1], residuals, np.array([1e-4]), np.random.default_rng(0))
    here, far = weights @ design_matrix.T[:, 0], weights @ design_matrix.T[:, 1]
    assert here.mean() == pytest.approx(0.04, abs=1e-3)
    assert here.std() < 1e-3
    assert abs(far.mean()) < 0.015
    assert far.std() == pytest.approx(0.05, rel=0.25)


def test_without_observations_the_process_has_its_amplitude():
    design_matrix = 0.05 * Features.of(2, FEATURES)(np.random.default_rng(2).normal(0, 3, (20, 2)))
    weights = draw_weights(np.zeros((1, FEATURES)), np.zeros((2000, 1)), np.ones(1), np.random.default_rng(0))
    assert (weights @ design_matrix.T).std(axis=0) == pytest.approx(0.05, rel=0.35)


def test_whitened_observations_have_unit_covariance():
    generator = np.random.default_rng(3)
    design_matrix, stds = 0.3 * generator.normal(size=(5, FEATURES)), np.array([0.1, 0.2, 0.3, 0.1, 0.5])
    white = Whitener.of(design_matrix, stds)
    covariance = design_matrix @ design_matrix.T + np.diag(stds**2)
    assert white(white(covariance).T) == pytest.approx(np.eye(5), abs=1e-9)


@pytest.mark.parametrize("amplitude", [AMPLITUDES[2], AMPLITUDES[6], AMPLITUDES[10]])
def test_the_amplitude_that_made_the_discrepancies_is_found(amplitude):
    generator = np.random.default_rng(5)
    design_matrix = Features.of(4, FEATURES)(generator.normal(0, 2, (200, 4)))
    discrepancies = amplitude * design_matrix @ generator.standard_normal(FEATURES)
    noise = np.full(200, 0.02)
    found = likeliest_amplitude(design_matrix, discrepancies + noise * generator.standard_normal(200), noise)
    assert found == pytest.approx(amplitude, rel=0.35)
