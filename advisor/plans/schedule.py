"""Learning-rate schedules, and the rule that ends a training.

Every schedule has a most number of epochs, an expected number with its interval, a learning rate at any time,
and an answer to the question whether training is over. The answer depends on recorded training errors only,
so that a resumed training ends where an uninterrupted one does. `advisor.plans.recipes` chooses schedules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from advisor.errors import UsageError

WARMUP_EPOCHS = 1
MOST_EPOCHS = 1_000_000
# Epochs without a gain in training accuracy that end a training (MotherNets, section 3).
PATIENCE = 15


class _FixedLength:
    """Base of the schedules that run all their epochs."""

    __slots__ = ()
    epochs: int

    @property
    def expected_epochs(self) -> float:
        """Number of epochs that a price counts."""
        return float(self.epochs)

    @property
    def epoch_bounds(self) -> tuple[float, float]:
        """90 % interval of the number of epochs: it is certain."""
        return float(self.epochs), float(self.epochs)

    def finished(self, train_errors: list[float]) -> bool:
        """Return whether training ends after these epochs, given the training error of each."""
        return len(train_errors) >= self.epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSchedule(_FixedLength):
    """A learning rate that drops at fixed epochs.

    Attributes:
        epochs: number of epochs.
        rate: initial learning rate.
        drops: epochs at whose beginning the rate drops.
        factor: factor on the rate at a drop.
        warmup: whether the rate rises linearly from zero in the first epoch.
    """

    epochs: int
    rate: float
    drops: tuple[int, ...] = ()
    factor: float = 0.1
    warmup: bool = False

    def __post_init__(self) -> None:
        _check(self.epochs, self.rate)

    def rate_at(self, epoch: int, progress: float) -> float:
        """Return the learning rate in epoch 0, 1, … at the share `progress` of it, in [0, 1)."""
        rate = self.rate * self.factor ** sum(epoch >= drop for drop in self.drops)
        return rate * progress if self.warmup and epoch < WARMUP_EPOCHS else rate

    @property
    def text(self) -> str:
        """Words for the learning rate; a drop at the end of the schedule is left out."""
        drops = [str(drop) for drop in self.drops if drop < self.epochs]
        fall = f", times {self.factor:g} after {' and '.join(drops)} epochs" if drops else ""
        return f"rate {self.rate:g}{' after a warm-up' if self.warmup else ''}{fall}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineSchedule(_FixedLength):
    """A learning rate that falls to zero along half a cosine: a cycle of a Snapshot Ensemble.

    Source: Huang et al. 2017.

    Attributes:
        epochs: length of the cycle.
        rate: learning rate at its beginning.
    """

    epochs: int
    rate: float

    def __post_init__(self) -> None:
        _check(self.epochs, self.rate)

    def rate_at(self, epoch: int, progress: float) -> float:
        """Return the learning rate in epoch 0, 1, … at the share `progress` of it, in [0, 1)."""
        return self.rate * (1 + math.cos(math.pi * (epoch + progress) / self.epochs)) / 2

    @property
    def text(self) -> str:
        """Words for the learning rate."""
        return f"rate {self.rate:g} to 0 along a cosine"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateauSchedule:
    """Training to convergence: it ends when the training error has not improved for `patience` epochs.

    Source: MotherNets (MLSys 2020), section 3, where the learning rate is constant and the patience is 15.

    Attributes:
        epochs: most epochs.
        rate: initial learning rate.
        patience: number of epochs without improvement that end training.
        expected: number of epochs that a price counts; it changes nothing in training.
        warmup: whether a constant rate rises linearly from zero in the first epoch.
        low, high: 90 % interval of the number of epochs; None in plans of older programs.
        following: schedule of as many epochs whose learning rate is followed; None for a constant rate.
    """

    epochs: int
    rate: float
    patience: int = PATIENCE
    expected: float
    warmup: bool = False
    low: float | None = None
    high: float | None = None
    following: StepSchedule | CosineSchedule | None = None

    def __post_init__(self) -> None:
        _check(self.epochs, self.rate)
        check_patience(self.patience)
        followed = self.following
        if followed is not None and (followed.epochs, followed.rate) != (self.epochs, self.rate):
            raise UsageError(
                f"a schedule of {self.epochs} epochs from rate {self.rate} cannot follow one of "
                f"{followed.epochs} epochs from rate {followed.rate}"
            )
        if not self.epoch_bounds[0] <= self.expected_epochs <= self.epoch_bounds[1]:
            raise UsageError(
                f"the interval of the epochs, {self.low} to {self.high}, does not contain {self.expected}"
            )

    @property
    def expected_epochs(self) -> float:
        """Number of epochs that a price counts."""
        return min(self.expected, float(self.epochs))

    @property
    def epoch_bounds(self) -> tuple[float, float]:
        """90 % interval of the number of epochs; without width where none is known."""
        most = float(self.epochs)
        low, high = (self.expected if end is None else end for end in (self.low, self.high))
        return min(low, most), min(high, most)

    @property
    def text(self) -> str:
        """Words for the learning rate and the end."""
        warmup = " after a warm-up" if self.warmup else ""
        rate = f"rate {self.rate:g}{warmup}" if self.following is None else self.following.text
        return f"{rate}, until {self.patience} epoch{'s' * (self.patience != 1)} without a gain"

    def rate_at(self, epoch: int, progress: float) -> float:
        """Return the learning rate in epoch 0, 1, … at the share `progress` of it, in [0, 1)."""
        if self.following is not None:
            return self.following.rate_at(epoch, progress)
        return self.rate * progress if self.warmup and epoch < WARMUP_EPOCHS else self.rate

    def finished(self, train_errors: list[float]) -> bool:
        """Return whether training ends after these epochs, given the training error of each."""
        if len(train_errors) >= self.epochs:
            return True
        best = train_errors.index(min(train_errors)) if train_errors else 0
        return len(train_errors) - 1 - best >= self.patience


@dataclass(frozen=True, slots=True, kw_only=True)
class TriangleSchedule(_FixedLength):
    """A learning rate that rises and falls back: a cycle of FGE (Garipov et al. 2018, section 4).

    In the paper the rate falls first, and a network is taken where it is lowest. A cycle here runs from one
    of those points to the next.

    Attributes:
        epochs: length of the cycle.
        rate: learning rate in its middle.
        low: learning rate at both ends.
    """

    epochs: int
    rate: float
    low: float

    def __post_init__(self) -> None:
        _check(self.epochs, self.rate)
        if not 0 < self.low <= self.rate:
            raise UsageError(f"the lowest rate must be positive and at most {self.rate}, got {self.low}")

    def rate_at(self, epoch: int, progress: float) -> float:
        """Return the learning rate in epoch 0, 1, … at the share `progress` of it, in [0, 1)."""
        height = 1 - abs(2 * (epoch + progress) / self.epochs - 1)
        return self.low + (self.rate - self.low) * height

    @property
    def text(self) -> str:
        """Words for the learning rate."""
        return f"rate {self.low:g} to {self.rate:g} and back"


Schedule = StepSchedule | PlateauSchedule | CosineSchedule | TriangleSchedule


def _check(epochs: int, rate: float) -> None:
    if not 1 <= epochs <= MOST_EPOCHS:
        raise UsageError(f"training needs at least 1 epoch and at most {MOST_EPOCHS:,}, got {epochs}")
    if not 0 < rate < float("inf"):
        raise UsageError(f"the learning rate must be positive, got {rate}")


def check_patience(patience: int) -> None:
    """Refuse a number of epochs without a gain that is not positive.

    Raises:
        UsageError: it is below 1, or beyond any schedule.
    """
    if not 1 <= patience <= MOST_EPOCHS:
        raise UsageError(f"the patience must be at least 1 epoch and at most {MOST_EPOCHS:,}, got {patience}")
