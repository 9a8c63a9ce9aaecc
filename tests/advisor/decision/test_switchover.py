"""The switchover threshold: the published facts, the ends of the grids, and its own consistency."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.accuracy.posterior import SAMPLES
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.threshold.contest import EQUALLY_GOOD, contest, contestants
from advisor.decision.threshold.epoch_axis import WholeSchedules, source_of
from advisor.decision.threshold.error_source import Point, ScheduleReading
from advisor.decision.threshold.switchover import (
    EPOCH_GRID,
    PARAMETER_GRID,
    Threshold,
    crossing,
    switchover,
    thresholds,
)
from advisor.designs.design import DesignClass, homogeneous
from advisor.designs.equivalents import equivalents_within
from advisor.errors import InfeasibleError, UnknownNameError, UsageError
from advisor.networks.architecture import RegularShape, lower, regular_network
from advisor.networks.layers import Task
from advisor.networks.regular_counts import DEPTH_LIMIT, regular_counts
from advisor.plans.recipes.table import RECIPES, recipe_of

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
TASKS = {
    "cifar10": CIFAR10,
    "cifar100": Task(channels=3, height=32, width=32, classes=100),
    "mine": Task(channels=1, height=8, width=8, classes=10),
}
DEQ, WEQ = DesignClass.DEPTH_EQUIVALENT, DesignClass.WIDTH_EQUIVALENT


def source(dataset="cifar10"):
    return WholeSchedules(predictor(), dataset, TASKS[dataset])


@cache
def predictor():
    return AccuracyPredictor(["mine"])


def points(*epochs):
    return [Point(length) for length in epochs]


def found(family, members, dataset="cifar10", budget=8e6, epochs=None):
    """The threshold; 8 million parameters lie past that of four ResNets or DenseNets."""
    return scanned(family, members, dataset, budget, epochs or recipe_of(family, dataset).reference_epochs)


# A scan of all budgets takes a moment, and most tests look at the same few.
@cache
def scanned(family, members, dataset, budget, epochs):
    return switchover(source(dataset), family, members, budget=budget, epochs=epochs)


@pytest.mark.parametrize(
    ("dataset", "family", "members", "published", "factor"),
    [
        ("cifar10", "resnet", 4, 1.25e6, 2.5),
        ("cifar10", "densenet", 4, 1.5e6, 2.5),
        ("cifar10", "densenet", 6, 3e6, 2.5),
        ("cifar10", "densenet", 8, 5e6, 2.5),
        # In other publications thin Wide ResNets gain more than this threshold implies.
        ("cifar10", "wrn", 4, 12e6, 6),
        ("cifar100", "densenet", 4, 1e6, 2.5),
    ],
)
def test_the_interval_holds_the_published_threshold(dataset, family, members, published, factor):
    threshold = found(family, members, dataset).parameters
    assert threshold.low <= published <= threshold.high
    assert published / factor <= threshold.mean <= published * factor


@pytest.mark.parametrize(
    ("family", "members"),
    [("resnet", (2, 4, 16)), ("densenet", (4, 6, 8)), ("wrn", (4, 16)), ("vgg", (2, 16))],
)
def test_larger_ensembles_switch_later(family, members):
    sizes = [found(family, k).parameters.mean for k in members]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


@pytest.mark.parametrize("family", ["resnet", "densenet"])
def test_harder_data_switches_earlier(family):
    assert found(family, 4, "cifar100").parameters.mean < found(family, 4, "cifar10").parameters.mean


def test_wide_resnets_switch_later_than_the_others():
    others = max(found(family, 4).parameters.mean for family in ("resnet", "densenet"))
    assert found("wrn", 4).parameters.mean > others


@pytest.mark.parametrize("family", ["resnet", "densenet"])
def test_past_the_threshold_half_of_the_epochs_are_enough(family):
    half = RECIPES[family].reference_epochs / 2
    assert found(family, 4).parameters.mean < 8e6
    assert found(family, 4).epochs.mean <= half


@pytest.mark.parametrize("family", ["resnet", "wrn"])
def test_few_epochs_are_never_past_the_threshold(family):
    assert found(family, 4, epochs=3).probability_past < 0.1
    assert found(family, 4, epochs=3).parameters.mean > 10 * found(family, 4).parameters.mean


def test_longer_training_switches_at_smaller_sizes():
    sizes = [found("resnet", 4, epochs=e).parameters.mean for e in (50, 250, 1000)]
    assert sizes == sorted(sizes, reverse=True)


def test_on_undescribed_data_the_interval_spans_orders_of_magnitude():
    threshold = found("resnet", 4, "mine").parameters
    assert threshold.high / threshold.low > 100


@pytest.mark.parametrize(
    ("family", "members", "dataset", "budget", "epochs"),
    [
        ("resnet", 2, "cifar10", 1e3, 1),
        ("resnet", 4, "cifar10", 8e6, 250),
        ("vgg", 16, "cifar10", 1e8, 10_000),
        ("wrn", 2, "mine", 1e10, 1),
        ("vgg", 2, "mine", 1e5, 20),
    ],
)
def test_probability_and_intervals_are_within_their_grids(family, members, dataset, budget, epochs):
    threshold = found(family, members, dataset, budget, epochs)
    assert 0 <= threshold.probability_past <= 1
    for estimate, grid in ((threshold.parameters, PARAMETER_GRID), (threshold.epochs, EPOCH_GRID)):
        assert grid[0] <= estimate.low <= estimate.mean <= estimate.high <= grid[-1]
    if threshold.epochs.high < min(epochs, EPOCH_GRID[-1]):
        assert threshold.probability_past > 0.9


# The designs that meet.


@given(
    st.sampled_from(["resnet", "wrn", "densenet", "vgg"]), st.integers(2, 16), st.integers(5_000, 10_000_000)
)
@settings(max_examples=25)
def test_ensembles_are_the_largest_of_their_class_within_the_budget(family, members, budget):
    def size(depth, width, count):
        return count * lower(regular_network(family, depth, width), CIFAR10).parameters

    for e in equivalents_within(budget, family, members, CIFAR10)[:3]:
        assert size(e.single.depth, e.single.width, 1) <= budget < size(e.single.depth, e.single.width + 1, 1)
        if deq := e.depth_equivalent:
            assert deq.depth == e.single.depth
            assert size(deq.depth, deq.width, members) <= budget < size(deq.depth, deq.width + 1, members)
        if weq := e.width_equivalent:
            assert weq.width == e.single.width
            assert size(weq.depth, weq.width, members) <= budget


def test_the_single_network_of_a_budget_has_the_least_predicted_error():
    ((row,),) = contestants(source(), "resnet", 4, [1e6], points(250))
    every = equivalents_within(1e6, "resnet", 4, CIFAR10)
    means = source().errors([e.single for e in every], 1, 1, points(250)).mean(axis=(0, 2))
    assert row.single.shape == every[int(means.argmin())].single
    alike = [e for e, mean in zip(every, means, strict=True) if mean <= (1 + EQUALLY_GOOD) * means.min()]
    assert row.ensembles[DEQ].shape in [e.depth_equivalent for e in alike]
    assert row.ensembles[WEQ].shape in [e.width_equivalent for e in alike]
    # Members of a width-equivalent ensemble are the shallower ones.
    assert row.ensembles[WEQ].depth < row.ensembles[DEQ].depth


def test_budgets_without_a_network_are_left_out_and_those_without_an_ensemble_have_none():
    rows = contestants(source(), "resnet", 4, [1e3, 6e3, 1e6], points(250))
    assert [designs.budget for (designs,) in rows] == [6e3, 1e6]
    assert rows[0][0].ensembles == {}
    assert np.all(contest(source(), rows, 4, 4, points(250)).lead()[:, 0] == -np.inf)


def test_independent_members_have_the_same_errors_by_counts_as_by_their_layers():
    ((row,),) = contestants(source(), "resnet", 4, [1e6], points(250))
    network = row.ensembles[DEQ]
    by_layers = predictor().sample_errors([homogeneous(network, 4)], "cifar10", CIFAR10, 60)
    assert source().errors([network.shape], 4, 4, points(60))[:, :, 0] == pytest.approx(by_layers)


# A synthetic world, whose thresholds are known by hand.


class Crossing:
    """Members beat the single network from a known size on (and from known epochs on), in every draw."""

    reading, task, last_epoch = ScheduleReading.WHOLE, CIFAR10, None
    dataset = "toy"

    def __init__(self, size, length):
        self.size, self.length = size, length

    def errors(self, networks, members, clusters, points):
        epochs = [point.epochs for point in points]
        counts = regular_counts(networks[0].family, CIFAR10, DEPTH_LIMIT)
        total = np.array([members * counts.parameters(n.depth, n.width) for n in networks], dtype=float)
        error = np.full((SAMPLES, len(networks), len(epochs)), 0.5)
        if members > 1:
            # Equal at the known size and at the known epochs; from there on the lead grows.
            nearest = np.minimum(
                np.log(total / self.size)[:, None], np.log(np.array(epochs) / self.length)[None]
            )
            error *= np.exp(-0.01 * nearest)
        return error

    def probability_below(self, errors, reference, members, clusters):
        return float(np.mean(errors < reference))


def synthetic(size, length, budget=1e6, epochs=100):
    return switchover(Crossing(size, length), "resnet", 4, budget=budget, epochs=epochs)


def test_a_known_crossing_is_found():
    threshold = synthetic(3e5, 37)
    assert threshold.parameters.low == threshold.parameters.mean == threshold.parameters.high
    # Members are rounded to whole widths, so that an ensemble stays below its budget.
    assert threshold.parameters.mean == pytest.approx(3e5, rel=0.25)
    assert threshold.parameters.mean >= 3e5
    assert threshold.epochs.mean == pytest.approx(37, rel=0.01)
    assert threshold.probability_past == 1.0


def test_an_ensemble_that_never_wins_has_its_threshold_at_the_end_of_the_grid():
    threshold = synthetic(1e30, 1)
    assert (threshold.parameters.mean, threshold.epochs.mean) == (PARAMETER_GRID[-1], EPOCH_GRID[-1])
    assert threshold.probability_past == 0.0


def test_an_ensemble_that_always_wins_has_its_threshold_where_it_first_exists():
    threshold = synthetic(1e-30, 1e-30)
    # Four times resnet-8-4, of 5,006 parameters.
    expected = min(size for size in PARAMETER_GRID if size >= 4 * 5006)
    assert threshold.parameters.mean == pytest.approx(expected)
    assert threshold.smallest == expected == synthetic(3e5, 37).smallest
    assert threshold.epochs.mean == EPOCH_GRID[0]
    assert threshold.probability_past == 1.0


@pytest.mark.parametrize("family", ["resnet", "vgg"])
@pytest.mark.parametrize("members", [3, 4, 8])
def test_the_smallest_size_is_the_one_from_which_on_an_ensemble_exists_throughout(family, members):
    """By looking at one size at a time: the best single network of some has no equivalents."""

    def exists(size):
        rows = contestants(source(), family, members, [size], points(250))
        return any(designs.ensembles for (designs,) in rows)

    smallest = found(family, members, epochs=250).smallest
    assert all(exists(size) for size in PARAMETER_GRID if size >= smallest)
    assert not exists(max(size for size in PARAMETER_GRID if size < smallest))


def test_thresholds_are_listed_for_every_family_and_number_of_members_above_one():
    listed = thresholds(Crossing(1e5, 1), ["resnet", "vgg"], [1, 2, 4], budget=1e6, epochs=10)
    assert [(s.family, s.members) for s in listed] == [("resnet", 2), ("resnet", 4), ("vgg", 2), ("vgg", 4)]


GRID = [10, 100, 1000, 10_000]


@pytest.mark.parametrize(
    ("lead", "expected"),
    [
        ([1, 1, 1, 1], 10),
        ([-1, -1, -1, -1], np.inf),
        ([-1, 1, 1, 1], 10**1.5),
        ([-1, -1, 3, 1], 10**2.25),
        ([1, -1, 1, 1], 10**2.5),  # a win that does not last is no threshold
        ([1, 1, 1, -1], np.inf),
        ([-np.inf, -np.inf, 1, 1], 1000),
        ([0, 1, 1, 1], 10),
    ],
)
def test_a_threshold_lies_where_the_lead_turns_positive_for_good(lead, expected):
    assert crossing(np.array([lead], dtype=float), GRID)[0] == pytest.approx(expected)


def test_a_threshold_beyond_the_grid_is_none_and_counts_in_its_interval():
    draws = np.array([100.0] * 40 + [200.0] * 20 + [np.inf] * 40)
    assert Threshold.of_draws(draws) == Threshold(median=200.0, low=100.0, high=None, reached=0.6)


# Readings of the epochs.


def reading(name, *, epochs=250, curves=1):
    return source_of(name, predictor(), "cifar10", CIFAR10, family="resnet", epochs=epochs, curves=curves)


def test_the_predictor_reads_whole_schedules():
    assert reading("whole", curves=0).reading is ScheduleReading.WHOLE


def test_without_learning_curves_nothing_is_read_off_one_long_schedule():
    with pytest.raises(InfeasibleError, match="no learning curves are known"):
        reading("long", curves=0)
    with pytest.raises(UnknownNameError, match="whole"):
        reading("whol")


def test_a_long_schedule_ends_as_a_whole_one_and_has_more_error_before():
    networks = [RegularShape("resnet", 20, 16), RegularShape("resnet", 56, 8)]
    for members in (1, 4):
        long, whole = (
            reading(name).errors(networks, members, members, points(50, 150, 250))
            for name in ("long", "whole")
        )
        assert long.shape == whole.shape
        assert np.array_equal(long[:, :, 2], whole[:, :, 2])
        assert np.all(np.diff(long, axis=2) < 0)
        # Before the rate has fallen more than after a whole schedule of as many epochs.
        assert long[:, :, 0].mean() > whole[:, :, 0].mean()


def test_while_the_rate_is_high_averaging_gains_more():
    """So that read off one long schedule, ensembles take over after fewer epochs."""

    def gain(name):
        one, four = (reading(name).errors([RegularShape("resnet", 20, 16)], k, k, points(50)) for k in (1, 4))
        return float(np.log(one / four).mean())

    assert gain("long") > gain("whole")


@pytest.mark.parametrize(("members", "clusters", "epochs"), [(4, 1, 100), (4, 4, 251)])
def test_what_a_long_schedule_does_not_have_is_refused(members, clusters, epochs):
    with pytest.raises(UsageError):
        reading("long").errors([RegularShape("resnet", 20, 16)], members, clusters, points(epochs))
