"""The axes of a map: numbers of images as columns, and thresholds along them by hand."""

import numpy as np
import pytest

from advisor.decision.threshold.error_source import Point, ScheduleReading
from advisor.decision.threshold.map_grid import IMAGE_OCTAVES, POINTS, Axis, grid_of
from advisor.decision.threshold.switchover_map import switchover_map, switchover_rows
from advisor.errors import UsageError
from advisor.networks.layers import Task
from advisor.plans.recipes.table import RECIPES

TASK = Task(channels=3, height=32, width=32, classes=10)
IMAGES = 8000
BUDGET = (1_000_000, 4_000_000)


class Scarce:
    """Members beat one network from 2,000 images on, whatever their size."""

    reading, task, last_epoch = ScheduleReading.WHOLE, TASK, None
    dataset = "toy"

    def errors(self, networks, members, clusters, points):
        shares = np.array([point.image_share for point in points])
        lead = 0.1 * np.log(shares * IMAGES / 2000) if members > 1 else 0 * shares
        return np.tile(0.5 * np.exp(-lead), (3, len(networks), 1))

    def probability_below(self, errors, reference, members, clusters):
        return float(np.mean(errors < reference))


class Long(Scarce):
    reading, last_epoch = ScheduleReading.LONG, 100


def asked(source=None, axis=Axis.IMAGES, budget=BUDGET, **ranges):
    return grid_of(source or Scarce(), "resnet", 4, dataset_images=IMAGES, axis=axis, budget=budget, **ranges)


def test_by_default_images_lie_around_those_of_the_data_set_after_the_published_schedule():
    grid = asked()
    assert grid.images == tuple(IMAGES * 2.0**octave for octave in IMAGE_OCTAVES)
    assert (grid.epochs, grid.schedule) == ((RECIPES["resnet"].reference_epochs,), 250)
    assert grid.columns == grid.images
    assert grid.columns[grid.reference_column] == IMAGES
    assert grid.points[grid.reference_column] == Point(250, 1.0)


def test_a_range_of_images_keeps_its_ends_and_holds_those_of_the_data_set():
    grid = asked(images=(300, 20_001), epochs=(60, 60))
    assert (grid.images[0], grid.images[-1], grid.epochs) == (300, 20_001, (60,))
    assert IMAGES in grid.images
    assert len(grid.images) == POINTS + 1
    beyond = asked(images=(10_000, 20_000))
    assert beyond.columns[beyond.reference_column] == 20_000


def test_a_small_data_set_has_no_column_of_fewer_images_than_classes():
    assert grid_of(Scarce(), "resnet", 4, dataset_images=30, axis=Axis.IMAGES, budget=BUDGET).images == (
        10,
        15,
        30,
        60,
        120,
    )


def test_a_map_of_epochs_may_be_on_another_number_of_images():
    grid = asked(axis=Axis.EPOCHS, images=(2000, 2000), epochs=(10, 20))
    assert {point.image_share for point in grid.points} == {0.25}
    assert asked(axis=Axis.EPOCHS).images == (IMAGES,)


def test_the_threshold_in_images_by_hand():
    grid = asked(images=(500, 16_000))
    rows = switchover_rows(Scarce(), "resnet", 4, grid)
    found = switchover_map(Scarce(), rows, grid, 4, 4)
    assert [t.median for t in found.images] == pytest.approx([2000] * len(grid.budgets), rel=1e-6)
    assert (found.epochs, found.to_single_error) == ((), ())
    # Below 2,000 images no size has a winning ensemble, above all have.
    reached = [threshold.reached for threshold in found.parameters]
    assert reached == [float(images > 2000) for images in grid.images]
    one = asked(images=(500, 500))
    assert switchover_map(Scarce(), switchover_rows(Scarce(), "resnet", 4, one), one, 4, 4).images == ()


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"epochs": (10, 20)}, "--epochs: a range is for --axis epochs, got 10-20"),
        ({"images": (5, 100)}, "10 classes need 10 training images or more, got 5"),
        ({"axis": Axis.EPOCHS, "images": (50, 100)}, "--images: a range is for --axis images"),
        ({"source": Long()}, "leave out --reading long"),
    ],
)
def test_what_is_no_axis_has_one_number(request_, says):
    with pytest.raises(UsageError, match=says):
        asked(**request_)
