"""A point has the same designs and the same verdict however a map is asked for."""

from functools import cache

import numpy as np
import pytest

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.threshold.contest import contest, contestants
from advisor.decision.threshold.epoch_axis import OneLongSchedule, WholeSchedules
from advisor.decision.threshold.error_source import Point
from advisor.decision.threshold.map_grid import Axis, Grid
from advisor.decision.threshold.switchover import EPOCH_GRID, PARAMETER_GRID, Threshold, switchover
from advisor.decision.threshold.switchover_map import switchover_map, switchover_rows
from advisor.designs.equivalents import equivalents_within
from advisor.networks.layers import Task

DIGITS = Task(channels=1, height=8, width=8, classes=10)
IMAGES = 1000
BUDGETS = (79_000, 2_000_000)


@cache
def predictor():
    return AccuracyPredictor(["mine"])


@cache
def source(reading="whole"):
    if reading == "whole":
        return WholeSchedules(predictor(), "mine", DIGITS)
    return OneLongSchedule(predictor(), "mine", DIGITS, "resnet", 250)


def grid(epochs, images=(IMAGES,), budgets=BUDGETS):
    axis = Axis.IMAGES if len(images) > 1 else Axis.EPOCHS
    return Grid(
        budgets=budgets,
        axis=axis,
        epochs=epochs,
        images=images,
        dataset_images=IMAGES,
        schedule=epochs[-1],
    )


def cells(reading, asked, clusters=4):
    """Designs, better class and chance of every budget, by epochs and images."""
    rows = switchover_rows(source(reading), "resnet", 4, asked)
    found = switchover_map(source(reading), rows, asked, 4, clusters)
    points = [(p.epochs, round(p.image_share * IMAGES)) for p in asked.points]
    return {
        (row[j].budget, *point): (row[j], found.better[i][j], found.probabilities[i][j])
        for i, row in enumerate(rows)
        for j, point in enumerate(points)
    }


ASKED = {
    "whole": [grid((12, 60, 250)), grid((60,)), grid((4, 60)), grid((60,), images=(100, IMAGES, 3000))],
    "long": [grid((12, 60, 250)), grid((60,)), grid((60, 61))],
}


@pytest.mark.parametrize(("reading", "clusters"), [("whole", 4), ("whole", 1), ("long", 4)])
def test_a_point_has_the_same_designs_and_chance_however_it_is_asked_for(reading, clusters):
    maps = [cells(reading, asked, clusters) for asked in ASKED[reading]]
    for budget in BUDGETS:
        first, *others = (found[budget, 60, IMAGES] for found in maps)
        assert len(others) == len(ASKED[reading]) - 1
        for designs, better, chance in others:
            assert (designs, better) == first[:2]
            assert chance == pytest.approx(first[2], rel=1e-9)


@pytest.mark.parametrize("reading", ["whole", "long"])
def test_the_single_network_of_every_number_of_epochs_is_the_best_there(reading):
    """By looking at one number of epochs at a time; few epochs have another network than many."""
    points = [Point(epochs) for epochs in (4, 60, 250)]
    (row,) = contestants(source(reading), "resnet", 4, [79_000], points)
    every = [e.single for e in equivalents_within(79_000, "resnet", 4, DIGITS)]
    for designs, point in zip(row, points, strict=True):
        means = source(reading).errors(every, 1, 1, [point]).mean(axis=(0, 2))
        assert designs.single.shape == every[int(means.argmin())]
    assert row[0].single.depth < row[-1].single.depth


def test_a_longer_axis_never_makes_the_single_network_worse_than_one_for_all_epochs():
    points = [Point(epochs) for epochs in (4, 60, 250)]
    rows = contestants(source(), "resnet", 4, BUDGETS, points)
    errors = contest(source(), rows, 4, 4, points).single.mean(axis=0)
    for i, row in enumerate(rows):
        for_all = source().errors([row[-1].single.shape], 1, 1, points).mean(axis=0)[0]
        assert np.all(errors[i] <= for_all + 1e-12)
        assert errors[i, 0] < for_all[0]


def test_the_thresholds_of_a_recommendation_are_those_of_the_map():
    known = switchover(source(), "resnet", 4, budget=2e6, epochs=60)
    sizes = tuple(int(size) for size in PARAMETER_GRID if size >= 20_000)
    by_size, by_length = grid((60,), budgets=sizes), grid(EPOCH_GRID, budgets=(2_000_000,))
    found = [
        switchover_map(source(), switchover_rows(source(), "resnet", 4, g), g, 4, 4)
        for g in (by_size, by_length)
    ]
    ends = [(found[0].parameters[0], PARAMETER_GRID[-1]), (found[1].epochs[0], EPOCH_GRID[-1])]
    for threshold, (own, end) in zip((known.parameters, known.epochs), ends, strict=True):
        assert isinstance(own, Threshold)
        # Both interpolate between points of their grids.
        assert threshold.mean == pytest.approx(own.median or end, rel=0.06)


def test_fewer_images_leave_more_error_and_more_images_less():
    points = [Point(60, share) for share in (0.1, 1.0, 4.0)]
    rows = contestants(source(), "resnet", 4, [2e6], points)
    for clusters in (4, 1):
        found = contest(source(), rows, 4, clusters, points)
        for errors in (found.single, found.ensemble()):
            assert np.all(np.diff(errors.mean(axis=0)[0]) < 0)
