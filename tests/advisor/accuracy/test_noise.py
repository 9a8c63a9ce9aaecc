"""The noise between seeds, estimated from trainings."""

from dataclasses import replace

import numpy as np
import pytest
from accuracy_examples import run, scattered

from advisor.accuracy.noise import fitted_seed_std
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
