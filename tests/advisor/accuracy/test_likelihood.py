"""Likelihood and calibration from the error, beside linear regression by another route."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.likelihood import (
    CALIBRATION_PRIOR,
    NLL_PRIOR,
    LikelihoodPredictor,
    Relation,
    features_of,
)
from advisor.designs.design import parse_design
from advisor.networks.layers import Task

RESULT = Path(__file__).parents[3] / "benchmarks/trainings/results/likelihood.json"
TASK = Task(channels=1, height=8, width=8, classes=10)
RNG = np.random.default_rng(0)
# Draws of an error of about a tenth.
ERRORS = 0.1 * np.exp(RNG.normal(0, 0.1, 1000))


def training(nll, error=0.1, calibration_error=0.02, design="resnet-8-4", dataset="mine"):
    return TrainedEvidence(
        dataset=dataset,
        task=TASK,
        design=parse_design(design),
        epochs=5,
        member_errors=(error,) * len(parse_design(design).members),
        ensemble_error=error,
        test_images=10_000,
        nll=nll,
        calibration_error=calibration_error,
    )


def predictor(*evidence):
    return LikelihoodPredictor.of("mine", 10, evidence)


def test_guessing_is_the_origin_whatever_the_number_of_classes():
    classes = np.array([2, 10, 1000])
    assert features_of(1 - 1 / classes, 1, classes) == pytest.approx(np.array([[1, 0, 0]] * 3))


def test_features_are_the_log_of_the_error_relative_to_guessing_and_the_log_of_the_members():
    assert features_of(np.array([0.45]), 4, 10) == pytest.approx(np.array([[1, np.log(0.5), np.log(4)]]))


def test_an_update_is_that_of_bayesian_regression_in_its_information_form():
    prior = Relation(np.array([0.1, 0.9, 0.0]), np.diag([0.2, 0.1, 0.05]), 0.3)
    features, counts = np.array([[1.0, -1.0, 0.0], [1, -2, 0.7], [1, -3, 1.4]]), np.array([10.0, 20, 30])
    values = np.array([-1.0, -2.5, -2.0])
    weights = np.diag(1 / (0.3**2 + 0.9**2 / counts))
    precision = np.linalg.inv(prior.covariance) + features.T @ weights @ features
    right = np.linalg.solve(prior.covariance, prior.mean) + features.T @ weights @ values
    found = prior.updated(features, values, counts)
    assert found.mean == pytest.approx(np.linalg.solve(precision, right))
    assert found.covariance == pytest.approx(np.linalg.inv(precision))


def test_draws_of_coefficients_have_their_mean_and_covariance():
    covariance = np.array([[0.2, 0.05, 0], [0.05, 0.1, 0], [0, 0, 0.02]])
    drawn = Relation(np.array([1.0, 2.0, 3.0]), covariance, 0.1).draws(50_000, np.random.default_rng(1))
    assert drawn.mean(axis=0) == pytest.approx([1, 2, 3], abs=0.01)
    assert np.cov(drawn.T) == pytest.approx(covariance, abs=0.005)


def test_more_error_is_less_likelihood():
    known = predictor()
    better, worse = (known.predict_nll(ERRORS * factor, 1, 0.1) for factor in (1, 2))
    assert 0 < better.low < better.mean < better.high
    assert better.mean < worse.mean
    assert known.sample_nlls(ERRORS, 1).mean() < known.sample_nlls(2 * ERRORS, 1).mean()


def test_trainings_on_the_data_move_the_forecast_and_narrow_it():
    before, after = predictor(), predictor(*[training(0.6)] * 3)
    assert (before.trainings, after.trainings) == (0, 3)
    wide, narrow = (each.predict_nll(ERRORS, 1, 0.02) for each in (before, after))
    assert narrow.low < 0.6 < narrow.high
    assert narrow.high / narrow.low < wide.high / wide.low
    assert abs(narrow.mean - 0.6) < abs(wide.mean - 0.6)
    calibrated = predictor(*[training(0.6, calibration_error=0.09)] * 20)
    assert calibrated.predict_calibration(ERRORS, 1, 0.02).mean == pytest.approx(0.09, rel=0.3)


def test_trainings_on_other_data_and_of_unknown_likelihood_teach_nothing():
    assert predictor(training(0.6, dataset="other")).nll is NLL_PRIOR
    without = predictor(training(None, calibration_error=None))
    assert (without.trainings, without.nll, without.calibration) == (0, NLL_PRIOR, CALIBRATION_PRIOR)


def test_an_ensemble_without_an_error_is_learned_from_too():
    found = predictor(training(1e-9, error=0.0, calibration_error=0.0)).predict_nll(ERRORS, 1, 0.1)
    assert np.isfinite([found.low, found.mean, found.high]).all()


def test_forecasts_repeat_and_draws_of_two_designs_belong_together():
    known = predictor()
    assert known.predict_nll(ERRORS, 2, 0.1) == predictor().predict_nll(ERRORS, 2, 0.1)
    # One θ for draw i of both, so ten per cent less error is less nll in every draw.
    ratio = known.sample_nlls(0.9 * ERRORS, 2) / known.sample_nlls(ERRORS, 2)
    assert (ratio < 1).all()


@pytest.mark.parametrize(
    ("classes", "error", "members", "nll", "calibration_error"),
    [
        # baselines/cifar/README.md of google/uncertainty-baselines: Wide ResNet 28-10.
        (10, 0.040, 1, 0.159, 0.0231),
        (10, 0.034, 4, 0.114, 0.010),
        (100, 0.202, 1, 0.875, 0.0857),
        (100, 0.173, 4, 0.666, 0.021),
    ],
)
def test_published_figures_lie_inside_the_intervals(classes, error, members, nll, calibration_error):
    known, errors = LikelihoodPredictor.of("cifar", classes, ()), np.full(1000, error)
    of_nll, of_calibration = (
        forecast(errors, members, 0.03) for forecast in (known.predict_nll, known.predict_calibration)
    )
    assert of_nll.low < nll < of_nll.high
    assert of_nll.high / of_nll.low < 10
    assert of_calibration.low < calibration_error < of_calibration.high


def test_the_priors_are_those_of_the_committed_result():
    fitted = json.loads(RESULT.read_text())
    for name, prior in (("nll", NLL_PRIOR), ("calibration_error", CALIBRATION_PRIOR)):
        assert prior.mean.tolist() == fitted[name]["mean"]
        assert prior.covariance.tolist() == fitted[name]["covariance"]
        assert prior.training_std == fitted[name]["training_std"]
