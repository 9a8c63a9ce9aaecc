"""The accuracy predictor: how it learns, its intervals and its probabilities."""

import math
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from accuracy_examples import (
    DATASETS,
    DIGITS,
    FAMILIES,
    curved,
    draws,
    formula_alone,
    prior,
    regular,
    run,
    scattered,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.accuracy.evidence import Curve
from advisor.accuracy.noise import DISCREPANCY_STD
from advisor.accuracy.posterior import SAMPLES
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.conformal import Corrections, ErrorBasis, Quantity
from advisor.designs.design import parse_design


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


def test_many_trainings_do_not_tell_how_hard_the_few_validation_images_are():
    # Twenty errors of 400 each: whatever the seed, they may be on hard images.
    tested = [run("resnet-8-8", 0.05, 0.05, images=400) for _ in range(30)]
    validated = [replace(e, validated=True) for e in tested]

    def std(evidence):
        return np.log(draws("resnet-8-8", "mine", 20, AccuracyPredictor(["mine"], evidence))).std()

    assert std(tested) < 0.15
    assert np.hypot(std(tested), 1 / math.sqrt(20)) == pytest.approx(std(validated), rel=0.25)


def test_the_mean_error_of_members_is_that_of_one_member_trained_likewise():
    alone, apart, hatched = map(parse_design, ("resnet-20-16", "4xresnet-20-16", "4xresnet-20-16@g1"))
    task = DATASETS["cifar10"]
    errors, members = prior().sample_errors_and_members([alone, apart, hatched], "cifar10", task, 250)
    assert members[:, 1] == pytest.approx(errors[:, 0])
    assert errors == pytest.approx(prior().sample_errors([alone, apart, hatched], "cifar10", task, 250))
    # A hatched member has the penalty of hatching, and averaging helps every ensemble.
    assert members[:, 2].mean() > members[:, 1].mean()
    assert (errors[:, 1:] < members[:, 1:]).all()


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


@pytest.mark.slow
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


def test_a_training_that_has_not_ended_teaches_where_it_is_going():
    # 12 of 20 epochs: 8 at the full rate, 4 at a tenth of it.
    begun = curved([0.5, 0.4, 0.3, 0.3, 0.25, 0.25, 0.25, 0.25, 0.1, 0.1, 0.1, 0.1], done=False)
    learned = AccuracyPredictor(["mine"], [begun])
    before = prior().predict(draws("resnet-8-8", "mine", 20))
    after = learned.predict(draws("resnet-8-8", "mine", 20, learned))
    assert after.high / after.low < 0.4 * before.high / before.low
    # The last error is 10 % at a tenth of the rate; draws of the end scatter above and below it.
    assert 0.05 < after.mean < 0.11


def test_curves_of_other_trainings_teach_what_a_high_rate_costs():
    def noise(curve):
        learned = AccuracyPredictor(["mine"], [curved(curve)] * 3)
        return np.exp(learned._posterior.samples[:, learned._index["log_nu"]]).mean()

    calm = [0.12] * 8 + [0.11] * 8 + [0.1] * 4
    wild = [0.4] * 8 + [0.15] * 8 + [0.1] * 4
    assert noise(calm) < noise(wild)


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


@pytest.mark.parametrize(
    ("evidence", "basis", "factor"),
    [((), ErrorBasis.PRIOR, 2.0), ((run("resnet-8-8", 0.06, 0.06),), ErrorBasis.RUNS, 0.5)],
)
def test_the_interval_of_an_error_is_corrected_by_what_is_known_of_the_data(evidence, basis, factor):
    known = {(Quantity.ERROR, ErrorBasis.PRIOR): [2.0] * 20, (Quantity.ERROR, ErrorBasis.RUNS): [0.5] * 20}
    plain = AccuracyPredictor(["mine"], evidence) if evidence else prior()
    corrected = copy(plain)
    corrected.corrections = Corrections(known)
    errors = np.full(SAMPLES, 0.02)
    before, after = plain.predict(errors), corrected.predict(errors)
    assert (corrected.correction.basis, corrected.correction.factor) == (basis, factor)
    assert after.mean == before.mean
    assert math.log(after.high / after.mean) == pytest.approx(factor * math.log(before.high / before.mean))
    assert math.log(after.mean / after.low) == pytest.approx(factor * math.log(before.mean / before.low))
    # A chance is of the draws, whose widths stay.
    assert plain.probability_below(errors, 2 * errors) == corrected.probability_below(errors, 2 * errors)


def test_a_corrected_error_is_at_most_one():
    wide = copy(prior())
    wide.corrections = Corrections({(Quantity.ERROR, "prior"): [3.0] * 20})
    found = wide.predict(np.full(SAMPLES, 0.8), 0.2)
    assert found.low < found.mean < found.high == 1.0


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


def test_members_that_learn_alike_foretell_what_more_of_them_gain_whatever_they_did_at_a_high_rate():
    # Two members lie 2 % below one at the end. They gained nothing at the high rate of the first epochs.
    member = (0.9, 0.8, 0.65, *[0.26] * 3, *[0.25] * 2)
    curve = Curve(member=member, ensemble=(*member[:3], *[0.255] * 3, *[0.245] * 2), images=1000)
    taught = [run("resnet-8-29", 0.245, 0.245, epochs=8), run("resnet-8-14", 0.265, 0.265, epochs=8)]
    taught.append(replace(run("2xresnet-8-20", 0.25, 0.245, epochs=8), curve=curve))
    found = AccuracyPredictor(["mine"], taught)
    one, eight = (draws(f"{members}resnet-8-20", "mine", 8, found) for members in ("", "8x"))
    gain = 1 - eight / one
    assert 0.02 < gain.mean() < 0.1
    assert gain.std() < 0.07
