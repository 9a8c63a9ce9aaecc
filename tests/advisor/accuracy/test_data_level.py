"""The level of networks' errors follows the least simple error, and is the less certain the less is known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.accuracy import data_level
from advisor.accuracy.data_level import CountedError, level_of, objects_move

RESULT = Path(__file__).parents[3] / "benchmarks/trainings/results/data_level-cpu.json"
counted = st.integers(1, 3000).flatmap(
    lambda images: st.builds(CountedError, st.integers(0, images), st.just(images))
)


@settings(max_examples=30)
@given(
    errors=st.lists(counted, min_size=1, max_size=3), look=st.integers(10, 2000), more=st.integers(0, 10**6)
)
def test_the_interval_contains_the_median_and_is_a_share(errors, look, more):
    level = level_of(errors, look_images=look, train_images=look + more)
    low, high = level.interval
    assert 0 < low <= level.median <= high <= 1
    assert math.isfinite(level.log_mean)


def test_only_the_least_error_counts():
    least, other = CountedError(100, 1000), CountedError(400, 1000)
    assert level_of([other, least], look_images=500, train_images=500) == level_of(
        [least], look_images=500, train_images=500
    )


def test_a_higher_simple_error_foretells_a_higher_error():
    levels = [
        level_of([CountedError(wrong, 1000)], look_images=9, train_images=9) for wrong in (0, 9, 99, 500)
    ]
    assert [level.log_mean for level in levels] == sorted(level.log_mean for level in levels)


def test_more_images_lower_the_error_and_make_it_less_certain():
    few, many = (
        level_of([CountedError(300, 1000)], look_images=2000, train_images=images)
        for images in (2000, 50_000)
    )
    assert many.median < few.median
    assert many.log_std > few.log_std


def test_fewer_counted_images_make_it_less_certain():
    few, many = (
        level_of([CountedError(n // 10, n)], look_images=1000, train_images=1000) for n in (20, 2000)
    )
    assert few.log_std > many.log_std
    # The ends lie evenly around the median of a log-normal distribution.
    low, high = many.interval
    assert low * high == pytest.approx(many.median**2)
    assert math.log(high / low) == pytest.approx(2 * 1.6449 * many.log_std, rel=1e-4)


def test_the_standard_error_of_a_count_is_that_of_a_share():
    assert CountedError(100, 1000).standard_error == pytest.approx(math.sqrt(0.1 * 0.9 / 1000), rel=0.01)
    assert CountedError(0, 100).standard_error > 0


def test_the_constants_are_those_of_the_committed_result():
    result = json.loads(RESULT.read_text())
    fit = result["fit"]
    assert (fit["a"], fit["b"]) == (data_level.A, data_level.B)
    assert (fit["dataset_std"], fit["network_std"]) == (data_level.DATASET_STD, data_level.NETWORK_STD)
    assert result["eta"] == [data_level.ETA, data_level.ETA_STD]


def test_networks_of_the_committed_result_lie_inside_their_intervals():
    held, factors = {}, {}
    for row in json.loads(RESULT.read_text())["rows"]:
        errors = {name: CountedError(**row[name]) for name in ("neighbours", "linear", "patches")}
        images = {"look_images": row["train_images"], "train_images": row["network_train_images"]}
        moving = objects_move(errors, classes=7 if row["dataset"] == "icons" else 10)
        assert moving == (row["dataset"] == "moved-digits")
        low, high = level_of(tuple(errors.values()), **images, moving=moving).interval
        # An interval is that of the error itself; a count on few test images deviates by its standard error.
        margin = math.sqrt(high / row["test_images"])
        found = [low - margin <= error <= high + margin for error in row["network_errors"]]
        held[row["dataset"]], factors[row["dataset"]] = sum(found) / len(found), high / low
    # The set that stands outside the fit, as the module says.
    assert held.pop("moved-digits") == 1
    assert factors.pop("moved-digits") > 10
    assert len(held) == 11
    # Every data set counts equally, however many trainings it has.
    assert sum(held.values()) / len(held) >= 0.85
    assert max(factors.values()) < 6


def test_objects_that_move_are_told_by_classifiers_of_pixels_that_guess():
    def errors(neighbours, linear, patches):
        shares = {"neighbours": neighbours, "linear": linear, "patches": patches}
        return {name: CountedError(share, 1000) for name, share in shares.items()}

    assert objects_move(errors(768, 864, 365), classes=10)
    assert not objects_move(errors(283, 406, 184), classes=10)
    # Half of two classes is chance, half of a hundred is much better than chance.
    assert objects_move(errors(400, 450, 100), classes=2)
    assert not objects_move(errors(500, 600, 450), classes=100)
    # Without either of them nothing is known.
    assert not objects_move({"patches": CountedError(800, 1000)}, classes=10)
    # What one of them can do counts.
    assert not objects_move(errors(900, 200, 150), classes=10)
