"""Trainings and predictors that several tests of the accuracy predictor share."""

import math
from dataclasses import replace
from functools import cache

import numpy as np

from advisor.accuracy.discrepancy import FEATURES
from advisor.accuracy.evidence import Curve, TrainedEvidence
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.designs.design import parse_design
from advisor.networks.layers import Task

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
CIFAR100 = replace(CIFAR10, classes=100)
DIGITS = Task(channels=1, height=8, width=8, classes=10)
FAMILIES = ["resnet", "wrn", "densenet", "vgg", "mlp"]
DATASETS = {"cifar10": CIFAR10, "cifar100": CIFAR100, "mine": DIGITS}


@cache
def prior():
    """The predictor without trainings or discrepancy: its errors follow the laws of the formula."""
    return formula_alone(AccuracyPredictor(["mine"]))


def draws(design, dataset="cifar10", epochs=250, predictor=None):
    found = (predictor or prior()).sample_errors([parse_design(design)], dataset, DATASETS[dataset], epochs)
    return found[:, 0]


def run(design, member_error, ensemble_error, *, epochs=20, images=1000, dataset="mine", task=DIGITS):
    return TrainedEvidence(
        dataset=dataset,
        task=task,
        design=parse_design(design),
        epochs=epochs,
        member_errors=(member_error,) * len(parse_design(design).members),
        ensemble_error=ensemble_error,
        test_images=images,
    )


def formula_alone(predictor):
    """The predictor without its model discrepancy, which follows no law."""
    draws = predictor._posterior
    predictor._posterior = replace(draws, discrepancy_weights=np.zeros((len(draws.samples), FEATURES)))
    return predictor


def regular(family, dataset, parameters, epochs, members=1, classes=10):
    return prior().sample_regular(
        family,
        dataset,
        classes,
        parameters=np.asarray(parameters, dtype=float),
        depth=np.full(len(parameters), 20.0),
        members=np.full(len(parameters), float(members)),
        epochs=epochs,
    )


def curved(errors, *, epochs=20, done=True, design="resnet-8-8", images=10_000):
    """A training with a learning curve, finished or not."""
    return replace(
        run(design, errors[-1], errors[-1], epochs=epochs, images=images),
        member_errors=(errors[-1],) if done else None,
        ensemble_error=errors[-1] if done else None,
        curve=Curve(member=tuple(errors), ensemble=None, images=images),
    )


def scattered(std=0.3, members=60, images=10**7):
    logs = np.random.default_rng(4).normal(math.log(0.1), std, members)
    errors = tuple(np.exp(logs))
    return replace(run(f"{members}xresnet-8-8", 0.1, 0.1, images=images), member_errors=errors)
