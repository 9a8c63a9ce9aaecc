"""The error of a training that is at hand, against simulated trainings whose validation errors were alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from accuracy_examples import DIGITS, run

from advisor.accuracy.at_hand import AtHand, errors_at_hand
from advisor.accuracy.noise import own_count_variance
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.designs.design import parse_design

DESIGN = "2xresnet-8-8"


def at_hand(predictor, known, design=DESIGN):
    return predictor.sample_at_hand(known, parse_design(design), "mine", DIGITS, 20)[0]


def validated(error, images):
    return replace(run(DESIGN, 1.2 * error, error, images=images), validated=True)


@pytest.mark.parametrize(("count", "images", "std"), [(60, 400, 0.1), (8, 400, 0.3), (500, 2000, 0.03)])
def test_it_is_distributed_as_that_of_simulated_trainings_with_the_same_validation_error(count, images, std):
    generator = np.random.default_rng(3)
    known = AtHand(count / images, images)
    own = np.sqrt(own_count_variance(count, images))
    size = 4_000_000
    log_error = generator.normal(np.log(1.1 * known.error), 0.4, size)
    harder = generator.normal(0, 0.1, size)
    trained = log_error + generator.normal(0, std, size)
    seen = trained + harder + generator.normal(0, own, size)
    alike = np.abs(seen - np.log(known.error)) < 0.005
    assert alike.sum() > 3000
    errors = np.exp(log_error[alike])
    found, around = errors_at_hand(errors, errors * np.exp(harder[alike]), std, known)
    drawn = np.log(found) + generator.normal(0, around, len(found))
    assert drawn.mean() == pytest.approx(trained[alike].mean(), abs=0.01)
    assert drawn.std() == pytest.approx(trained[alike].std(), rel=0.05)


def test_many_validation_images_leave_little_to_the_forecast():
    known = AtHand(0.1, 10**7)
    predictor = AccuracyPredictor(["mine"], [validated(0.1, 10**7)])
    errors, std = predictor.sample_at_hand(known, parse_design(DESIGN), "mine", DIGITS, 20)
    found = predictor.predict(errors, std, at_hand=True)
    assert found.low == pytest.approx(0.1, rel=0.03)
    assert found.high == pytest.approx(0.1, rel=0.03)
    # A training of the same design that is still to come has its own discrepancy and seed.
    other = predictor.predict(errors, predictor.seed_std(parse_design(DESIGN), "mine"))
    assert other.high / other.low > 1.2


def test_a_lucky_training_is_forecast_below_its_design_and_an_unlucky_one_above():
    predictor = AccuracyPredictor(["mine"], [validated(0.1, 2000)])
    expected = predictor.sample_errors([parse_design(DESIGN)], "mine", DIGITS, 20)[:, 0].mean()
    lucky, usual, unlucky = (at_hand(predictor, AtHand(v, 2000)).mean() for v in (0.07, 0.1, 0.14))
    assert lucky < 0.95 * expected
    assert unlucky > 1.05 * expected
    assert lucky < usual < unlucky


def test_without_a_wrong_answer_it_is_still_an_error():
    known = AtHand(0.0, 300)
    predictor = AccuracyPredictor(["mine"], [validated(0.0, 300)])
    errors = at_hand(predictor, known)
    assert (errors > 0).all()
    assert np.median(errors) < 0.02


def test_it_is_the_same_however_often_it_is_asked_for():
    predictor = AccuracyPredictor(["mine"], [validated(0.1, 2000)])
    assert (at_hand(predictor, AtHand(0.1, 2000)) == at_hand(predictor, AtHand(0.1, 2000))).all()
