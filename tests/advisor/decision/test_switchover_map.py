"""The map of budgets and epochs: its cells by brute force, its thresholds and its grid."""

from functools import cache

import numpy as np
import pytest

from advisor.accuracy.noise import RATIO_STD
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.threshold.epoch_axis import WholeSchedules
from advisor.decision.threshold.error_source import Point, ScheduleReading
from advisor.decision.threshold.map_grid import BUDGET_OCTAVES, POINTS, Grid, grid_of
from advisor.decision.threshold.switchover_map import (
    check_members,
    equal_time,
    switchover_map,
    switchover_rows,
)
from advisor.designs.design import DesignClass
from advisor.errors import InfeasibleError, UsageError
from advisor.networks.layers import Task
from advisor.networks.regular_counts import DEPTH_LIMIT, regular_counts
from advisor.plans.methods import HATCHED_SHARE

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
IMAGES = 45_000


def grid_by_epochs(budgets, epochs, schedule, images=IMAGES):
    return Grid(budgets=budgets, epochs=epochs, images=(images,), dataset_images=IMAGES, schedule=schedule)


GRID = grid_by_epochs((15_000, 300_000, 2_000_000, 16_000_000), (10, 60, 250), 250)


@cache
def source():
    return WholeSchedules(AccuracyPredictor([]), "cifar10", CIFAR10)


@cache
def rows(members=4):
    return switchover_rows(source(), "resnet", members, GRID)


@cache
def mapped(members=4, clusters=4):
    return switchover_map(source(), rows(members), GRID, members, clusters)


def drawn(row, kind, epochs, clusters=4):
    """Draws of the error of a class at one cell, one network at a time."""
    if kind is DesignClass.SINGLE:
        return source().errors([row.single.shape], 1, 1, [Point(epochs)])[:, 0, 0]
    return source().errors([row.ensembles[kind].shape], 4, clusters, [Point(epochs)])[:, 0, 0]


@pytest.mark.parametrize("clusters", [4, 1])
def test_every_cell_agrees_with_brute_force_over_draws(clusters):
    found = mapped(clusters=clusters)
    # Seeds of independent members average out; those of one mother's members do so in part.
    seeds = source().predictor.seed_stds["cifar10"]
    stds = np.hypot(RATIO_STD, [seeds / np.sqrt(clusters), seeds])
    noise = np.random.default_rng(0).normal(0, stds[:, None, None], (2, 200, 1))
    for i, row_of_all in enumerate(rows()):
        for j, epochs in enumerate(GRID.epochs):
            row = row_of_all[j]
            single = drawn(row, DesignClass.SINGLE, epochs)
            others = {kind: drawn(row, kind, epochs, clusters) for kind in row.ensembles}
            if not others:
                assert (found.probabilities[i][j], found.better[i][j]) == (None, None)
                continue
            best = min(others, key=lambda kind: others[kind].mean())
            assert found.better[i][j] is best
            # Trainings simulated with their noise, 200 a draw.
            wins = others[best][None] * np.exp(noise[0]) < single[None] * np.exp(noise[1])
            assert found.probabilities[i][j] == pytest.approx(wins.mean(), abs=0.05)
            likelier = best if found.probabilities[i][j] > 0.5 else DesignClass.SINGLE
            assert found.likelier[i][j] is likelier


def test_a_budget_that_holds_no_ensemble_is_no_win():
    assert mapped().probabilities[0] == (None,) * 3
    assert mapped().epochs[0].median is None


def test_more_members_switch_later():
    for many, few in zip(mapped(8, 8).parameters, mapped(4, 4).parameters, strict=True):
        assert (many.median or np.inf) >= (few.median or np.inf)
    at_the_end = [mapped(k, k).parameters[-1].median for k in (2, 4, 8)]
    assert at_the_end == sorted(at_the_end)


def test_members_of_one_mother_switch_later_at_equal_epochs():
    independent, hatched = mapped(clusters=4), mapped(clusters=1)
    for one, other in zip(independent.probabilities[1:], hatched.probabilities[1:], strict=True):
        # Hatched members vary more between seeds, which helps where the chance is below a thousandth.
        assert all(b <= a + 1e-3 for a, b in zip(one, other, strict=True))


def test_fast_training_in_the_time_of_full_data_by_hand():
    # One mother and four members at a share of its epochs: 1 + 4·0.3 epochs instead of 4.
    assert equal_time([100], 4, 1) == (round(400 / (1 + 4 * HATCHED_SHARE)),)
    # Three clusters of four members: two alone, a mother, and its two members.
    assert equal_time([100], 4, 3) == (round(400 / (3 + 2 * HATCHED_SHARE)),)
    assert equal_time([7, 100], 4, 4) == (7, 100)


