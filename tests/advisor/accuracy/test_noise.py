"""The noise between seeds, estimated from trainings."""

from dataclasses import replace

import numpy as np
import pytest
from accuracy_examples import run, scattered

from advisor.accuracy.formula import Case
from advisor.accuracy.noise import (
    OWN_ERRORS,
    RATIO_STD,
    common_share,
    fitted_seed_std,
    own_count_variance,
    ratio_std,
    ratio_to_another_std,
)
from advisor.plans.method_traits import Method


def test_how_far_seeds_lie_apart_is_learned_from_members_of_one_shape():
    assert fitted_seed_std("mine", [scattered(0.3)]) == pytest.approx(0.3, rel=0.2)
    assert fitted_seed_std("mine", [scattered(0.05)]) == pytest.approx(0.05, rel=0.2)
    # On another data set nothing was seen.
    assert (
        fitted_seed_std("other", [scattered(0.3)])
        == fitted_seed_std("other", [])
        == pytest.approx(0.1, rel=0.1)
    )


def wrong_answers(error, correlation, images, networks, generator):
    """Wrong answers, bool (networks, images): an image is as hard for every network."""
    spread = 1 / correlation - 1
    hardness = generator.beta(error * spread, (1 - error) * spread, images)
    return generator.random((networks, images)) < hardness


def test_counting_few_errors_is_not_taken_for_seeds():
    wrong = wrong_answers(0.1, 0.65, 300, 60, np.random.default_rng(4))
    counted = tuple(wrong.mean(axis=1))
    taught = replace(run("60xresnet-8-8", 0.1, 0.1, images=300), member_errors=counted)
    assert fitted_seed_std("mine", [taught]) < 0.06


@pytest.mark.parametrize("error", [0.01, 0.05, 0.2, 0.4])
def test_a_count_has_a_part_of_its_own_and_one_of_its_images(error):
    generator, images = np.random.default_rng(7), 2000
    # Many sets of images, each answered by four networks.
    logs = np.log(
        [wrong_answers(error, common_share(error), images, 4, generator).sum(axis=1) for _ in range(4000)]
    )
    own = own_count_variance(error * images, images)
    assert logs.var(axis=1, ddof=1).mean() == pytest.approx(own, rel=0.15)
    whole = (1 - error) / (error * images)
    assert logs.mean(axis=1).var() - own / 4 == pytest.approx(whole * common_share(error), rel=0.15)


def test_the_common_part_of_a_count_is_what_pairs_of_networks_showed():
    assert common_share(0.001) == common_share(0.01) == 0.3
    assert common_share(0.2) == pytest.approx(0.75, abs=0.01)
    assert common_share(0.9) == 0.75


@pytest.mark.parametrize(("error", "ratio"), [(0.05, 0.4), (0.2, 0.7), (0.3, 0.95)])
def test_an_ensemble_that_errs_where_its_members_err_is_known_well_over_them(error, ratio):
    generator, images = np.random.default_rng(3), 5000
    members = generator.binomial(images, error, size=20_000)
    ensembles = generator.binomial(members, ratio)
    scattered_ratios = np.log(ensembles / members).std()
    count = images * error * ratio
    counting = 1 / count - 1 / images
    found = ratio_std(0.0, (count, images * error), images, 4) ** 2 - RATIO_STD**2 - OWN_ERRORS * counting
    assert found**0.5 == pytest.approx(scattered_ratios, rel=0.03)
    # Two networks that were trained apart have their own wrong answers and seeds.
    case = Case("mine", 10, "resnet", 0.1, 8, 1.0, 4)
    assert ratio_to_another_std(0.1, case, count, images) > ratio_std(0.1, (count, images * error), images, 4)


def test_the_first_of_several_members_lie_off_the_mean_of_all():
    generator, many = np.random.default_rng(5), (1e9, 1e9)
    logs = generator.normal(0, 0.2, size=(40_000, 8))
    apart = (logs[:, :2].mean(axis=1) - logs.mean(axis=1)).std()
    whole, part = (ratio_std(0.2, many, 10**10, members, 8) for members in (8, 2))
    assert (part**2 - whole**2) ** 0.5 == pytest.approx(apart, rel=0.02)
    assert whole == pytest.approx(np.hypot(RATIO_STD, 0.3 * 0.2), rel=1e-3)


def test_trainings_that_were_counted_on_other_numbers_of_images_are_no_further_apart():
    one = scattered(0.05)
    other = replace(one, test_images=one.test_images // 100)
    assert fitted_seed_std("mine", [one, other]) == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize("method", [Method.SNAPSHOT, Method.BAGGING])
def test_members_that_differ_by_more_than_their_seeds_say_nothing_of_seeds(method):
    taught = replace(scattered(0.3), method=method)
    assert fitted_seed_std("mine", [taught]) == fitted_seed_std("mine", [])
