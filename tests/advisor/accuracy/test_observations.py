"""Observations of trainings."""

from dataclasses import replace

import pytest
from accuracy_examples import run

from advisor.accuracy.evidence import Curve
from advisor.accuracy.observations import (
    Observation,
    merged,
    observations_of,
    published_observations,
    turning_points,
)


def test_a_run_of_several_families_teaches_no_family():
    mixed = run("resnet-8-8+vgg-11-8", 0.1, 0.05)
    assert list(observations_of(mixed, 0.1)) == []


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


def test_at_a_high_rate_an_ensemble_says_little_of_what_averaging_gains_at_the_end():
    rates = {1: 8, 0.1: 16}
    curve = Curve(member=(0.3,) * 20, ensemble=(0.27,) * 20, images=100_000)
    taught = replace(run("2xresnet-8-8", 0.1, 0.09, images=100_000), curve=curve)
    found = {
        round(o.case.relative_rate, 2): o.std
        for o in observations_of(taught, 0.05)
        if o.case.members == 2 and o.reference is not None
    }
    assert found.keys() == {0.0, *rates}
    assert found[1.0] > 0.15 > 3 * found[0.1]
    assert found[0.1] < 1.5 * found[0.0]


def test_observations_of_one_thing_are_merged_by_their_weights():
    case = published_observations()[0].case
    (one,) = merged([Observation(case, 1.0, 0.1), Observation(case, 4.0, 0.2)])
    assert one.value == pytest.approx((1.0 * 100 + 4.0 * 25) / 125)
    assert one.std == pytest.approx(125**-0.5)