class Known:
    """Errors N^(−1/4)/t of a network of N parameters after t epochs; four together have 60 % of one's.

    Four members of N/4 each thus have 0.6·4^(1/4) = 0.8485 of the single network's error: at every size
    and length they win, and reach its final error after that share of its epochs.
    """

    reading, task, last_epoch = ScheduleReading.WHOLE, CIFAR10, None
    dataset = "toy"

    def errors(self, networks, members, clusters, points):
        epochs = [point.epochs for point in points]
        counts = regular_counts(networks[0].family, CIFAR10, DEPTH_LIMIT)
        sizes = np.array([counts.parameters(n.depth, n.width) for n in networks], dtype=float)
        error = sizes[:, None] ** -0.25 / np.array(epochs)[None] * (0.6 if members > 1 else 1)
        return np.tile(error, (3, 1, 1))

    def probability_below(self, errors, reference, members, clusters):
        return float(np.mean(errors < reference))


def test_time_to_single_accuracy_by_hand():
    grid = grid_by_epochs((4_000_000, 40_000_000), (10, 50, 100, 200), 100)
    found = switchover_map(Known(), switchover_rows(Known(), "resnet", 4, grid), grid, 4, 4)
    for threshold in found.to_single_error:
        assert threshold.low == threshold.median == threshold.high
        # Whole widths leave some parameters of the budget unused.
        assert threshold.median == pytest.approx(100 * 0.6 * 4**0.25, rel=0.03)
    assert [t.median for t in found.epochs] == [10, 10]
    assert [t.median for t in found.parameters] == [4_000_000] * 4


def test_one_budget_or_one_length_has_no_threshold_along_it():
    grid = grid_by_epochs((1_000_000,), (100,), 100)
    found = switchover_map(Known(), switchover_rows(Known(), "resnet", 4, grid), grid, 4, 4)
    assert (found.parameters, found.epochs, found.to_single_error) == ((), (), ())
    assert found.probabilities == ((1.0,),)


# The grid.


def test_the_default_grid_lies_around_the_threshold_and_the_published_schedule():
    grid = grid_of(source(), "resnet", 4, dataset_images=IMAGES)
    assert grid.budgets[0] < 1.25e6 / 4 < 1.25e6 * 4 < grid.budgets[-1]
    assert grid.epochs[0] < 250 < grid.epochs[-1]
    assert grid.schedule == 250
    assert all(row[grid.reference_column].ensembles for row in switchover_rows(source(), "resnet", 4, grid))


@pytest.mark.parametrize("members", [pytest.param(2, marks=pytest.mark.slow), 3, 4, 8])
def test_the_default_grid_begins_where_its_least_budget_holds_an_ensemble(members):
    # Members always win, so that it begins at the least ensemble: four times 5,006 are 20,024, not 20,000.
    grid = grid_of(Known(), "resnet", members, dataset_images=IMAGES)
    assert grid.budgets[0] >= members * 5006
    assert len(set(grid.budgets)) == len(BUDGET_OCTAVES)
    assert switchover_rows(Known(), "resnet", members, grid)[0][grid.reference_column].ensembles


def test_a_grid_keeps_its_ends_and_holds_the_schedule():
    grid = grid_of(
        source(), "resnet", 4, dataset_images=IMAGES, budget=(123_456, 7_654_321), epochs=(20, 300)
    )
    assert (grid.budgets[0], grid.budgets[-1]) == (123_456, 7_654_321)
    assert (grid.epochs[0], grid.epochs[-1], grid.schedule) == (20, 300, 250)
    assert 250 in grid.epochs
    assert len(grid.budgets) == POINTS
    ratios = np.diff(np.log(grid.budgets))
    assert ratios.max() / ratios.min() < 1.3
    narrow = {"dataset_images": IMAGES, "budget": (10**6, 10**6)}
    assert grid_of(source(), "resnet", 4, epochs=(20, 30), **narrow).schedule == 30
    assert grid_of(source(), "resnet", 4, epochs=(1, 3), **narrow).epochs == (1, 2, 3)


def test_a_grid_that_begins_below_every_network_is_refused():
    with pytest.raises(InfeasibleError, match="the smallest, resnet-8-4, has 5,006"):
        grid_of(source(), "resnet", 4, dataset_images=IMAGES, budget=(10, 10**6))


@pytest.mark.parametrize(("members", "clusters"), [(1, 1), (0, 1), (257, 1), (4, 5), (4, 0)])
def test_ensembles_that_cannot_be_compared_are_refused(members, clusters):
    with pytest.raises(UsageError, match="members"):
        check_members(members, clusters)
