"""Which ways to train are worth their time, and how sure that is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.decision.frontier.dominance import (
    Beaten,
    beaten_ways,
    front_of,
    never_worth,
    probability_below_one,
)
from advisor.estimate import Estimate, Z

few = st.sampled_from([1.0, 2.0, 3.0])
points = st.lists(st.tuples(few, few), min_size=1, max_size=12)


def ratio_of(seconds):
    return lambda i, j: Estimate.exact(seconds[i] / seconds[j])


@given(points)
def test_a_way_is_beaten_exactly_if_it_is_off_the_front_and_by_one_that_is_on_it(drawn):
    errors, seconds = (np.array(column) for column in zip(*drawn, strict=True))
    beaten = beaten_ways(errors, seconds, lambda i, j: 0.5, ratio_of(seconds))
    front = front_of(errors, seconds)
    assert [each is None for each in beaten] == front.tolist()
    for i, each in enumerate(beaten):
        if each is not None:
            assert front[each.by]
            assert errors[each.by] <= errors[i]
            assert seconds[each.by] <= seconds[i]


def test_the_likeliest_of_the_better_ways_is_named():
    # The last way is beaten by both others: the first surely sooner, the second surely less wrong.
    errors, seconds = np.array([0.2, 0.1, 0.3]), np.array([1.0, 2.0, 2.0])
    chance = {(0, 2): 0.6, (1, 2): 0.9}
    (_, _, last) = beaten_ways(errors, seconds, lambda i, j: chance[i, j], ratio_of(seconds))
    # Equal times are certain to be no longer.
    assert last == Beaten(by=1, probability=0.9)


def test_a_ratio_is_below_one_with_the_probability_of_its_log_normal():
    # One standard deviation below 1: Φ(1).
    width = math.exp(0.1 * Z)
    mean = math.exp(-0.1)
    expected = 0.5 * (1 + math.erf(1 / math.sqrt(2)))
    assert probability_below_one(Estimate(mean, mean / width, mean * width)) == pytest.approx(expected)
    assert probability_below_one(Estimate.exact(0.9)) == 1
    assert probability_below_one(Estimate.exact(1.0)) == 0.5


def test_a_kind_is_never_worth_it_only_if_all_its_ways_are_beaten():
    beaten = [None, Beaten(0, 0.9), Beaten(0, 0.99), Beaten(0, 0.7)]
    kinds = ["a", "a", "b", "b"]
    # The least sure of its ways speaks for the kind.
    assert never_worth(beaten, kinds) == {"b": Beaten(0, 0.7)}
