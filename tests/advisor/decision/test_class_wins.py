"""Whether both classes beat the single network, and steps of the depth of width-equivalent ensembles."""

from __future__ import annotations

import numpy as np
import pytest

from advisor.accuracy.noise import RATIO_STD
from advisor.decision.threshold.both_classes import probability_both_win
from advisor.decision.threshold.depth_step import depth_step
from advisor.designs.equivalents import equivalents
from advisor.networks.architecture import parse_network
from advisor.networks.layers import Task

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)


def step_of(name):
    single = parse_network(name)
    member = equivalents(single, 4, CIFAR10).width_equivalent
    return depth_step(single, member, 4, CIFAR10)


@pytest.mark.parametrize("name", ["resnet-38-32", "resnet-26-48", "resnet-38-48"])
def test_the_sizes_of_appendix_a_sit_on_a_step(name):
    """ "More or Less", appendix A: 2.24M, 3.28M and 5.03M parameters."""
    step = step_of(name)
    assert (step.depth, step.next_depth) == (8, 14)
    assert step.growth > 2
    assert step.share_used < 0.82


@pytest.mark.parametrize("name", ["resnet-50-32", "resnet-62-32", "resnet-50-48", "densenet-100-12"])
def test_sizes_beside_them_sit_on_none(name):
    assert step_of(name) is None


def test_the_probability_that_both_win_is_that_of_simulated_trainings():
    generator = np.random.default_rng(0)
    single = np.exp(generator.normal(np.log(0.05), 0.1, 200))
    deq, weq = 0.97 * single, 1.01 * single
    stds = (0.08, 0.04, 0.04)
    simulated = [
        np.log(errors)[:, None] + np.hypot(RATIO_STD, std) * generator.normal(size=(200, 4000))
        for errors, std in zip((single, deq, weq), stds, strict=True)
    ]
    expected = ((simulated[1] < simulated[0]) & (simulated[2] < simulated[0])).mean()
    assert probability_both_win(single, (deq, weq), stds) == pytest.approx(expected, abs=0.005)


def test_sure_wins_and_sure_losses_are_sure():
    single = np.full(10, 0.1)
    assert probability_both_win(single, (single / 4, single / 4), (0.05,) * 3) == pytest.approx(1)
    assert probability_both_win(single, (single / 4, single * 4), (0.05,) * 3) == pytest.approx(0, abs=1e-9)
