"""Ratios of prices: a predictor with given errors and correlations, and the interval by hand."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from advisor.conformal import Corrections
from advisor.cost.comparison import Side, price_ratios
from advisor.cost.discrepancy import Point, Residuals
from advisor.cost.pricing import price
from advisor.designs.design import parse_design
from advisor.estimate import Estimate, Z
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.schedule import PlateauSchedule

DIGITS = DATASETS["digits"]
STD = 0.1
STEPS = {"mlp-1-8": 1.0, "mlp-1-16": 3.0}


@dataclass
class Stub:
    """Times by a table, all with the log std `STD`; errors of two networks have a given correlation."""

    together: float
    watts = None

    def inference_seconds(self, network, task, batch):
        return self._estimate(STEPS[network] / 10)

    def epoch_seconds(self, network, task, batch, *, steps, evaluated):
        return self._estimate(STEPS[network] * steps)

    def training_peak_bytes(self, network, task, batch):
        return self._estimate(1e6 * STEPS[network])

    def inference_peak_bytes(self, network, task, batch):
        return self._estimate(1e5 * STEPS[network])

    def reserved_bytes(self, network, task, batch):
        return None

    def unmeasured(self, network, task, batch):
        return ()

    def fits(self, network, task, batch):
        return True

    def correction(self, quantity):
        return Corrections().of(quantity, "measurements")

    def contention(self, processes):
        return 1.0

    def epoch_correlation(self, pieces):
        return np.full((len(pieces), len(pieces)), self.together) + (1 - self.together) * np.eye(len(pieces))

    inference_correlation = epoch_correlation

    @staticmethod
    def _estimate(mean):
        return Estimate(mean, mean * np.exp(-Z * STD), mean * np.exp(Z * STD))


def compared(before, after, together, epochs=(10, 10), processes=1):
    predictor = Stub(together)
    sides = []
    for name, length in zip((before, after), epochs, strict=True):
        execution = Execution(
            device="cpu", processes=processes, threads=1, dtype="float32", memory_format="contiguous"
        )
        plan = make_plan(
            parse_design(name),
            DIGITS,
            epochs=length,
            batch=32,
            seed=0,
            execution=execution,
            options=PlanOptions(),
        )
        sides.append(Side(plan, price(plan, predictor)))
    return price_ratios(*sides, predictor)


def log_std(estimate):
    return np.log(estimate.high / estimate.mean) / Z


@pytest.mark.parametrize("together", [0.0, 0.5, 0.9, 1.0])
def test_what_two_networks_err_alike_in_cancels_in_their_ratio(together):
    ratios = compared("mlp-1-8", "mlp-1-16", together)
    # Var(ε' − ε) = 2·s²·(1 − ρ).
    expected = STD * np.sqrt(2 * (1 - together))
    for name in ("train_seconds", "epoch_seconds", "inference_ms_per_image"):
        assert getattr(ratios, name).mean == pytest.approx(3.0)
        assert log_std(getattr(ratios, name)) == pytest.approx(expected, abs=1e-9)


def test_unknown_numbers_of_epochs_widen_a_ratio_unless_they_are_the_same():
    one = Stub(together=1.0)

    def side(high):
        execution = Execution(
            device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous"
        )
        plan = make_plan(parse_design("mlp-1-8"), DIGITS, epochs=90, batch=32, seed=0, execution=execution)
        schedule = PlateauSchedule(epochs=90, rate=0.1, expected=30, low=10, high=high)
        plan = replace(plan, steps=(replace(plan.steps[0], schedule=schedule),))
        return Side(plan, price(plan, one))

    def found(before, after):
        return log_std(price_ratios(before, after, one).train_seconds)

    assert found(side(60), side(60)) == pytest.approx(0, abs=1e-9)
    # Two independent logarithms, each with the width of its own interval.
    stds = [np.log(6) / (2 * Z), np.log(9) / (2 * Z)]
    assert found(side(60), side(90)) == pytest.approx(np.hypot(*stds))


def test_peaks_of_different_networks_count_as_independent():
    peak = compared("mlp-1-8", "mlp-1-16", together=1.0).train_peak_bytes
    assert peak.mean == pytest.approx(3.0)
    assert log_std(peak) == pytest.approx(STD * np.sqrt(2))


@pytest.mark.parametrize(("after", "epochs", "ratio"), [("mlp-1-8", 20, 2.0), ("3xmlp-1-8", 10, 3.0)])
def test_more_of_the_same_network_has_no_interval(after, epochs, ratio):
    found = compared("mlp-1-8", after, together=0.0, epochs=(10, epochs)).train_seconds
    assert (found.low, found.mean, found.high) == pytest.approx((ratio, ratio, ratio))


def test_only_the_shares_that_differ_count():
    # Of 1 + 3 s an epoch the larger network has three quarters, where it had none.
    found = compared("2xmlp-1-8", "mlp-1-8+mlp-1-16", together=0.0).epoch_seconds
    assert found.mean == pytest.approx(2.0)
    assert log_std(found) == pytest.approx(0.75 * STD * np.sqrt(2))


def test_a_peak_is_that_of_the_networks_that_train_at_once():
    found = compared("mlp-1-8", "2xmlp-1-8", together=0.0, processes=2).train_peak_bytes
    assert (found.low, found.high) == pytest.approx((2.0, 2.0))


def test_residuals_of_near_networks_of_one_family_go_together_most():
    def point(macs, family="resnet"):
        return Point((macs, 3.0, 4.0, 5.0, 1.0), family)

    points = [point(10.0), point(10.5), point(16.0), point(10.5, "vgg")]
    seen = Residuals([point(8.0)], np.array([0.1]), (0.2, 0.03))
    for process in (Residuals([], np.zeros(0)), seen):
        matrix = process.correlation(points)
        assert matrix == pytest.approx(matrix.T)
        assert np.diag(matrix) == pytest.approx(1.0)
        assert np.linalg.eigvalsh(matrix).min() > 0
        near, far, other = matrix[0, 1:]
        assert 1 > near > max(far, other)


def test_a_ratio_of_sums_is_what_drawing_every_miss_gives():
    """The formula to first order, against draws of both sides."""
    together = 0.6
    found = compared("2xmlp-1-8", "mlp-1-8+mlp-1-16", together).epoch_seconds
    covariance = STD**2 * np.array([[1, together], [together, 1]])
    small, large = np.exp(np.random.default_rng(0).multivariate_normal([0, 0], covariance, 20_000)).T
    drawn = (1 * small + 3 * large) / (2 * small)
    assert np.quantile(drawn, [0.05, 0.95]) == pytest.approx([found.low, found.high], rel=0.02)
