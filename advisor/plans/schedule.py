"""Learning-rate schedules and the published training settings, scaled to any number of epochs.

Source: "More or Less" (ICLR 2021), appendix A; the plateau rule is that of MotherNets (MLSys 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from advisor.errors import UsageError, require_entries
from advisor.networks.families import FAMILIES

WARMUP_EPOCHS = 1
MOST_EPOCHS = 1_000_000


class _FixedLength:
    """Base of the schedules that run all their epochs."""

    __slots__ = ()
    epochs: int

    @property
    def expected_epochs(self) -> float:
        """Number of epochs that a price counts."""
        return float(self.epochs)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateauSchedule:
    """A constant learning rate until the training error has not improved for `patience` epochs.

    Attributes:
        epochs: most epochs.
        rate: learning rate.
        patience: number of epochs without improvement that end training.
        expected: number of epochs that a price counts.
        warmup: whether the rate rises linearly from zero in the first epoch.
    """

    epochs: int
    rate: float
    patience: int = 15
    expected: float
    warmup: bool = False

    def __post_init__(self) -> None:
        _check(self.epochs, self.rate)

    @property
    def expected_epochs(self) -> float:
        """Number of epochs that a price counts."""
        return min(self.expected, float(self.epochs))

    def rate_at(self, epoch: int, progress: float) -> float:
        """Return the learning rate in epoch 0, 1, … at the share `progress` of it, in [0, 1)."""
        return self.rate * progress if self.warmup and epoch < WARMUP_EPOCHS else self.rate

    def finished(self, train_errors: list[float]) -> bool:
        """Return whether training ends after these epochs, given the training error of each."""
        if len(train_errors) >= self.epochs:
            return True
        best = train_errors.index(min(train_errors)) if train_errors else 0
        return len(train_errors) - 1 - best >= self.patience


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


Schedule = StepSchedule | PlateauSchedule | CosineSchedule | TriangleSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Published training settings of a family: SGD with momentum.

    Attributes:
        rate: initial learning rate.
        hatched_rate: initial learning rate of members hatched from a mother network.
        drops: shares of the epochs after which the learning rate is divided by 10.
        weight_decay: weight decay of all weights.
        momentum: momentum of SGD.
        reference_epochs: length of the published CIFAR-10 schedule.
    """

    rate: float = 0.1
    hatched_rate: float = 0.1
    drops: tuple[float, ...]
    weight_decay: float
    momentum: float = 0.9
    reference_epochs: int

    def schedule(self, epochs: int, *, rate: float | None = None, warmup: bool = False) -> StepSchedule:
        """Return the published schedule, scaled to a number of epochs.

        Args:
            epochs: number of epochs.
            rate: initial learning rate; None: the published one.
            warmup: whether the rate rises linearly from zero in the first epoch.
        """
        return StepSchedule(
            epochs=epochs,
            rate=self.rate if rate is None else rate,
            # At least one epoch runs at the full rate, however short the schedule.
            drops=tuple(max(round(share * epochs), 1) for share in self.drops),
            warmup=warmup,
        )


_RESNET = Recipe(drops=(0.4, 0.8), weight_decay=1e-4, reference_epochs=250)

RECIPES: dict[str, Recipe] = {
    "resnet": _RESNET,
    "wrn": Recipe(drops=(0.5, 1.0), weight_decay=1e-4, reference_epochs=200),
    # MotherNets hatches DenseNets at 0.01. On short schedules they then remain copies of their mother (ADR
    # 10).
    "densenet": Recipe(drops=(0.5, 0.75), weight_decay=1e-3, reference_epochs=120),
    # Nothing is published for these two at this scale: they take ResNet's settings.
    "vgg": _RESNET,
    "mlp": _RESNET,
}
require_entries("advisor/plans/schedule.py: RECIPES", RECIPES, FAMILIES)


def _check(epochs: int, rate: float) -> None:
    if not 1 <= epochs <= MOST_EPOCHS:
        raise UsageError(f"training needs at least 1 epoch and at most {MOST_EPOCHS:,}, got {epochs}")
    if not 0 < rate < float("inf"):
        raise UsageError(f"the learning rate must be positive, got {rate}")
