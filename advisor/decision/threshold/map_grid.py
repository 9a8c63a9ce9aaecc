"""The axes of a switchover map: budgets as rows; as columns, numbers of epochs or of training images.

Where the columns are epochs, the number of images is the same in the whole map, and the other way round. A
column is a `Point`, so equal budgets, epochs and images are the same comparison on either kind of map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from advisor.decision.threshold.contest import contest, contestants
from advisor.decision.threshold.error_source import ErrorSource, Point
from advisor.decision.threshold.switchover import PARAMETER_GRID, Threshold, crossing
from advisor.designs.space import smallest_network
from advisor.errors import InfeasibleError, UsageError
from advisor.plans.recipes.table import recipe_of

# Points along an axis whose ends are given: as many as fit into a terminal of 80 columns.
POINTS = 10
# The default grid, in octaves around the threshold, around the published schedule and around the images that
# the data set has. A thirtieth of that schedule is too short for any ensemble; thresholds are known to a
# factor of two to four at best.
BUDGET_OCTAVES = range(4, -5, -1)
EPOCH_OCTAVES = range(-5, 2)
IMAGE_OCTAVES = range(-4, 3)
# Middle of the budgets where no threshold is predicted.
USUAL_BUDGET = 1e6
Range = tuple[int, int]


class Axis(StrEnum):
    """What the columns of a map are."""

    EPOCHS = "epochs"
    IMAGES = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Axes of a map.

    Attributes:
        budgets: total parameters, rising.
        axis: what the columns are.
        epochs: numbers of epochs, rising; one number if images are the columns.
        images: numbers of training images, rising; one number if epochs are the columns.
        dataset_images: training images of the data set.
        schedule: number of epochs, one of `epochs`, after which the single network has the error that the
            ensembles are to reach: the last epoch of a long schedule; of whole schedules the published one if
            the axis contains it, else the longest.
    """

    budgets: tuple[int, ...]
    axis: Axis = Axis.EPOCHS
    epochs: tuple[int, ...]
    images: tuple[int, ...]
    dataset_images: int
    schedule: int

    @property
    def columns(self) -> tuple[int, ...]:
        """Numbers of epochs, or of images."""
        return self.epochs if self.axis is Axis.EPOCHS else self.images

    @property
    def reference_column(self) -> int:
        """Position of the column that sentences are about.

        It is the schedule; of images, those that the data set has, or the most.
        """
        if self.axis is Axis.EPOCHS:
            return self.epochs.index(self.schedule)
        has_all = self.dataset_images in self.images
        return self.images.index(self.dataset_images) if has_all else len(self.images) - 1

    @property
    def points(self) -> tuple[Point, ...]:
        """The training of each column."""
        return self.points_of(self.epochs)

    def points_of(self, epochs: Sequence[int]) -> tuple[Point, ...]:
        """Return the training of each column with other numbers of epochs, as many as `epochs` has."""
        shares = [number / self.dataset_images for number in self.images]
        return tuple(Point(length, share) for length in epochs for share in shares)


def grid_of(
    source: ErrorSource,
    family: str,
    members: int,
    *,
    dataset_images: int,
    axis: Axis = Axis.EPOCHS,
    budget: Range | None = None,
    epochs: Range | None = None,
    images: Range | None = None,
) -> Grid:
    """Return the axes of a map.

    Args:
        source: source of the errors.
        family: family of all designs.
        members: k.
        dataset_images: training images of the data set.
        axis: what the columns are.
        budget: first and last total parameters; by default octaves around the predicted threshold.
        epochs: first and last number of epochs; by default octaves around the published schedule, or this
            schedule alone.
        images: first and last number of images; by default those of the data set, or octaves around them.

    Raises:
        UsageError: a range of what is no axis, or one long schedule along an axis of images.
        InfeasibleError: the lowest budget is too small for a network.
    """
    lengths, schedule = _epochs(source, family, axis, epochs)
    counts = _images(source, axis, images, dataset_images)
    reference = dataset_images if dataset_images in counts else counts[-1]
    point = Point(schedule, reference / dataset_images)
    sizes = _log_spaced(*budget) if budget else _usual_budgets(source, family, members, point)
    smallest, name = smallest_network(family, source.task)
    if sizes[0] < smallest:
        raise InfeasibleError(
            f"no {family} fits {sizes[0]:,} parameters for {source.task.text} and {source.task.classes} "
            f"classes: the smallest, {name}, has {smallest:,}"
        )
    return Grid(
        budgets=sizes,
        axis=axis,
        epochs=lengths,
        images=counts,
        dataset_images=dataset_images,
        schedule=schedule,
    )


