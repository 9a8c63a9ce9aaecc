"""The switchover threshold: the published facts, the ends of the grids, and its own consistency."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.accuracy import SAMPLES, AccuracyPredictor
from advisor.schedule import RECIPES
from advisor.switchover import EPOCH_GRID, PARAMETER_GRID, switchover, thresholds

CLASSES = {"cifar10": 10, "cifar100": 100, "mine": 10}


@cache
def predictor():
    return AccuracyPredictor(["mine"])


@cache
def found(family, members, dataset="cifar10", budget=2e6, epochs=None):
    return switchover(
        predictor(),
        family,
        members,
        dataset=dataset,
        classes=CLASSES[dataset],
        budget=budget,
        epochs=RECIPES[family].reference_epochs if epochs is None else epochs,
    )


@pytest.mark.parametrize(
    ("dataset", "family", "members", "published"),
    [
        ("cifar10", "resnet", 4, 1.25e6),
        ("cifar10", "densenet", 4, 1.5e6),
        ("cifar10", "densenet", 6, 3e6),
        ("cifar10", "densenet", 8, 5e6),
        ("cifar10", "wrn", 4, 12e6),
        ("cifar100", "densenet", 4, 1e6),
    ],
)
def test_the_interval_holds_the_published_threshold(dataset, family, members, published):
    threshold = found(family, members, dataset).parameters
    assert threshold.low <= published <= threshold.high
    assert published / 2.5 <= threshold.mean <= published * 2.5


@pytest.mark.parametrize("family", ["resnet", "densenet", "wrn", "vgg", "mlp"])
def test_larger_ensembles_switch_later(family):
    sizes = [found(family, k).parameters.mean for k in (2, 4, 8, 16)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


@pytest.mark.parametrize("family", ["resnet", "densenet", "wrn"])
def test_harder_data_switches_earlier(family):
    assert found(family, 4, "cifar100").parameters.mean < found(family, 4, "cifar10").parameters.mean


def test_wide_resnets_switch_later_than_the_others():
    others = max(found(family, 4).parameters.mean for family in ("resnet", "densenet"))
    assert found("wrn", 4).parameters.mean > 3 * others


@pytest.mark.parametrize("family", ["resnet", "densenet"])
def test_past_the_threshold_half_of_the_epochs_are_enough(family):
    half = RECIPES[family].reference_epochs / 2
    assert found(family, 4, budget=8e6).epochs.mean <= half


@pytest.mark.parametrize("family", ["resnet", "densenet", "wrn"])
def test_few_epochs_are_never_past_the_threshold(family):
    assert found(family, 4, epochs=3).probability_past < 0.05
    assert found(family, 4, epochs=3).parameters.mean > 10 * found(family, 4).parameters.mean


def test_longer_training_switches_at_smaller_sizes():
    sizes = [found("resnet", 4, epochs=e).parameters.mean for e in (50, 125, 250, 1000)]
    assert sizes == sorted(sizes, reverse=True)


def test_on_undescribed_data_the_interval_spans_orders_of_magnitude():
    threshold = found("resnet", 4, "mine").parameters
    assert threshold.high / threshold.low > 100


@given(
    st.sampled_from(["resnet", "wrn", "mlp"]),
    st.sampled_from([2, 4, 16]),
    st.sampled_from(sorted(CLASSES)),
    st.sampled_from([1e3, 1e5, 2e6, 1e8, 1e11]),
    st.sampled_from([1, 20, 250, 10_000]),
)
@settings(max_examples=25)
def test_probability_and_intervals_agree(family, members, dataset, budget, epochs):
    threshold = found(family, members, dataset, budget, epochs)
    assert 0 <= threshold.probability_past <= 1
    for estimate, grid in ((threshold.parameters, PARAMETER_GRID), (threshold.epochs, EPOCH_GRID)):
        assert grid[0] <= estimate.low <= estimate.mean <= estimate.high <= grid[-1]
    if threshold.parameters.high < min(budget, PARAMETER_GRID[-1]):
        assert threshold.probability_past > 0.9
    if threshold.epochs.high < min(epochs, EPOCH_GRID[-1]):
        assert threshold.probability_past > 0.9


class Crossing:
    """Ensembles win from a known size on (and from known epochs on), in every draw the same."""

    def __init__(self, size, length):
        self.size, self.length = size, length

    def sample_regular(self, family, dataset, classes, *, parameters, depth, members, epochs):
        past = (parameters * members >= self.size) & (np.asarray(epochs) >= self.length)
        error = np.where(members == 1, 0.5, np.where(past, 0.4, 0.6))
        return np.tile(error, (SAMPLES, 1))


def crossing(size, length, budget=1e6, epochs=100.0):
    return switchover(
        Crossing(size, length), "resnet", 4, dataset="mine", classes=10, budget=budget, epochs=epochs
    )


def test_a_known_crossing_is_found_to_the_next_point_of_the_grid():
    threshold = crossing(3e5, 37)
    expected = min(size for size in PARAMETER_GRID if size >= 3e5)
    assert threshold.parameters.low == threshold.parameters.mean == threshold.parameters.high == expected
    assert threshold.epochs.mean == min(length for length in EPOCH_GRID if length >= 37)
    assert threshold.probability_past == 1.0


def test_an_ensemble_that_never_wins_has_its_threshold_at_the_end_of_the_grid():
    threshold = crossing(1e30, 1)
    assert (threshold.parameters.mean, threshold.epochs.mean) == (PARAMETER_GRID[-1], EPOCH_GRID[-1])
    assert threshold.probability_past == 0.0


def test_an_ensemble_that_always_wins_has_its_threshold_at_the_start_of_the_grid():
    threshold = crossing(0, 0)
    assert (threshold.parameters.mean, threshold.epochs.mean) == (PARAMETER_GRID[0], EPOCH_GRID[0])
    assert threshold.probability_past == 1.0


def test_a_win_that_does_not_last_is_no_threshold():
    class Twice(Crossing):
        def sample_regular(self, family, dataset, classes, *, parameters, depth, members, epochs):
            total = parameters * members
            wins = ((total > 1e5) & (total < 2e5)) | (total > 1e7)
            return np.tile(np.where(members == 1, 0.5, np.where(wins, 0.4, 0.6)), (SAMPLES, 1))

    found = switchover(Twice(0, 0), "resnet", 4, dataset="mine", classes=10, budget=1e6, epochs=10)
    assert found.parameters.mean > 1e7


def test_thresholds_are_listed_for_every_family_and_number_of_members_above_one():
    listed = thresholds(
        Crossing(0, 0), ["resnet", "vgg"], [1, 2, 4], dataset="mine", classes=10, budget=1e6, epochs=10.0
    )
    assert [(s.family, s.members) for s in listed] == [("resnet", 2), ("resnet", 4), ("vgg", 2), ("vgg", 4)]
