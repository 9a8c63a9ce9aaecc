"""The level of networks' errors on a data set, foretold from the errors of simple classifiers.

Notation: m is the least error of the simple classifiers, counted on validation images after they learned from
n_0 images. n is the number of images that a network is trained on, and e its test error.

    log e = a + b log m - eta log(n / n_0)

The deviation of log e has independent parts: that between data sets, that between networks on one data set,
that of the count m, and that of the exponent eta.

The constants a and b, and the first two deviations, are those of benchmarks/trainings/data_level.py. They
are fitted to trainings on eleven sets of small images of five origins (results/data_level-cpu.json). Beside
the noise of counting, sets that were left out of the fit hardly lie off the line: five origins do not tell
their deviation from 0, and its prior, which is chosen, decides it. Networks have 0.1 to 1 million parameters
and a whole schedule there. A smaller network, or a shorter schedule, has more error.

Where objects move over clutter, all simple classifiers fail and networks do not: on a set that was made for
this purpose, and stands outside the fit, networks have a quarter of the foretold error. What gives such data
away is that classifiers of single pixels do little better than chance. There the deviation between data sets
is `MOVING_STD`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from advisor.estimate import Z
from advisor.plans.dataset import DatasetFacts

A, B = 0.295, 1.052
DATASET_STD, NETWORK_STD = 0.195, 0.074
# Chosen: the one such set lies 1.4 below, at the end of the interval. Objects are taken to move where the
# least error in pixels is at least this share of chance: 0.85 there, and 0.02 to 0.5 on the sets of the fit.
MOVING_STD, MOVING_SHARE = 0.9, 0.6
IN_PIXELS = ("neighbours", "linear")
# Errors of networks fall with this power of the number of images: a third to a half for images (Hestness et
# al. 2017). The networks of the grid have 0.17 on Fashion-MNIST, from 400 to 4,000 images. The deviation is
# chosen, so that both are likely.
ETA, ETA_STD = 0.35, 0.15
# Steps of the schedules that the constants are fitted to; they have 650 to 1,100.
STEPS = 1000


@dataclass(frozen=True, slots=True)
class CountedError:
    """Wrong answers of a classifier.

    Attributes:
        wrong: number of images that it got wrong.
        images: number of images that it was measured on.
    """

    wrong: int
    images: int

    @property
    def share(self) -> float:
        """The error."""
        return self.wrong / self.images

    @property
    def standard_error(self) -> float:
        """Standard error of the counted share, which is 0 only where a count of half an image is."""
        share = self._half_more
        return math.sqrt(share * (1 - share) / self.images)

    @property
    def log_share(self) -> float:
        """Logarithm of the error; half an image more is counted, so that no error has one too."""
        return math.log(self._half_more)

    @property
    def log_std(self) -> float:
        """Standard deviation of the logarithm of the error, from counting alone."""
        return self.standard_error / self._half_more

    @property
    def _half_more(self) -> float:
        return (self.wrong + 0.5) / (self.images + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Errors of simple classifiers on a data set, as they were counted.

    Attributes:
        data_key: name that equal data share (`advisor.plans.dataset.DatasetFacts.key`).
        errors: errors on validation images by name of the classifier, at least one.
        train_images: number of images that the classifiers learned from.
        seed: random seed of the images and of the classifiers.
        looked_at: time in UTC, ISO 8601.
    """

    data_key: str
    errors: Mapping[str, CountedError]
    train_images: int
    seed: int
    looked_at: str

    def __post_init__(self) -> None:
        if not self.data_key or not self.errors:
            raise ValueError("a look must have a data set and at least one error")
        if self.train_images < 1 or self.seed < 0:
            raise ValueError(
                "a look must have at least 1 training image and a seed of at least 0, got "
                f"{self.train_images} and {self.seed}"
            )
        for name, error in self.errors.items():
            if not 0 <= error.wrong <= error.images or error.images < 1:
                raise ValueError(
                    f"errors of {name!r:.40} must be among its images, got {error.wrong} of {error.images}"
                )

    def level(self, facts: DatasetFacts, train_images: int) -> DataLevel:
        """Return what these errors say about networks on a data set.

        Args:
            facts: facts of the data set.
            train_images: number of images that the networks are trained on.
        """
        counted = tuple(self.errors.values())
        return DataLevel(
            dataset=facts.learned_as,
            classes=facts.task.classes,
            error=level_of(
                counted,
                look_images=self.train_images,
                train_images=train_images,
                moving=objects_move(self.errors, facts.task.classes),
            ),
            epochs=STEPS * facts.batch / train_images,
        )


@dataclass(frozen=True, slots=True)
class ErrorLevel:
    """Error of a network on a data set, before anything was trained on it.

    Attributes:
        log_mean: mean of the logarithm of the error.
        log_std: standard deviation of the logarithm of the error.
    """

    log_mean: float
    log_std: float

    @property
    def median(self) -> float:
        """Median of the error, a share."""
        return min(math.exp(self.log_mean), 1.0)

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 90 % interval of the error, shares of at most 1."""
        low, high = (math.exp(self.log_mean + sign * Z * self.log_std) for sign in (-1, 1))
        return min(low, 1.0), min(high, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataLevel:
    """What simple classifiers foretell of a data set.

    Attributes:
        dataset: name that errors on the data are learned under.
        classes: number of classes.
        error: error of a network.
        epochs: length of the schedules that the error belongs to.
    """

    dataset: str
    classes: int
    error: ErrorLevel
    epochs: float


def objects_move(errors: Mapping[str, CountedError], classes: int) -> bool:
    """Return whether classifiers of single pixels are hardly better than chance, so that a level is unsure.

    Args:
        errors: errors of the simple classifiers by name.
        classes: number of classes.
    """
    shares = [errors[name].share for name in IN_PIXELS if name in errors]
    return bool(shares) and min(shares) >= MOVING_SHARE * (1 - 1 / classes)


def level_of(
    errors: Sequence[CountedError], *, look_images: int, train_images: int, moving: bool = False
) -> ErrorLevel:
    """Return what the errors of simple classifiers say about the error of a network.

    Args:
        errors: errors of the simple classifiers on validation images, at least one.
        look_images: number of images that the simple classifiers learned from.
        train_images: number of images that a network is trained on.
        moving: whether objects move (`objects_move`).
    """
    least = min(errors, key=lambda error: error.log_share)
    more = math.log(train_images / look_images)
    between = MOVING_STD if moving else DATASET_STD
    return ErrorLevel(
        A + B * least.log_share - ETA * more,
        math.sqrt(between**2 + NETWORK_STD**2 + (B * least.log_std) ** 2 + (ETA_STD * more) ** 2),
    )
