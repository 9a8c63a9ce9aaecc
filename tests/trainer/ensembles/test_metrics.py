"""Figures of an ensemble, by hand for three members and by brute force for random ones."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.ensembles.metrics import (
    Predictions,
    calibration_error,
    confusion_matrix,
    confusion_of,
    ensemble_metrics,
    errors_of_windows,
    probability_covariance,
    super_learner_weights,
    variance_of_average,
)
from trainer.training.stored_probabilities import pack_probabilities, unpack_probabilities

# Two classes, four images, three members: rows are images, entries the probability of class 0.
BY_HAND = np.array([[0.9, 0.4, 0.2, 0.6], [0.8, 0.7, 0.1, 0.3], [0.6, 0.1, 0.45, 0.55]])
HAND = np.stack([BY_HAND, 1 - BY_HAND], axis=2).astype(np.float32)
LABELS = np.array([0, 0, 0, 1])


def figures_of(probabilities, labels, validation=None):
    """Figures of a test set, which is the validation set as well unless another is given."""
    test = Predictions(probabilities, labels)
    return ensemble_metrics(test, test if validation is None else validation)


def drawn(generator, members, images, classes, concentration=1.0):
    """Random predictions, in float32 as networks give them."""
    probabilities = generator.dirichlet(np.full(classes, concentration), (members, images))
    return Predictions(probabilities.astype(np.float32), generator.integers(0, classes, images))


def test_the_error_is_that_of_the_averaged_probabilities():
    # Averages of class 0: 0.767, 0.4, 0.25, 0.483; answers 0, 1, 1, 1; images 2 and 3 are wrong.
    assert figures_of(HAND, LABELS).error == 0.5


def test_the_confusion_matrix_counts_what_each_class_is_taken_for():
    # Answers of the average 0, 1, 1, 1; labels 0, 0, 0, 1.
    matrix = confusion_of(Predictions(HAND, LABELS), ("cat", "dog"))
    assert (matrix.images, matrix.confused, matrix.errors) == ((3, 1), ((0, 1, 2),), (2, 0))
    assert (matrix.name_of(1), confusion_of(Predictions(HAND, LABELS)).name_of(1)) == ("dog", None)


@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 1000))
def test_the_confusion_matrix_has_every_wrong_image_once(classes, images, seed):
    generator = np.random.default_rng(seed)
    answers, labels = generator.integers(0, classes, (2, images))
    matrix = confusion_matrix(answers, labels, classes)
    assert matrix.images == tuple((labels == c).sum() for c in range(classes))
    expected = {
        (c, a): ((labels == c) & (answers == a)).sum() for c in range(classes) for a in range(classes)
    }
    assert {(c, a): n for c, a, n in matrix.confused} == {
        pair: n for pair, n in expected.items() if n and pair[0] != pair[1]
    }


def test_member_errors_are_those_of_each_member_alone():
    # Answers 0 1 1 0, 0 0 1 1 and 0 1 1 0; labels 0 0 0 1.
    figures = figures_of(HAND, LABELS)
    assert figures.member_errors == (0.75, 0.25, 0.75)
    assert figures.mean_member_error == pytest.approx(1.75 / 3)


def test_the_oracle_is_wrong_where_every_member_is():
    # Image 3 is wrong everywhere; member 2 is right on images 2 and 4.
    assert figures_of(HAND, LABELS).oracle_error == 0.25


def test_the_disagreement_is_the_mean_over_pairs_of_members():
    # Members 1 and 3 agree everywhere; each of them and member 2 differ on images 2 and 4.
    assert figures_of(HAND, LABELS).disagreement == pytest.approx((0.5 + 0 + 0.5) / 3)


def test_the_log_likelihood_is_that_of_the_averaged_probability_of_the_label():
    averages = [
        (0.9 + 0.8 + 0.6) / 3,
        (0.4 + 0.7 + 0.1) / 3,
        (0.2 + 0.1 + 0.45) / 3,
        1 - (0.6 + 0.3 + 0.55) / 3,
    ]
    expected = -sum(math.log(p) for p in averages) / 4
    assert figures_of(HAND, LABELS).nll == pytest.approx(expected, rel=1e-6)


def test_a_single_network_has_no_disagreement_and_its_own_error_everywhere():
    figures = figures_of(HAND[:1], LABELS)
    assert figures.disagreement == 0
    assert figures.error == figures.oracle_error == figures.member_errors[0] == 0.75
    assert figures.voting_error == figures.super_learner_error == figures.best_member_error == 0.75
    assert figures.super_learner_weights == (1.0,)


def test_a_label_without_any_probability_has_a_finite_log_likelihood():
    certain = np.array([[[1.0, 0.0]]], np.float32)
    assert math.isfinite(figures_of(certain, np.array([1])).nll)


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
    figures = figures_of(probabilities, labels)
    assert figures.error == pytest.approx(wrong / images)
    assert figures.oracle_error == pytest.approx(oracle / images)
    assert figures.member_errors == pytest.approx([w / images for w in member_wrong])
    assert figures.disagreement == pytest.approx(differing / pairs if pairs else 0)
    assert figures.nll == pytest.approx(likelihood / images, rel=1e-9)


# Smaller ensembles.


def test_errors_by_members_are_those_of_all_neighbours_by_hand():
    # Averages of class 0 are 0.85 0.55 0.15 0.45 of members 1 and 2, 0.7 0.4 0.275 0.425 of 2 and 3, and
    # 0.75 0.25 0.325 0.575 of 3 and 1. Labels 0 0 0 1: image 3 is wrong thrice, image 2 twice, image 4 once.
    assert figures_of(HAND, LABELS).errors_by_members == pytest.approx((1.75 / 3, 6 / 12, 0.5))


def test_a_single_network_has_one_error_by_members():
    assert figures_of(HAND[:1], LABELS).errors_by_members == (0.75,)


@given(st.integers(1, 6), st.integers(1, 12), st.integers(2, 5), st.integers(0, 1000), st.integers(1, 200))
def test_errors_by_members_equal_a_count_window_by_window(members, images, classes, seed, values):
    test = drawn(np.random.default_rng(seed), members, images, classes)
    expected = []
    for size in range(1, members + 1):
        wrong = 0
        for start in range(members):
            window = [test.probabilities[(start + i) % members].astype(float) for i in range(size)]
            wrong += int((sum(window).argmax(axis=1) != test.labels).sum())
        expected.append(wrong / (members * images))
    with pytest.MonkeyPatch.context() as patch:
        # However few images are looked at together.
        patch.setattr("trainer.ensembles.metrics.WINDOW_VALUES", values)
        figures = ensemble_metrics(test, test)
    assert figures.errors_by_members == pytest.approx(expected)
    assert figures.errors_by_members[0] == pytest.approx(figures.mean_member_error)
    assert figures.errors_by_members[-1] == figures.error


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 1000))
def test_errors_by_members_do_not_depend_on_which_member_is_the_first(members, turn, seed):
    test = drawn(np.random.default_rng(seed), members, 10, 3)
    turned = Predictions(np.roll(test.probabilities, turn, axis=0), test.labels)
    assert errors_of_windows(turned) == errors_of_windows(test)


def test_members_that_are_equal_have_one_error_whatever_their_number():
    test = Predictions(np.repeat(HAND[:1], 5, axis=0), LABELS)
    assert errors_of_windows(test) == (0.75,) * 4


# Voting.


def test_the_class_with_the_most_votes_wins_whatever_the_average_says():
    # Votes per image: 0 0 0, 1 0 1, 1 1 1, 0 1 0; labels 0 0 0 1, so only the first is right.
    assert figures_of(HAND, LABELS).voting_error == 0.75
    # Image 4 by hand: two votes for class 0, and an average of 0.483, which answers class 1 rightly.
    assert figures_of(HAND[:, 3:], LABELS[3:]).voting_error == 1
    assert figures_of(HAND[:, 3:], LABELS[3:]).error == 0


def test_a_tie_of_votes_goes_to_the_higher_average_among_the_tied_classes():
    # Two votes each for classes 0 and 1; class 2 has the highest average and no vote.
    members = [[0.50, 0.05, 0.45], [0.51, 0.04, 0.45], [0.05, 0.50, 0.45], [0.02, 0.53, 0.45]]
    probabilities = np.array(members, np.float32)[:, None]  # averages 0.27, 0.28, 0.45
    votes_of = {c: figures_of(probabilities, np.array([c])).voting_error for c in range(3)}
    assert votes_of == {0: 1.0, 1: 0.0, 2: 1.0}
    assert figures_of(probabilities, np.array([2])).error == 0


@given(st.integers(1, 5), st.integers(1, 12), st.integers(2, 5), st.integers(0, 1000))
def test_the_voting_error_equals_a_ballot_image_by_image(members, images, classes, seed):
    test = drawn(np.random.default_rng(seed), members, images, classes)
    wrong = 0
    for n, label in enumerate(test.labels):
        rows = [[float(p) for p in test.probabilities[i, n]] for i in range(members)]
        answers = [row.index(max(row)) for row in rows]
        average = [sum(column) / members for column in zip(*rows, strict=True)]
        wrong += max(range(classes), key=lambda c: (answers.count(c), average[c])) != label
    assert ensemble_metrics(test, test).voting_error == pytest.approx(wrong / images)


# Super learner.


def log_likelihood(weights, validation):
    return float(np.log(weights @ validation.likelihoods.astype(float)).mean())


def test_two_members_right_on_different_shares_of_the_images_are_weighted_by_hand():
    # Member 1 gives 0.9 to the label of 3 in 4 images and 0.1 to the others, member 2 the reverse. With
    # weight w, 3 ln(0.8 w + 0.1) + ln(0.9 - 0.8 w) is largest at 0.8 w = 0.65, which is w = 0.8125.
    first = np.array([0.9, 0.9, 0.9, 0.1])
    p = np.stack([first, 1 - first])
    validation = Predictions(np.stack([p, 1 - p], axis=2).astype(np.float32), np.zeros(4, np.int64))
    assert super_learner_weights(validation) == pytest.approx([0.8125, 0.1875], abs=1e-3)


def test_a_member_that_is_worse_everywhere_has_no_weight():
    p = np.array([[0.9, 0.8, 0.7], [0.4, 0.3, 0.2]])
    validation = Predictions(np.stack([p, 1 - p], axis=2).astype(np.float32), np.zeros(3, np.int64))
    assert super_learner_weights(validation) == pytest.approx([1, 0], abs=1e-6)


def test_members_that_are_equal_have_equal_weights():
    validation = Predictions(np.repeat(HAND[:1], 4, axis=0), LABELS)
    assert super_learner_weights(validation) == pytest.approx([0.25] * 4)


def test_a_member_without_any_probability_for_a_label_leaves_finite_weights():
    certain = np.array([[[1.0, 0.0]] * 3, [[0.0, 1.0]] * 3], np.float32)
    assert super_learner_weights(Predictions(certain, np.array([0, 0, 0]))) == pytest.approx([1, 0], abs=1e-5)
    assert super_learner_weights(Predictions(certain, np.array([0, 1, 0]))).sum() == pytest.approx(1)


@pytest.mark.parametrize(("members", "images"), [(2, 1), (3, 20), (10, 500), (100, 200)])
@pytest.mark.parametrize("concentration", [0.05, 1.0, 20.0])
def test_no_other_weights_are_more_likely(members, images, concentration):
    validation = drawn(np.random.default_rng(members), members, images, 4, concentration)
    weights = super_learner_weights(validation)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    # The log-likelihood is concave, so what any weights could gain is at most max_i mean(p_i / mixture) - 1.
    likelihoods = np.maximum(validation.likelihoods.astype(float), 1e-7)
    assert (likelihoods / (weights @ likelihoods)).mean(axis=1).max() - 1 < 1e-4


@given(st.integers(2, 4), st.integers(2, 30), st.integers(0, 1000))
def test_the_weights_are_more_likely_than_equal_ones_and_than_any_member(members, images, seed):
    validation = drawn(np.random.default_rng(seed), members, images, 3)
    best = log_likelihood(super_learner_weights(validation), validation)
    for other in [np.full(members, 1 / members), *np.eye(members)]:
        assert best >= log_likelihood(other, validation) - 1e-5


def test_the_super_learner_answers_by_the_weighted_average():
    validation = Predictions(np.stack([HAND[0], 1 - HAND[0]]), np.array([0, 1, 1, 0]))  # the first is right
    test = Predictions(np.array([[[0.6, 0.4]], [[0.1, 0.9]]], np.float32), np.array([0]))
    figures = ensemble_metrics(test, validation)
    assert figures.super_learner_weights == pytest.approx((1, 0), abs=1e-6)
    assert (figures.super_learner_error, figures.error) == (0, 1)


# What is chosen.


def test_the_best_member_is_chosen_by_its_validation_error_and_evaluated_on_the_test_set():
    figures = figures_of(HAND, LABELS, Predictions(HAND, 1 - LABELS))
    assert figures.member_errors == (0.75, 0.25, 0.75)
    # Errors on the validation set are 0.25, 0.75 and 0.25; the first of equals is chosen.
    assert figures.best_member == 0
    assert figures.best_member_error == 0.75
    assert figures_of(HAND, LABELS).best_member == 1
    assert figures_of(HAND, LABELS).best_member_error == 0.25


@given(st.integers(1, 4), st.integers(0, 1000))
def test_nothing_is_chosen_by_the_labels_of_the_test_set(members, seed):
    generator = np.random.default_rng(seed)
    validation, test = drawn(generator, members, 15, 3), drawn(generator, members, 10, 3)
    figures = ensemble_metrics(test, validation)
    others = ensemble_metrics(Predictions(test.probabilities, (test.labels + 1) % 3), validation)
    assert figures.super_learner_weights == others.super_learner_weights
    assert figures.best_member == others.best_member


# Calibration.


def test_the_calibration_error_of_three_bins_by_hand():
    # Confidence 0.9 twice, right once; 0.7 once, right; 0.55 once, wrong. Each in a bin of its own:
    # (2 |0.5 - 0.9| + |1 - 0.7| + |0 - 0.55|) / 4.
    confidence = np.array([0.9, 0.9, 0.7, 0.55])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    assert calibration_error(probabilities, np.array([0, 1, 0, 1])) == pytest.approx(1.65 / 4, rel=1e-6)


def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not():
    # The average of certain members may exceed one by a rounding, which must not read as a logit.
    certain = np.array([[np.nextafter(1.0, 2.0), 0.0]] * 3)
    assert calibration_error(certain, np.array([0, 0, 0])) == pytest.approx(0, abs=1e-6)
    assert calibration_error(certain, np.array([1, 1, 1])) == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
def test_what_only_the_end_of_a_run_needs_is_imported_there():
    script = "import sys, trainer.execution.execute\nsys.exit('scipy.optimize' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@given(st.integers(1, 60), st.integers(2, 5), st.integers(0, 1000))
def test_the_calibration_error_equals_a_sum_over_fifteen_bins(images, classes, seed):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), images)
    labels = generator.integers(0, classes, images)
    bins = {}
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        bins.setdefault(int(max(row) * 15), []).append((row.index(max(row)) == label, max(row)))
    expected = sum(abs(sum(right - sure for right, sure in inside)) for inside in bins.values()) / images
    assert calibration_error(probabilities, labels) == pytest.approx(expected, abs=1e-5)


# Variance and covariance over repeated trainings.


def test_the_covariance_of_two_members_over_two_repeats_by_hand():
    # One image. Member 1 has 0.2 and 0.6, member 2 has 0.5 and 0.3: 0.2 and 0.1 from their means, with unlike
    # signs, over R - 1 = 1.
    repeats = np.array([[[0.2], [0.5]], [[0.6], [0.3]]])
    assert probability_covariance(repeats) == pytest.approx(np.array([[0.08, -0.04], [-0.04, 0.02]]))
    # Averages 0.35 and 0.45: variance 0.005 = (0.08 + 0.02 - 2 * 0.04) / 4.
    assert variance_of_average(probability_covariance(repeats)) == pytest.approx(0.005)


@given(st.integers(2, 6), st.integers(1, 4), st.integers(1, 8), st.integers(0, 1000))
def test_the_covariance_is_the_mean_of_those_of_every_image(repeats, members, images, seed):
    p = np.random.default_rng(seed).uniform(size=(repeats, members, images))
    expected = np.mean([np.atleast_2d(np.cov(p[:, :, n], rowvar=False)) for n in range(images)], axis=0)
    assert probability_covariance(p) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.integers(2, 6), st.integers(1, 5), st.integers(1, 8), st.integers(0, 1000))
def test_the_variance_of_the_average_follows_from_variances_and_covariances(repeats, members, images, seed):
    generator = np.random.default_rng(seed)
    p = generator.uniform(size=(repeats, 1, images)) + generator.uniform(size=(repeats, members, images))
    covariance = probability_covariance(p)
    pairs = sum(covariance[i, j] for i in range(members) for j in range(members) if i != j)
    by_identity = (np.trace(covariance) + pairs) / members**2
    measured = p.mean(axis=1).var(axis=0, ddof=1).mean()
    assert variance_of_average(covariance) == pytest.approx(by_identity, rel=1e-9)
    assert variance_of_average(covariance) == pytest.approx(measured, rel=1e-9)


def test_members_with_a_shared_part_covary_by_its_variance():
    generator = np.random.default_rng(0)
    shared, own = generator.normal(0, 0.3, (400, 1, 50)), generator.normal(0, 0.4, (400, 3, 50))
    covariance = probability_covariance(shared + own)
    assert np.diag(covariance) == pytest.approx(0.09 + 0.16, rel=0.05)
    assert covariance[~np.eye(3, dtype=bool)] == pytest.approx(0.09, rel=0.1)
    assert variance_of_average(covariance) == pytest.approx(0.09 + 0.16 / 3, rel=0.05)


def test_probabilities_in_float32_are_summed_in_float64():
    p = np.random.default_rng(1).uniform(size=(3, 2, 1000)).astype(np.float32)
    covariance = probability_covariance(p)
    assert covariance.dtype == np.float64
    assert covariance == pytest.approx(probability_covariance(p.astype(np.float64)), rel=1e-9)


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 3), (0, 2, 3)])
def test_one_repeat_has_no_covariance(shape):
    with pytest.raises(ValueError, match="2 or more, members, images"):
        probability_covariance(np.zeros(shape))


# Packing.


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