def _epochs(
    source: ErrorSource, family: str, axis: Axis, epochs: Range | None
) -> tuple[tuple[int, ...], int]:
    """Return the numbers of epochs, and the schedule among them."""
    reference = recipe_of(family, source.dataset).reference_epochs
    if axis is Axis.IMAGES:
        if source.last_epoch is not None:
            raise UsageError(
                "--axis images trains a whole schedule at every number of images: leave out --reading long"
            )
        number = _one(epochs or (reference, reference), "--epochs", Axis.EPOCHS)
        return (number,), number
    lengths = tuple(max(round(reference * 2.0**octave), 1) for octave in EPOCH_OCTAVES)
    if epochs:
        lengths = _log_spaced(*epochs)
    if source.last_epoch is not None:
        # A long schedule has no epochs after its last.
        lengths = (*(e for e in lengths if e < source.last_epoch), source.last_epoch)
    schedule = lengths[-1]
    if source.last_epoch is None and lengths[0] <= reference <= lengths[-1]:
        schedule = reference
    return tuple(sorted({*lengths, schedule})), schedule


def _images(source: ErrorSource, axis: Axis, images: Range | None, dataset_images: int) -> tuple[int, ...]:
    """Return the numbers of training images."""
    classes = source.task.classes
    if images and images[0] < classes:
        raise UsageError(
            f"--images: {classes} classes need {classes} training images or more, got {images[0]:,}"
        )
    if axis is Axis.EPOCHS:
        return (_one(images or (dataset_images, dataset_images), "--images", Axis.IMAGES),)
    if images is None:
        octaves = (round(dataset_images * 2.0**octave) for octave in IMAGE_OCTAVES)
        return tuple(sorted({max(number, classes) for number in octaves}))
    low, high = images
    within = {dataset_images} if low <= dataset_images <= high else set()
    return tuple(sorted({*_log_spaced(low, high), *within}))


def _one(numbers: Range, option: str, axis: Axis) -> int:
    if numbers[0] != numbers[1]:
        raise UsageError(
            f"{option}: a range is for --axis {axis}, got {numbers[0]}-{numbers[1]}: write one number"
        )
    return numbers[0]


def _usual_budgets(source: ErrorSource, family: str, members: int, point: Point) -> tuple[int, ...]:
    """Return octaves around the threshold of a training, none below the size of the smallest ensemble.

    A small budget may still have no ensemble, because the best single network there need not have
    equivalents.
    """
    rows = contestants(source, family, members, PARAMETER_GRID.tolist(), [point])
    lead = contest(source, rows, members, members, [point]).lead()[:, :, 0]
    budgets = [designs.budget for (designs,) in rows]
    middle = Threshold.of_draws(crossing(lead, budgets)).median or USUAL_BUDGET
    least = members * smallest_network(family, source.task)[0]
    middle = max(middle, least * 2.0 ** max(BUDGET_OCTAVES))
    # Rounding may lead below the smallest ensemble.
    return tuple(sorted(max(_rounded(middle * 2.0**octave), least) for octave in BUDGET_OCTAVES))


def _log_spaced(low: int, high: int) -> tuple[int, ...]:
    """Return at most `POINTS` whole numbers from low to high, evenly spaced in the logarithm."""
    between = (_rounded(x) for x in np.geomspace(low, high, POINTS)[1:-1])
    return tuple(sorted({low, high, *(x for x in between if low < x < high)}))


def _rounded(value: float) -> int:
    """Return a whole number with two significant digits."""
    return int(float(f"{value:.1e}"))
