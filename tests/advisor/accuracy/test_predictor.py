"""The accuracy predictor: its formula by hand, its order, its intervals and its evidence."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.accuracy.cases import relative_rates
from advisor.accuracy.discrepancy import FEATURES
from advisor.accuracy.evidence import Curve, TrainedEvidence
from advisor.accuracy.noise import DISCREPANCY_STD, fitted_seed_std
from advisor.accuracy.observations import (
    Observation,
    merged,
    observations_of,
    published_observations,
    turning_points,
)
from advisor.accuracy.posterior import SAMPLES
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.accuracy.published import ERRORS
from advisor.designs.design import parse_design
from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task
from advisor.plans.plan import Method
from advisor.plans.schedule import RECIPES

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
CIFAR100 = replace(CIFAR10, classes=100)
DIGITS = Task(channels=1, height=8, width=8, classes=10)
FAMILIES = ["resnet", "wrn", "densenet", "vgg", "mlp"]
DATASETS = {"cifar10": CIFAR10, "cifar100": CIFAR100, "mine": DIGITS}


@cache
def prior():
    """The predictor without trainings, and its formula alone, which the laws below apply to."""
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


# The formula.

ALPHA, DELTA, C, BETA, S, H, R_SAME, R_MIXED = 0.5, 0.05, 0.1, 1.2, 0.4, 0.25, 0.5, 0.25
U, FLOOR, SCALE, TAU = 1.1, 0.03, 0.02, 0.5
PENALTY, CHAINED = 1.04, 1.2
NU, GAMMA, RHO, ETA, KAPPA = 0.9, 0.7, 0.6, 0.3, 0.4


def logit(share):
    return math.log(share / (1 - share))


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
        "log_floor/mine": math.log(FLOOR),
        "log_scale/mine": math.log(SCALE),
        "log_tau/mine": math.log(TAU),
        "log_method/mothernets": math.log(PENALTY),
        "log_method/snapshot": math.log(CHAINED),
        "log_nu": math.log(NU),
        "log_gamma": math.log(GAMMA),
        "logit_rho": logit(RHO),
        "eta": ETA,
        "kappa": KAPPA,
    }
    assert set(theta) <= set(predictor._index)
    drawn = np.array([[theta.get(name, 0.0) for name in predictor._index]])
    predictor._posterior = replace(predictor._posterior, samples=drawn)
    return formula_alone(predictor)


def formula_alone(predictor):
    """The predictor without its model discrepancy, which follows no law."""
    draws = predictor._posterior
    predictor._posterior = replace(draws, discrepancy_weights=np.zeros((len(draws.samples), FEATURES)))
    return predictor


def by_hand(millions, depth, epochs, penalty=1.0, variance=1.0, classes=10, noise=0.0):
    share = epochs / 250 / TAU / (depth / 44) ** KAPPA
    x = U * (FLOOR + SCALE * millions**-ALPHA) * math.exp(DELTA * math.log(depth / 44) ** 2)
    x *= (1 + C * share**-BETA) / (1 + C) * penalty
    removable = min(S * (1 + H) * share / (share + H), 0.95)
    chance = 1 - 1 / classes
    return chance * (1 - math.exp(-x * (1 - removable * (1 - variance) + noise) / chance))


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


def test_a_run_of_several_families_teaches_no_family():
    mixed = run("resnet-8-8+vgg-11-8", 0.1, 0.05)
    assert list(observations_of(mixed, 0.1)) == []


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


def found_by_hand(design, *, epochs=50, **more):
    return fixed().sample_errors([parse_design(design)], "mine", DIGITS, epochs, **more)


def test_snapshots_correlate_as_members_of_one_mother_and_have_their_own_penalty():
    expected = by_hand(millions("resnet-20-16"), 20, 50, CHAINED, 1 / 4 + 12 * R_SAME / 16)
    assert found_by_hand("4xresnet-20-16", methods=[Method.SNAPSHOT]) == pytest.approx(expected, rel=1e-9)


def test_members_that_share_most_layers_are_one_network():
    shared = found_by_hand("4xresnet-20-16@g1", methods=[Method.SHARED_MOTHERNETS])
    assert shared == pytest.approx(by_hand(millions("resnet-20-16"), 20, 50), rel=1e-9)


def test_fewer_images_cost_error_by_a_power_law():
    expected = by_hand(millions("resnet-20-16"), 20, 50, penalty=0.25**-ETA)
    assert found_by_hand("resnet-20-16", image_share=0.25) == pytest.approx(expected, rel=1e-9)


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


# What the prior knows.


@pytest.mark.parametrize(
    "row", ERRORS, ids=lambda e: f"{e.dataset}-{e.family}-{e.depth}-{e.members}-{e.error}"
)
def test_published_errors_are_within_their_intervals(row):
    found = prior().sample_regular(
        row.family,
        row.dataset,
        DATASETS[row.dataset].classes,
        parameters=np.array([row.parameters * 1e6]),
        depth=np.array([float(row.depth)]),
        members=np.array([float(row.members)]),
        epochs=row.epochs,
    )
    estimate = prior().predict(found[:, 0])
    assert estimate.low <= row.error / 100 <= estimate.high


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


@given(
    st.sampled_from(FAMILIES),
    st.sampled_from(sorted(DATASETS)),
    st.lists(st.floats(1e2, 1e12), min_size=2, max_size=5),
    st.sampled_from([1, 7, 100, 10_000]),
    st.sampled_from([1, 4, 256]),
    st.sampled_from([2, 10, 1000]),
)
@settings(max_examples=60)
def test_errors_fall_with_size_and_stay_between_nothing_and_chance(
    family, dataset, sizes, epochs, members, classes
):
    found = regular(family, dataset, sorted(sizes), epochs, members, classes)
    assert found.shape == (SAMPLES, len(sizes))
    assert np.all(np.isfinite(found))
    assert np.all(found > 0)
    assert np.all(found <= 1 - 1 / classes + 1e-12)
    assert np.all(np.diff(found, axis=1) <= 1e-12)


@given(
    st.sampled_from(FAMILIES),
    st.sampled_from(sorted(DATASETS)),
    st.integers(1, 10_000),
    st.integers(1, 10_000),
)
@settings(max_examples=40)
def test_errors_fall_with_epochs(family, dataset, epochs, more):
    for members in (1, 4):
        short, long = (regular(family, dataset, [3e5], e, members) for e in (epochs, epochs + more))
        assert np.all(long <= short + 1e-12)


@given(
    st.sampled_from(["4x", "8x"]), st.sampled_from(sorted(DATASETS)), st.sampled_from([1, 10, 250, 10_000])
)
@settings(max_examples=24)
def test_fewer_mothers_mean_more_error_but_less_than_a_hatched_member(count, dataset, epochs):
    member = draws("resnet-14-8", dataset, epochs)
    independent, two, one = (draws(f"{count}resnet-14-8{g}", dataset, epochs) for g in ("", "@g2", "@g1"))
    # Of the worlds in which hatching alone costs a member something, and how much.
    cost = np.exp(prior()._posterior.samples[:, prior()._index["log_method/mothernets"]])
    assert np.all((independent <= two + 1e-12) | (cost < 1))
    assert np.all((two <= one + 1e-12) | (cost < 1))
    assert np.all((one <= member * cost + 1e-12) | (cost < 1))
    assert np.all(independent <= member + 1e-12)


def test_after_a_full_schedule_even_one_mother_beats_a_single_member():
    assert draws("4xresnet-20-16@g1").mean() < draws("resnet-20-16").mean()


def test_where_every_network_guesses_averaging_gains_nothing():
    single, ensemble = (draws(f"{k}wrn-10-1", "cifar100", 1).mean() for k in ("", "8x"))
    assert ensemble > 0.995 * single


def test_more_members_of_one_size_never_have_more_error():
    errors = [draws(f"{k}xresnet-20-16" if k > 1 else "resnet-20-16").mean() for k in (1, 2, 4, 8, 16)]
    assert errors == sorted(errors, reverse=True)


def test_cifar100_is_harder_than_cifar10():
    assert np.all(draws("resnet-20-16", "cifar100") > draws("resnet-20-16", "cifar10"))


def test_a_data_set_without_published_errors_has_an_interval_of_an_order_of_magnitude():
    for design in ("resnet-20-16", "mlp-2-64", "4xwrn-10-1"):
        unknown = prior().predict(draws(design, "mine"))
        known = prior().predict(draws(design, "cifar10"))
        assert unknown.high / unknown.low >= 10
        assert unknown.high / unknown.low > 3 * known.high / known.low


# Evidence.


def test_runs_narrow_the_interval_to_their_surroundings():
    evidence = [
        run("resnet-8-8", 0.06, 0.06),
        run("4xresnet-8-8", 0.062, 0.05),
        run("resnet-14-8", 0.05, 0.05),
    ]
    learned = AccuracyPredictor(["mine"], evidence)
    before = prior().predict(draws("resnet-8-8", "mine", 20))
    after = learned.predict(draws("resnet-8-8", "mine", 20, learned))
    assert (after.high - after.low) < 0.25 * (before.high - before.low)
    assert after.low < 0.06 < after.high
    assert after.mean == pytest.approx(0.06, rel=0.15)
    ensemble = learned.predict(draws("4xresnet-8-8", "mine", 20, learned))
    assert ensemble.mean == pytest.approx(0.05, rel=0.2)


def test_far_from_the_runs_the_interval_is_wider_than_near_them():
    learned = AccuracyPredictor(["mine"], [run("resnet-8-8", 0.06, 0.06, images=10_000) for _ in range(3)])

    def width(design, epochs):
        estimate = learned.predict(draws(design, "mine", epochs, learned))
        return estimate.high / estimate.low

    assert width("resnet-8-8", 20) < width("resnet-8-8", 1)
    assert width("resnet-8-8", 20) < width("densenet-40-12", 250)


def test_runs_on_one_data_set_hardly_move_what_is_published_of_another():
    learned = AccuracyPredictor(["mine"], [run("resnet-8-8", 0.4, 0.4), run("mlp-1-16", 0.2, 0.2)])
    moved = draws("resnet-20-16", "cifar10", 250, learned).mean() / draws("resnet-20-16", "cifar10").mean()
    assert 0.9 < moved < 1.1


def test_runs_in_which_hatched_members_gain_nothing_teach_that():
    evidence = [run("4xresnet-8-8@g1", 0.1, 0.1, images=10_000, epochs=100) for _ in range(5)]
    learned = AccuracyPredictor(["mine"], evidence)

    def gain(predictor):
        one = draws("resnet-8-8", "mine", 100, predictor)
        return float(np.mean(draws("4xresnet-8-8@g1", "mine", 100, predictor) / one))

    assert gain(learned) > gain(prior())


def test_a_run_without_a_single_error_counts_as_half_an_error():
    none, half = (
        AccuracyPredictor(["mine"], [run("2xresnet-8-8", error, error, images=360)])
        for error in (0.0, 0.5 / 360)
    )
    found = draws("2xresnet-8-8", "mine", 20, none)
    assert np.array_equal(found, draws("2xresnet-8-8", "mine", 20, half))
    assert np.all(np.isfinite(found))
    assert np.all(found > 0)


@pytest.mark.parametrize(
    "errors",
    [[0.0, 1.0], [1.0], [0.9], [0.5, 0.001, 0.9, 0.02, 0.3] * 2, [1.0] * 6, [0.0] * 6],
    ids=["opposites", "all wrong", "chance", "contradictions", "always wrong", "never wrong"],
)
def test_runs_that_contradict_each_other_or_the_prior_do_no_harm(errors):
    evidence = [run("2xresnet-8-8", e, e) for e in errors] + [run("4xmlp-1-8", 1 - e, e) for e in errors]
    learned = AccuracyPredictor(["mine"], evidence)
    for design in ("resnet-8-8", "8xmlp-1-8", "resnet-110-16"):
        for dataset in DATASETS:
            found = draws(design, dataset, 20, learned)
            assert np.all(np.isfinite(found))
            assert np.all((found > 0) & (found <= 0.99 + 1e-12))


def test_two_classes_at_chance_teach_that_nothing_was_learned():
    coin = replace(DIGITS, classes=2)
    learned = AccuracyPredictor(["coin"], [run("resnet-8-8", 0.5, 0.5, dataset="coin", task=coin)] * 2)
    found = learned.sample_errors([parse_design("resnet-8-8")], "coin", coin, 20)[:, 0]
    assert 0.35 < found.mean() <= 0.5


def test_intervals_contain_nine_of_ten_when_the_world_is_as_the_prior_says():
    seen = ["resnet-8-8", "4xresnet-8-8", "mlp-1-16"]
    asked = ["resnet-14-8", "2xresnet-8-16", "mlp-2-32", "4xresnet-8-8"]
    designs = [parse_design(name) for name in (*seen, *asked)]
    worlds = AccuracyPredictor(["mine"], seed=11).sample_errors(designs, "mine", DIGITS, 50)
    generator = np.random.default_rng(5)
    inside = []
    for truth in worlds[:14]:
        actual = truth * np.exp(generator.normal(0, DISCREPANCY_STD, len(truth)))
        evidence = [
            run("resnet-8-8", actual[0], actual[0], epochs=50, images=10_000),
            run("4xresnet-8-8", actual[0], actual[0] * truth[1] / truth[0], epochs=50, images=10_000),
            run("mlp-1-16", actual[2], actual[2], epochs=50, images=10_000),
        ]
        learned = AccuracyPredictor(["mine"], evidence)
        for position, name in enumerate(asked, len(seen)):
            estimate = learned.predict(draws(name, "mine", 50, learned))
            inside.append(estimate.low <= actual[position] <= estimate.high)
    assert 0.78 <= np.mean(inside) <= 1.0


def curved(errors, *, epochs=20, done=True, design="resnet-8-8", images=10_000):
    """A training with a learning curve, finished or not."""
    return replace(
        run(design, errors[-1], errors[-1], epochs=epochs, images=images),
        member_errors=(errors[-1],) if done else None,
        ensemble_error=errors[-1] if done else None,
        curve=Curve(member=tuple(errors), ensemble=None, images=images),
    )


def test_a_training_that_has_not_ended_teaches_where_it_is_going():
    # 12 of 20 epochs: 8 at the full rate, 4 at a tenth of it.
    begun = curved([0.5, 0.4, 0.3, 0.3, 0.25, 0.25, 0.25, 0.25, 0.1, 0.1, 0.1, 0.1], done=False)
    learned = AccuracyPredictor(["mine"], [begun])
    before = prior().predict(draws("resnet-8-8", "mine", 20))
    after = learned.predict(draws("resnet-8-8", "mine", 20, learned))
    assert after.high / after.low < 0.4 * before.high / before.low
    assert 0.05 < after.mean < 0.1


def test_curves_of_other_trainings_teach_what_a_high_rate_costs():
    def noise(curve):
        learned = AccuracyPredictor(["mine"], [curved(curve)] * 3)
        return np.exp(learned._posterior.samples[:, learned._index["log_nu"]]).mean()

    calm = [0.12] * 8 + [0.11] * 8 + [0.1] * 4
    wild = [0.4] * 8 + [0.15] * 8 + [0.1] * 4
    assert noise(calm) < noise(wild)


@pytest.mark.parametrize(
    ("done", "finished", "expected"),
    [
        (0, False, []),
        (3, False, [3]),
        (8, False, [8]),
        (12, False, [8, 12]),
        # A member at its end, of a training that has not ended.
        (20, False, [8, 16, 20]),
        (20, True, [8, 16]),
    ],
)
def test_a_curve_is_observed_before_every_drop_of_the_rate_and_at_its_last_epoch(done, finished, expected):
    # Of 20 epochs of a ResNet the rate falls after 8 and after 16.
    assert turning_points("resnet", 20, done, finished=finished) == expected


def test_errors_of_fewer_members_teach_what_averaging_gains():
    def gain(errors):
        taught = replace(run("8xresnet-8-8", 0.1, errors[-1], images=10_000), errors_by_members=errors)
        learned = AccuracyPredictor(["mine"], [taught] * 3)
        return float(
            np.mean(draws("2xresnet-8-8", "mine", 20, learned) / draws("resnet-8-8", "mine", 20, learned))
        )

    late = (0.1, 0.1, 0.1, 0.1, 0.09, 0.08, 0.08, 0.08)
    soon = (0.1, 0.085, 0.083, 0.082, 0.081, 0.08, 0.08, 0.08)
    assert gain(soon) < gain(late)


# Draws and estimates.


def test_a_seed_fixes_every_figure():
    first, second, other = (AccuracyPredictor(["mine"], seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(draws("4xresnet-8-8", "mine", 5, first), draws("4xresnet-8-8", "mine", 5, second))
    assert not np.array_equal(
        draws("4xresnet-8-8", "mine", 5, first), draws("4xresnet-8-8", "mine", 5, other)
    )
    errors = draws("resnet-8-8", "mine", 5, first)
    assert first.predict(errors, key=2) == second.predict(errors, key=2)
    assert first.predict(errors, key=2) != first.predict(errors, key=3)


def test_seeds_agree_about_the_whole():
    means = [
        draws("resnet-20-16", "cifar10", 250, AccuracyPredictor([], seed=seed)).mean() for seed in range(4)
    ]
    assert max(means) / min(means) < 1.02


@given(st.lists(st.floats(1e-6, 1.0), min_size=400, max_size=400), st.integers(0, 50))
@settings(max_examples=15)
def test_a_predicted_error_is_at_most_one_and_wider_than_its_draws(values, key):
    errors = np.array(values)
    estimate = prior().predict(errors, key=key)
    assert 0 < estimate.low <= estimate.mean <= estimate.high <= 1


def test_a_predicted_error_includes_the_noise_of_a_training():
    estimate = prior().predict(np.full(SAMPLES, 0.1))
    assert estimate.low == pytest.approx(0.1 * math.exp(-1.645 * DISCREPANCY_STD), rel=0.01)
    assert estimate.high == pytest.approx(0.1 * math.exp(1.645 * DISCREPANCY_STD), rel=0.01)


def test_an_error_to_be_counted_on_few_images_is_a_count():
    few, many, endless = (prior().predict(np.full(SAMPLES, 0.02), images=n) for n in (100, 10**9, None))
    # Of a binomial of 100 and 0.02 more than 5 % are 0, and 98.5 % at most 5.
    assert (few.low, few.high) == (0.0, 0.05)
    assert (many.low, many.high) == pytest.approx((endless.low, endless.high), rel=1e-2)


def test_members_of_one_mother_share_her_seed_and_independent_ones_average_theirs():
    learned = AccuracyPredictor(["mine"], [scattered()])
    one, four, hatched = (
        learned.seed_std(parse_design(d), "mine") for d in ("mlp-1-8", "4xmlp-1-8", "4xmlp-1-8@g1")
    )
    assert one == pytest.approx(hatched)
    assert four == pytest.approx(learned.seed_stds["mine"] / 2)


def scattered(std=0.3, members=60, images=10**7):
    logs = np.random.default_rng(4).normal(math.log(0.1), std, members)
    errors = tuple(np.exp(logs))
    return replace(run(f"{members}xresnet-8-8", 0.1, 0.1, images=images), member_errors=errors)


def test_how_far_seeds_lie_apart_is_learned_from_members_of_one_shape():
    assert fitted_seed_std("mine", [scattered(0.3)]) == pytest.approx(0.3, rel=0.2)
    assert fitted_seed_std("mine", [scattered(0.05)]) == pytest.approx(0.05, rel=0.2)
    # On another data set nothing was seen.
    assert (
        fitted_seed_std("other", [scattered(0.3)])
        == fitted_seed_std("other", [])
        == pytest.approx(0.1, rel=0.1)
    )


def test_counting_few_errors_is_not_taken_for_seeds():
    generator = np.random.default_rng(4)
    counted = tuple(generator.binomial(300, 0.1, 60) / 300)
    taught = replace(run("60xresnet-8-8", 0.1, 0.1, images=300), member_errors=counted)
    assert fitted_seed_std("mine", [taught]) < 0.06


def test_trainings_that_were_counted_on_other_numbers_of_images_are_no_further_apart():
    one = scattered(0.05)
    other = replace(one, test_images=one.test_images // 100)
    assert fitted_seed_std("mine", [one, other]) == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize("method", [Method.SNAPSHOT, Method.BAGGING])
def test_members_that_differ_by_more_than_their_seeds_say_nothing_of_seeds(method):
    taught = replace(scattered(0.3), method=method)
    assert fitted_seed_std("mine", [taught]) == fitted_seed_std("mine", [])


def test_observations_of_one_thing_are_merged_by_their_weights():
    case = published_observations()[0].case
    (one,) = merged([Observation(case, 1.0, 0.1), Observation(case, 4.0, 0.2)])
    assert one.value == pytest.approx((1.0 * 100 + 4.0 * 25) / 125)
    assert one.std == pytest.approx(125**-0.5)


def test_a_design_has_even_chances_against_itself():
    errors = draws("resnet-20-16")
    assert prior().probability_below(errors, errors) == pytest.approx(0.5)


@given(st.sampled_from(FAMILIES), st.sampled_from(FAMILIES), st.sampled_from([1, 50, 500]))
@settings(max_examples=30)
def test_chances_of_two_designs_against_each_other_add_up_to_one(one, other, epochs):
    a, b = (regular(family, "mine", [2e5], epochs)[:, 0] for family in (one, other))
    assert prior().probability_below(a, b) + prior().probability_below(b, a) == pytest.approx(1)


def test_the_better_of_two_designs_is_the_likelier():
    errors = draws("resnet-20-16")
    chances = [prior().probability_below(errors * factor, errors) for factor in (0.5, 0.9, 1.0, 1.1, 2.0)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.999
    assert chances[-1] < 0.001
    # ln 0.95 over sqrt(2) · 0.02 is 1.8135 standard deviations; over 0.2, with both seeds, a quarter.
    seed_stds = (0.0, math.sqrt(0.2**2 - 2 * 0.02**2))
    assert prior().probability_below(errors * 0.95, errors, seed_stds) == pytest.approx(0.6012, abs=1e-3)
    assert prior().probability_below(errors * 0.95, errors) == pytest.approx(0.9651, abs=1e-3)


def test_the_discrepancy_widens_the_draws_and_breaks_no_bound():
    task = DATASETS["cifar10"]
    designs = [parse_design(name) for name in ("mlp-2-64", "vgg-11-16", "mlp-6-64")]
    whole = AccuracyPredictor(["cifar10"])
    found = whole.sample_errors(designs, "cifar10", task, 250)
    assert np.all((found > 0) & (found < 0.9))
    # Asked alone or among others, a design has the same draws.
    alone = whole.sample_errors(designs[1:2], "cifar10", task, 250)[:, 0]
    assert np.allclose(alone, found[:, 1], rtol=1e-12)
    plain = formula_alone(whole).sample_errors(designs, "cifar10", task, 250)
    ratios = [np.log(errors[:, 2] / errors[:, 0]).std() for errors in (found, plain)]
    assert ratios[0] > ratios[1]


def test_every_family_has_a_usual_length_of_training():
    assert set(RECIPES) == set(FAMILIES)
