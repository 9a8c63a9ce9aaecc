"""The accuracy formula, computed by hand."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from accuracy_examples import DIGITS, draws, formula_alone

from advisor.accuracy.cases import relative_rates
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.designs.design import parse_design
from advisor.networks.architecture import lower, parse_network
from advisor.plans.method_traits import Method

ALPHA, DELTA, C, BETA, S, H, R_SAME, R_MIXED = 0.5, 0.05, 0.1, 1.2, 0.4, 0.25, 0.5, 0.25
U, LEVEL, FLOOR, TAU, XI = 1.1, 0.05, 0.6, 0.5, 0.8
PENALTY, CHAINED = 1.04, 1.2
NU, GAMMA, RHO, ETA, KAPPA = 0.9, 0.7, 0.6, 0.3, 0.4
OMEGA, OMEGA_ON, ZETA, S_POWER, SPLIT = 0.05, -0.2, 0.03, 0.8, 0.3


def logit(share):
    return math.log(share / (1 - share))


@cache
def fixed():
    """A predictor whose only draw is the constants above."""
    predictor = AccuracyPredictor(["mine"])
    theta = {
        "log_alpha": math.log(ALPHA) - 0.2,
        "log_alpha/resnet": 0.2,
        "delta": DELTA,
        "log_c": math.log(C),
        "beta": BETA,
        "logit_s": logit(S) + 0.3,
        "logit_s/resnet": -0.3,
        "log_h": math.log(H),
        "logit_r_same": logit(R_SAME),
        "logit_r_mixed": logit(R_MIXED),
        "log_u/resnet": math.log(U),
        "log_level/mine": math.log(LEVEL),
        "logit_floor/mine": logit(FLOOR),
        "log_tau/mine": math.log(TAU),
        "log_method/mothernets": math.log(PENALTY),
        "log_method/snapshot": math.log(CHAINED),
        "log_nu": math.log(NU),
        "log_gamma": math.log(GAMMA),
        "logit_rho": logit(RHO),
        "eta": ETA,
        "kappa": KAPPA,
        "xi": XI,
        "omega": OMEGA,
        "omega_on/mine": OMEGA_ON,
        "zeta": ZETA,
        "s_power": S_POWER,
        "split_on/mine": SPLIT,
    }
    assert set(theta) <= set(predictor._index)
    drawn = np.array([[theta.get(name, 0.0) for name in predictor._index]])
    predictor._posterior = replace(predictor._posterior, samples=drawn)
    return formula_alone(predictor)


def by_hand(millions, depth, epochs, penalty=1.0, variance=1.0, classes=10, noise=0.0):
    share = epochs / 250 / TAU / (depth / 44) ** KAPPA
    # The level is that of a network of 0.1 million parameters.
    c = C * (0.1 / LEVEL) ** XI
    factor = U * LEVEL * math.exp(DELTA * math.log(depth / 44) ** 2)
    factor *= (1 + c * share**-BETA) / (1 + c) * penalty
    parts = [
        (FLOOR, S),
        ((1 - FLOOR) * (millions / 0.1) ** -ALPHA, 1 / (1 + (1 - S) / S * math.exp(-S_POWER))),
    ]
    chance, x = 1 - 1 / classes, 0.0
    for part, s in parts:
        removable = min(s * (1 + H) * share / (share + H), 0.95)
        x += factor * part * (1 - removable * (1 - variance) + noise)
    return chance * (1 - math.exp(-x / chance))


def millions(name):
    return lower(parse_network(name), DIGITS).parameters / 1e6


@pytest.mark.parametrize(
    ("design", "variance", "penalty"),
    [
        ("resnet-20-16", 1, 1),
        ("4xresnet-20-16", 1 / 4, 1),
        # Two clusters of two: four ordered pairs share a mother, of sixteen.
        ("4xresnet-20-16@g2", 1 / 4 + 4 * R_SAME / 16, PENALTY),
        ("4xresnet-20-16@g1", 1 / 4 + 12 * R_SAME / 16, PENALTY),
        # One cluster of two and one of one: two ordered pairs of nine, two members of three are hatched.
        ("3xresnet-20-16@g2", 1 / 3 + 2 * R_SAME / 9, PENALTY ** (2 / 3)),
    ],
)
@pytest.mark.parametrize("epochs", [1, 50, 125, 10_000])
def test_members_of_one_shape_by_hand(design, variance, penalty, epochs):
    found = fixed().sample_errors([parse_design(design)], "mine", DIGITS, epochs)
    expected = by_hand(millions("resnet-20-16"), 20, epochs, penalty, variance)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("suffix", "variance", "penalty"), [("", 1 / 2, 1), ("@g1", 1 / 2 + 2 * R_MIXED / 4, PENALTY)]
)
def test_members_of_two_shapes_by_hand(suffix, variance, penalty):
    found = fixed().sample_errors([parse_design(f"resnet-20-16+resnet-32-8{suffix}")], "mine", DIGITS, 50)
    size = math.sqrt(millions("resnet-20-16") * millions("resnet-32-8"))
    assert found == pytest.approx(by_hand(size, 26, 50, penalty, variance), rel=1e-9)


def test_members_of_several_families_in_any_order_have_the_mean_log_of_what_each_would_have():
    # Six ordered pairs of three independent members: as for any ensemble of three.
    vgg, resnet = draws("3xvgg-11-16"), draws("3xresnet-20-16")
    expected = np.exp((2 * np.log(vgg) + np.log(resnet)) / 3)
    for name in ("2xvgg-11-16+resnet-20-16", "resnet-20-16+2xvgg-11-16", "vgg-11-16+resnet-20-16+vgg-11-16"):
        assert draws(name) == pytest.approx(expected)


def found_by_hand(design, *, epochs=50, **more):
    return fixed().sample_errors([parse_design(design)], "mine", DIGITS, epochs, **more)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_regular_members_by_hand_without_a_specification(classes):
    found = fixed().sample_regular(
        "resnet",
        "mine",
        classes,
        parameters=np.array([1e6, 0.25e6]),
        depth=np.array([44.0, 20.0]),
        members=np.array([1.0, 4.0]),
        epochs=100,
    )
    expected = [
        by_hand(1.0, 44, 100, classes=classes),
        by_hand(0.25, 20, 100, variance=1 / 4, classes=classes),
    ]
    assert found[0] == pytest.approx(expected, rel=1e-9)


def test_snapshots_correlate_as_members_of_one_mother_and_have_their_own_penalty():
    expected = by_hand(millions("resnet-20-16"), 20, 50, CHAINED, 1 / 4 + 12 * R_SAME / 16)
    assert found_by_hand("4xresnet-20-16", methods=[Method.SNAPSHOT]) == pytest.approx(expected, rel=1e-9)


def test_members_that_share_most_layers_are_one_network():
    shared = found_by_hand("4xresnet-20-16@g1", methods=[Method.SHARED_MOTHERNETS])
    assert shared == pytest.approx(by_hand(millions("resnet-20-16"), 20, 50), rel=1e-9)


@pytest.mark.parametrize("times", [0.1, 3.0, 30.0])
def test_another_weight_decay_changes_the_error_by_a_parabola_of_its_logarithm(times):
    decades = math.log10(times)
    factor = math.exp((OMEGA + OMEGA_ON) * decades + ZETA * decades**2)
    found = found_by_hand("resnet-20-16", weight_decays=[times])
    assert found == pytest.approx(by_hand(millions("resnet-20-16"), 20, 50, penalty=factor), rel=1e-9)


def test_validation_images_may_be_harder_than_those_of_the_test():
    expected = by_hand(millions("resnet-20-16"), 20, 50, penalty=math.exp(SPLIT))
    assert found_by_hand("resnet-20-16", validated=True) == pytest.approx(expected, rel=1e-9)


def test_fewer_images_cost_error_by_a_power_law():
    expected = by_hand(millions("resnet-20-16"), 20, 50, penalty=0.25**-ETA)
    assert found_by_hand("resnet-20-16", image_share=0.25) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("share", [0.25, 1.0, 4.0])
def test_regular_members_have_the_same_power_of_the_images_beyond_all_of_them_too(share):
    found = fixed().sample_regular(
        "resnet",
        "mine",
        10,
        parameters=np.array([1e6, 0.25e6]),
        depth=np.array([44.0, 20.0]),
        members=np.array([1.0, 4.0]),
        epochs=100,
        image_share=np.array([share, 1.0]),
    )
    expected = [by_hand(1.0, 44, 100, penalty=share**-ETA), by_hand(0.25, 20, 100, variance=1 / 4)]
    assert found[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("members", [1, 4])
def test_an_epoch_of_a_long_schedule_has_the_error_of_a_short_one_and_the_noise_of_its_rate(members):
    # The rate falls to a tenth after 40 of 100 epochs, and again after 80.
    rates = relative_rates("resnet", 100)
    found = fixed().sample_regular(
        "resnet",
        "mine",
        10,
        parameters=np.full(3, 0.5e6),
        depth=np.full(3, 44.0),
        members=np.full(3, float(members)),
        epochs=np.array([40.0, 80.0, 100.0]),
        relative_rate=np.array([rates[39], rates[79], rates[99]]),
        final_relative_rate=rates[99],
    )
    remaining = 1 - RHO * (1 - 1 / members)
    noises = [NU * (relative_rate**GAMMA - 0.01**GAMMA) * remaining for relative_rate in (1, 0.1, 0.01)]
    expected = [
        by_hand(0.5, 44, epochs, variance=1 / members, noise=noise)
        for epochs, noise in zip((40, 80, 100), noises, strict=True)
    ]
    assert found[0] == pytest.approx(expected, rel=1e-9)


def test_a_curve_ends_where_the_whole_schedule_does():
    design = parse_design("4xresnet-20-16")
    curve = fixed().sample_curve(design, "mine", DIGITS, 50)[0]
    whole = fixed().sample_errors([design], "mine", DIGITS, 50)[0, 0]
    assert curve.shape == (50,)
    assert curve[-1] == pytest.approx(whole, rel=1e-12)
    # The rate falls after 20 and after 40 epochs.
    assert curve[20] < 0.8 * curve[19]
    assert np.all(np.diff(curve) < 0)


def test_a_target_is_reached_where_the_curve_is_down_to_it_or_a_little_sooner():
    design, predictor = parse_design("4xresnet-20-16"), fixed()
    curve = predictor.sample_curve(design, "mine", DIGITS, 50)[0]

    def until(target, trainings):
        return predictor.epochs_until(np.array([target]), design, "mine", DIGITS, 50, trainings)[0]

    # The mean of a million trainings does not jump.
    assert until(1.0001 * curve[30], 10**6) == 31
    assert until(1.0001 * curve[30], 1) <= 31
    assert until(0.5 * curve[-1], 10**6) == np.inf
