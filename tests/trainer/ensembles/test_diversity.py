"""How different members are, by hand and by the variance identity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.ensembles.diversity import diversity
from trainer.ensembles.metrics import Predictions


def predictions(likelihoods, labels=None):
    """Predictions of two classes whose true one has these probabilities, (members, images)."""
    p = np.asarray(likelihoods, dtype=np.float32)
    labels = np.zeros(p.shape[1], np.int64) if labels is None else labels
    both = np.stack([p, 1 - p], axis=2)
    return Predictions(both, labels)


def test_two_members_and_two_seeds_by_hand():
    # One image. Member 1 has 0.2 and 0.6, member 2 has 0.5 and 0.3: 0.2 and 0.1 from their means.
    found = diversity([predictions([[0.2], [0.5]]), predictions([[0.6], [0.3]])])
    assert (found.trainings, found.images) == (2, 1)
    assert found.covariance == pytest.approx(np.array([[0.08, -0.04], [-0.04, 0.02]]))
    assert found.member_variance == pytest.approx(0.05)
    assert found.mean_covariance([(1, 0)]) == pytest.approx(-0.04)
    assert found.mean_correlation([(1, 0)]) == pytest.approx(-1)
    # Averages 0.35 and 0.45.
    assert found.variance_of_average == pytest.approx(0.005)
    assert found.variance_by_identity == pytest.approx((0.08 + 0.02 - 2 * 0.04) / 4)
    # The first seed has answers 1 and 0 (a tie goes to class 0), the second 0 and 1.
    assert found.disagreement == 1
    # Both averages are 0.05 off their mean, so none is off by 0.1; the bound is 0.005 / 0.01.
    assert (found.deviations[0].bound, found.deviations[0].share) == (pytest.approx(0.5), 0)


def test_one_training_has_its_covariance_over_the_images():
    found = diversity([predictions([[0.1, 0.5, 0.9], [0.3, 0.5, 0.7]])])
    assert (found.trainings, found.images) == (1, 3)
    assert found.covariance == pytest.approx(np.array([[0.16, 0.08], [0.08, 0.04]]))
    assert found.mean_correlation([(1, 0)]) == pytest.approx(1)
    assert found.variance_of_average == pytest.approx(0.09)
    # Two of three averages lie 0.3 off their mean.
    assert found.deviations[1].share == pytest.approx(2 / 3)


def test_members_that_never_vary_have_no_correlation():
    found = diversity([predictions([[0.5, 0.5], [0.2, 0.4]])])
    assert found.mean_correlation([(1, 0)]) == 0
    assert found.mean_covariance([]) is None


@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 8), st.integers(0, 1000))
def test_the_variance_identity_and_chebyshev_hold(trainings, members, images, seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, images)
    drawn = [predictions(generator.uniform(size=(members, images)), labels) for _ in range(trainings)]
    found = diversity(drawn)
    likelihoods = np.stack([each.likelihoods for each in drawn]).astype(np.float64)
    over = likelihoods[:, :, :] if trainings > 1 else likelihoods.transpose(2, 1, 0)
    pairs = [(i, j) for i in range(members) for j in range(members) if i != j]
    by_hand = np.trace(found.covariance) + sum(found.covariance[i, j] for i, j in pairs)
    assert found.variance_by_identity == pytest.approx(by_hand / members**2, abs=1e-12)
    assert found.variance_of_average == pytest.approx(found.variance_by_identity, abs=1e-9)
    assert found.variance_of_average == pytest.approx(over.mean(axis=1).var(axis=0, ddof=1).mean(), abs=1e-9)
    for each in found.deviations:
        assert each.share <= each.bound + 1e-9
