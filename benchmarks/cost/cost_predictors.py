"""The predictors that `cost_model.py` compares: ours, and baselines fitted on the same measurements.

Each takes measurements and returns a function of network and batch size. That function returns the seconds of
an epoch: the low end of the 90 % interval, the mean and the high end. All three are equal for the baselines,
which have no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cost_measure
import numpy as np
from scipy.optimize import nnls
from sklearn.ensemble import GradientBoostingRegressor

from advisor.cost.features import features_of
from advisor.cost.measurement import Measurement
from advisor.cost.predictor import CostPredictor

# Image shape and classes of the networks.
TASK = cost_measure.facts_of_subset().task

Predict = Callable[[str, int], tuple[float, float, float]]


def ours(fitted: Sequence[Measurement], device: str) -> Predict:
    """Return the predictor of `advisor.cost.predictor`."""
    predictor = CostPredictor(fitted, cost_measure.execution_on(device))

    def predict(network: str, batch: int) -> tuple[float, float, float]:
        e = predictor.epoch_seconds(
            network,
            TASK,
            batch,
            steps=cost_measure.TRAIN_IMAGES // batch,
            evaluated=cost_measure.VALIDATION_IMAGES,
        )
        return e.low, e.mean, e.high

    return predict


def _row(network: str, batch: int, names: Sequence[str]) -> list[float]:
    f = features_of(network, TASK)
    sizes = {
        "macs": batch * f.macs / 1e9,
        "bytes": batch * (f.dense_elements + f.other_elements) / 1e8,
        "operations": f.operations / 1e2,
        "one": 1e-3,
    }
    return [sizes[name] for name in names]


def least_squares(names: Sequence[str]) -> Callable[[Sequence[Measurement]], Predict]:
    """Return a fit by non-negative least squares on relative errors of step and inference.

    Args:
        names: sizes of a network that are the regressors.
    """

    def fit(fitted: Sequence[Measurement]) -> Predict:
        rows = np.array([_row(m.network, m.batch, names) for m in fitted])
        coefficients = {}
        for quantity in ("step_seconds", "inference_seconds"):
            seconds = np.array([getattr(m, quantity) for m in fitted])
            coefficients[quantity] = nnls(rows / seconds[:, None], np.ones(len(seconds)))[0]
        return _epochs(lambda n, b, q: float(np.dot(_row(n, b, names), coefficients[q])))

    return fit


def boosted_trees(fitted: Sequence[Measurement]) -> Predict:
    """Return gradient-boosted trees fitted on logarithms."""
    names = ("macs", "bytes", "operations")
    rows = np.log([[*_row(m.network, m.batch, names), m.batch] for m in fitted])
    trees = {
        q: GradientBoostingRegressor(random_state=0).fit(rows, np.log([getattr(m, q) for m in fitted]))
        for q in ("step_seconds", "inference_seconds")
    }
    return _epochs(lambda n, b, q: float(np.exp(trees[q].predict(np.log([[*_row(n, b, names), b]]))[0])))


def _epochs(seconds: Callable[[str, int, str], float]) -> Predict:
    def predict(network: str, batch: int) -> tuple[float, float, float]:
        steps = cost_measure.TRAIN_IMAGES // batch * seconds(network, batch, "step_seconds")
        mean = steps + cost_measure.VALIDATION_IMAGES / batch * seconds(network, batch, "inference_seconds")
        return mean, mean, mean

    return predict
