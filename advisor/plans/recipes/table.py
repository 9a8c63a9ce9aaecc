"""Published training settings by family and data set, scaled to any number of epochs.

Source: "More or Less" (ICLR 2021), appendix A, table A: one row a family and group of data sets. `RECIPES`
has the row of every family for CIFAR-10, which also holds where no row names the data set. `BY_DATA` has the
rows that differ from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.errors import require_entries
from advisor.networks.families import FAMILIES
from advisor.plans.schedule import StepSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Published training settings of a family: SGD with momentum.

    Attributes:
        rate: initial learning rate.
        hatched_rate: initial learning rate of members hatched from a mother network.
        drops: shares of the epochs after which the learning rate is divided by 10.
        weight_decay: weight decay of all weights.
        momentum: momentum of SGD.
        reference_epochs: length of the published schedule.
        batch: images in a step; None for the batch of the data set.
    """

    rate: float = 0.1
    hatched_rate: float = 0.1
    drops: tuple[float, ...]
    weight_decay: float
    momentum: float = 0.9
    reference_epochs: int
    batch: int | None = None

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
# Drops after 30 and 60 of 90 epochs.
_DENSENET_IMAGENET = Recipe(drops=(1 / 3, 2 / 3), weight_decay=1e-3, reference_epochs=90, batch=64)

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
require_entries("advisor/plans/recipes/table.py: RECIPES", RECIPES, FAMILIES)

BY_DATA: dict[tuple[str, str], Recipe] = {
    ("densenet", "svhn"): Recipe(drops=(0.3, 0.6), weight_decay=1e-3, reference_epochs=100, batch=128),
    ("densenet", "tiny-imagenet"): _DENSENET_IMAGENET,
    ("densenet", "imagenet32"): _DENSENET_IMAGENET,
    ("resnet", "cifar100"): Recipe(drops=(0.5, 0.75), weight_decay=1e-4, reference_epochs=500, batch=128),
}


def recipe_of(family: str, dataset: str = "") -> Recipe:
    """Return the published settings of a family on a data set.

    Args:
        family: name of the family.
        dataset: name of the data set, or the name that its errors are learned under; the row for CIFAR-10
            holds where no row names the data.
    """
    # Errors with another augmentation are learned under "NAME with AUGMENTATION".
    return BY_DATA.get((family, dataset.partition(" with ")[0]), RECIPES[family])
