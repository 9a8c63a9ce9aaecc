"""Figures of an ensemble, by hand for three members and by brute force for random ones."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.metrics import ensemble_metrics, pack_probabilities, unpack_probabilities

# Two classes, four images, three members: rows are images, entries the probability of class 0.
BY_HAND = np.array([[0.9, 0.4, 0.2, 0.6], [0.8, 0.7, 0.1, 0.3], [0.6, 0.1, 0.45, 0.55]])
HAND = np.stack([BY_HAND, 1 - BY_HAND], axis=2).astype(np.float32)
LABELS = np.array([0, 0, 0, 1])


def test_the_error_is_that_of_the_averaged_probabilities():
    # Averages of class 0: 0.767, 0.4, 0.25, 0.483; answers 0, 1, 1, 1; images 2 and 3 are wrong.
    assert ensemble_metrics(HAND, LABELS).error == 0.5


def test_member_errors_are_those_of_each_member_alone():
    # Answers 0 1 1 0, 0 0 1 1 and 0 1 1 0; labels 0 0 0 1.
    figures = ensemble_metrics(HAND, LABELS)
    assert figures.member_errors == (0.75, 0.25, 0.75)
    assert figures.mean_member_error == pytest.approx(1.75 / 3)


def test_the_oracle_is_wrong_where_every_member_is():
    # Image 3 is wrong everywhere; member 2 is right on images 2 and 4.
    assert ensemble_metrics(HAND, LABELS).oracle_error == 0.25


def test_the_disagreement_is_the_mean_over_pairs_of_members():
    # Members 1 and 3 agree everywhere; each of them and member 2 differ on images 2 and 4.
    assert ensemble_metrics(HAND, LABELS).disagreement == pytest.approx((0.5 + 0 + 0.5) / 3)


def test_the_log_likelihood_is_that_of_the_averaged_probability_of_the_label():
    averages = [
        (0.9 + 0.8 + 0.6) / 3,
        (0.4 + 0.7 + 0.1) / 3,
        (0.2 + 0.1 + 0.45) / 3,
        1 - (0.6 + 0.3 + 0.55) / 3,
    ]
    expected = -sum(math.log(p) for p in averages) / 4
    assert ensemble_metrics(HAND, LABELS).nll == pytest.approx(expected, rel=1e-6)


def test_a_single_network_has_no_disagreement_and_its_own_error_everywhere():
    figures = ensemble_metrics(HAND[:1], LABELS)
    assert figures.disagreement == 0
    assert figures.error == figures.oracle_error == figures.member_errors[0] == 0.75


def test_a_label_without_any_probability_has_a_finite_log_likelihood():
    certain = np.array([[[1.0, 0.0]]], np.float32)
    assert math.isfinite(ensemble_metrics(certain, np.array([1])).nll)


@given(st.integers(1, 4), st.integers(1, 12), st.integers(2, 5), st.integers(0, 1000))
def test_all_figures_equal_a_count_image_by_image(members, images, classes, seed):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), (members, images)).astype(np.float32)
    labels = generator.integers(0, classes, images)
    wrong = oracle = 0
    likelihood = 0.0
    member_wrong = [0] * members
    differing, pairs = 0, 0
    for n in range(images):
        answers = [max(range(classes), key=lambda c: probabilities[i, n, c]) for i in range(members)]
        mean = [sum(float(probabilities[i, n, c]) for i in range(members)) / members for c in range(classes)]
        wrong += max(range(classes), key=lambda c: mean[c]) != labels[n]
        oracle += all(answer != labels[n] for answer in answers)
        likelihood -= math.log(mean[labels[n]])
        for i in range(members):
            member_wrong[i] += answers[i] != labels[n]
            for j in range(i):
                differing += answers[i] != answers[j]
                pairs += 1
    figures = ensemble_metrics(probabilities, labels)
    assert figures.error == pytest.approx(wrong / images)
    assert figures.oracle_error == pytest.approx(oracle / images)
    assert figures.member_errors == pytest.approx([w / images for w in member_wrong])
    assert figures.disagreement == pytest.approx(differing / pairs if pairs else 0)
    assert figures.nll == pytest.approx(likelihood / images, rel=1e-9)


@given(st.integers(1, 30), st.integers(2, 20), st.integers(0, 1000))
def test_packed_probabilities_come_back_within_half_a_level(images, classes, seed):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(classes, 0.3), images).astype(np.float32)
    back = unpack_probabilities(pack_probabilities(probabilities), classes)
    assert back.shape == (images, classes)
    assert back.dtype == np.float32
    assert np.abs(back.astype(float) - probabilities).max() <= 1 / 510 + 1e-7


def test_zero_and_one_come_back_exactly():
    corners = np.eye(3, dtype=np.float32)
    assert np.array_equal(unpack_probabilities(pack_probabilities(corners), 3), corners)


def test_packing_writes_image_by_image_whatever_the_order_in_memory():
    probabilities = np.asfortranarray(np.array([[0.0, 0.2, 0.8], [1.0, 0.0, 0.0]], np.float32))
    assert unpack_probabilities(pack_probabilities(probabilities), 3) == pytest.approx(
        np.array([[0, 0.2, 0.8], [1, 0, 0]]), abs=1e-6
    )
