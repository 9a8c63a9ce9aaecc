"""Negative log-likelihood and calibration error of an ensemble, forecast from its test error.

Notation, for the averaged probabilities of m members on data of C classes:

    e    test error, share
    x    log(e / (1 − 1/C)), the log error relative to guessing
    f    (1, x, log m)                                              shape (3,)
    y    log(nll / log C), relative to guessing too, or log(calibration error)
    θ    coefficients of f on one data set                          shape (3,)

    y = f·θ + ε,   ε ~ N(0, σ² + θ_x²/k)

Guessing has the error 1 − 1/C and the likelihood log C, so that x and y are 0 for it whatever C is. k is the
number of errors that e is counted from: a count has the relative error 1/√k. The prior of θ is normal. Its
covariance has two parts: what is not known of all data sets, and how one data set deviates from the others.
Finished trainings on the data update it, as in any linear regression with known noise. benchmarks/trainings/
likelihood.py fitted the priors; its result says to what, and how well they forecast data sets left out.

Source: Bishop, Pattern Recognition and Machine Learning (2006), section 3.3 (Bayesian linear regression).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.noise import DISCREPANCY_STD, error_count
from advisor.estimate import Estimate, Floats

# Smaller figures have no logarithm that would mean anything.
SMALLEST = 1e-6
# Index of the coefficient of x.
_X = 1


@dataclass(frozen=True, slots=True)
class Relation:
    """What is known of the relation of a figure to the error on one data set.

    Attributes:
        mean: mean of the coefficients θ, shape (3,).
        covariance: their covariance, shape (3, 3).
        training_std: standard deviation σ of one training's y around f·θ.
    """

    mean: Floats
    covariance: Floats
    training_std: float

    def updated(self, features: Floats, values: Floats, counts: Floats) -> Relation:
        """Return what is known after trainings on the data.

        Args:
            features: f of each training, shape (n, 3).
            values: y of each training, shape (n,).
            counts: number k of errors of each training, shape (n,).
        """
        noise = np.diag(self.training_std**2 + self.mean[_X] ** 2 / counts)
        cross = self.covariance @ features.T
        gain = np.linalg.solve(features @ cross + noise, cross.T).T
        covariance = self.covariance - gain @ cross.T
        return replace(
            self,
            mean=self.mean + gain @ (values - features @ self.mean),
            covariance=(covariance + covariance.T) / 2,
        )

    def draws(self, count: int, generator: np.random.Generator) -> Floats:
        """Return draws of θ, shape (count, 3)."""
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        drawn: Floats = self.mean + generator.standard_normal((count, 3)) @ root.T
        return drawn


def _relation(mean: Sequence[float], covariance: Sequence[Sequence[float]], std: float) -> Relation:
    return Relation(np.array(mean), np.array(covariance), std)


# Fitted by benchmarks/trainings/likelihood.py (results/likelihood.json).
NLL_PRIOR = _relation(
    (0.0816, 0.9827, 0.0273),
    ((0.06179, 0.00197, 6e-05), (0.00197, 0.01285, 0.00011), (6e-05, 0.00011, 0.00896)),
    0.0269,
)
CALIBRATION_PRIOR = _relation(
    (-2.4227, 0.4172, 0.2648),
    ((0.13569, 0.02604, -0.03071), (0.02604, 0.02706, 0.00161), (-0.03071, 0.00161, 0.15874)),
    0.7376,
)


def features_of(errors: Floats, members: int | Floats, classes: int | Floats) -> Floats:
    """Return f of ensembles.

    Args:
        errors: test errors as shares above 0, shape (n,).
        members: numbers of members, one number or shape (n,).
        classes: numbers of classes, one number or shape (n,).

    Returns:
        Shape (n, 3).
    """
    # No training that is worth a forecast does worse than guessing.
    x = np.minimum(np.log(errors / (1 - 1 / np.asarray(classes))), 0.0)
    return np.stack(np.broadcast_arrays(np.ones_like(x), x, np.log(members)), axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodPredictor:
    """Forecasts likelihood and calibration on one data set from draws of the test error.

    Attributes:
        classes: number C of classes.
        nll: relation of the negative log-likelihood to the error.
        calibration: relation of the calibration error to the error.
        trainings: number of trainings on the data that it has learned from.
        seed: random seed of the draws.
    """

    classes: int
    nll: Relation = field(repr=False)
    calibration: Relation = field(repr=False)
    trainings: int
    seed: int = 0

    @classmethod
    def of(
        cls, dataset: str, classes: int, evidence: Sequence[TrainedEvidence], seed: int = 0
    ) -> LikelihoodPredictor:
        """Return the predictor of a data set.

        Args:
            dataset: name that errors on the data are learned under.
            classes: number of classes.
            evidence: trainings; those on the data whose likelihood is known count.
            seed: random seed of the draws.
        """
        own = [e for e in evidence if e.dataset == dataset and e.ensemble_error is not None]
        return cls(
            classes=classes,
            nll=_learned(NLL_PRIOR, [(e, e.nll, np.log(classes)) for e in own], classes),
            calibration=_learned(CALIBRATION_PRIOR, [(e, e.calibration_error, 1.0) for e in own], classes),
            trainings=sum(e.nll is not None for e in own),
            seed=seed,
        )

    def sample_nlls(self, errors: Floats, members: int) -> Floats:
        """Return draws of the expected negative log-likelihood in nats, without the noise of one training.

        Draw i of two designs belongs to one θ, so that designs can be compared draw by draw.

        Args:
            errors: draws of the expected test error, shares, shape (n,).
            members: number of members.
        """
        theta = self.nll.draws(len(errors), np.random.default_rng((self.seed, 0)))
        nlls: Floats = self._values(self.nll, theta, errors, members) * np.log(self.classes)
        return nlls

    def predict_nll(
        self, errors: Floats, members: int, seed_std: float, *, at_hand: bool = False
    ) -> Estimate:
        """Return the estimate of the negative log-likelihood of one training, in nats.

        Args:
            errors: draws of the expected test error, shares, shape (n,).
            members: number of members.
            seed_std: standard deviation of the log error of one training between seeds.
            at_hand: whether its networks exist; see `AccuracyPredictor.predict`.
        """
        samples = self._trained(self.nll, errors, members, _std(seed_std, at_hand), key=1)
        return Estimate.of_samples(samples * np.log(self.classes))

    def predict_calibration(
        self, errors: Floats, members: int, seed_std: float, *, at_hand: bool = False
    ) -> Estimate:
        """Return the estimate of the expected calibration error of one training, a share.

        Args:
            errors: draws of the expected test error, shares, shape (n,).
            members: number of members.
            seed_std: standard deviation of the log error of one training between seeds.
            at_hand: whether its networks exist; see `AccuracyPredictor.predict`.
        """
        samples = self._trained(self.calibration, errors, members, _std(seed_std, at_hand), key=2)
        return Estimate.of_samples(np.minimum(samples, 1.0))

    def _trained(self, relation: Relation, errors: Floats, members: int, std: float, key: int) -> Floats:
        """Return draws of exp(y) of one training, whose log error deviates by `std`, shape (n,)."""
        generator = np.random.default_rng((self.seed, key))
        theta = relation.draws(len(errors), generator)
        error_noise = generator.normal(0, std, len(errors))
        trained = np.minimum(errors * np.exp(error_noise), 1.0)
        noise = generator.normal(0, relation.training_std, len(errors))
        samples: Floats = self._values(relation, theta, trained, members) * np.exp(noise)
        return samples

    def _values(self, relation: Relation, theta: Floats, errors: Floats, members: int) -> Floats:
        features = features_of(np.maximum(errors, SMALLEST), members, self.classes)
        values: Floats = np.exp((features * theta).sum(axis=1))
        return values


def _std(seed_std: float, at_hand: bool) -> float:
    """Return the standard deviation of the log error of one training around its expectation."""
    return seed_std if at_hand else float(np.hypot(DISCREPANCY_STD, seed_std))


def _learned(
    prior: Relation, known: Sequence[tuple[TrainedEvidence, float | None, float]], classes: int
) -> Relation:
    """Return the prior after the trainings that are known: each with a figure, if any, and its unit."""
    rows = [(e, max(value, SMALLEST) / unit) for e, value, unit in known if value is not None]
    if not rows:
        return prior
    counts = np.array([error_count(e.ensemble_error or 0.0, e.test_images) for e, _ in rows])
    errors = counts / np.array([e.test_images for e, _ in rows])
    members = np.array([len(e.design.members) for e, _ in rows], float)
    return prior.updated(features_of(errors, members, classes), np.log([value for _, value in rows]), counts)
