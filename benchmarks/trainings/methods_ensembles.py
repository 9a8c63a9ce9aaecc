"""The ensembles of the benchmark of methods, with their data and the time of an epoch.

V5 and V25 are those of the MotherNets paper at an eighth of their width. R5 and D3 stand in for R10 and D5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from advisor.designs.design import parse_design
from advisor.designs.presets import PRESETS
from advisor.networks.architecture import NetworkSpec
from advisor.plans.recipes.choice import RecipeName

G1, FULL, BAGGING, DISTILLATION = "mothernets g1", "full_data", "bagging", "distillation"
# A chain of snapshots beyond six, and one that gets the seconds of MotherNets of one cluster.
CHAIN, EQUAL = "snapshot", "snapshot in the time of mothernets"
SNAPSHOTS = (CHAIN, EQUAL)
# Most epochs of a network. The rate of `ours` falls over them. That of `published` is constant, so only the
# patience should end its trainings.
MOST_EPOCHS = {RecipeName.OURS: 60, RecipeName.PUBLISHED: 120}
FASHION, DIGITS = "fashion-14x14-2000", "digits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An ensemble with its data.

    Attributes:
        name: name in the results.
        design: short name of the members.
        dataset: name of the data set (`grid2_sets.data_named`).
        clusters: numbers of clusters of MotherNets; as many as members is full data.
        chain: number of snapshots of the long chain.
        seeds: number of seeds.
        epoch_seconds: processor seconds of an epoch of a member on a busy machine, the mean of the members,
            by recipe.
        most_epochs: most epochs of a network, by recipe.
    """

    name: str
    design: str
    dataset: str
    clusters: tuple[int, ...]
    chain: int = 10
    seeds: int = 3
    epoch_seconds: dict[RecipeName, float] = field(hash=False)
    most_epochs: dict[RecipeName, int] = field(hash=False, default_factory=lambda: MOST_EPOCHS)

    @property
    def members(self) -> tuple[NetworkSpec, ...]:
        """Specifications of the members."""
        return parse_design(self.design).members

    @property
    def family(self) -> str:
        """Family of the members."""
        return self.members[0].family

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods, in the order in which they are trained."""
        hatched = [f"mothernets g{g}" for g in self.clusters]
        return (*hatched[:1], FULL, BAGGING, DISTILLATION, *hatched[1:], *SNAPSHOTS)


R5 = "resnet-8-8+resnet-8-12+resnet-14-8+resnet-14-12+resnet-20-8"
D3 = "densenet-10-6+densenet-10-10+densenet-13-6"
V5 = "+".join(
    (
        "vgg-13-{w}",
        "vgg-16-{w}",
        "vgg-16-{w}~b3l3:1x{4w},b4l3:1x{8w},b5l3:1x{8w}",
        "vgg-16-{w}~b3l3:5x{4w},b4l3:5x{8w}",
        "vgg-19-{w}",
    )
)


def vgg_ensemble(width: int) -> str:
    """Return V5 at another width, without the kernels that are larger than its maps."""
    text = V5.replace("{4w}", str(4 * width)).replace("{8w}", str(8 * width))
    return text.replace("{w}", str(width))


def narrowed(preset: str, divisor: int) -> str:
    """Return a preset of VGGs at a fraction of its width.

    Args:
        preset: name of the preset.
        divisor: number that every number of filters is divided by.
    """
    numbers = re.compile(r"(?<=vgg-16-)\d+|(?<=x)\d+")
    return "+".join(numbers.sub(lambda m: str(int(m[0]) // divisor), name) for name in PRESETS[preset])


def _seconds(ours: float, published: float) -> dict[RecipeName, float]:
    return {RecipeName.OURS: ours, RecipeName.PUBLISHED: published}


# Seconds of an epoch: measured on 1,024 random images of 14×14 with 1,000 for validation, and on images like
# the digits, an epoch of every network (of V25 four), the lesser of two rounds while the load of the two
# cores was 8 and 5 (of V25 one round). Those of Fashion-MNIST are scaled to 2,000 images; an image costs
# about 0.3 as much in validation as in training.
_SCALE = (2000 + 300) / (1024 + 300)
SCENARIOS = (
    Scenario(
        name="V5",
        design=vgg_ensemble(8),
        dataset=FASHION,
        clusters=(1, 2, 3),
        epoch_seconds=_seconds(0.279 * _SCALE, 0.180 * _SCALE),
    ),
    Scenario(
        name="V5 digits",
        design=vgg_ensemble(8),
        dataset=DIGITS,
        clusters=(1, 2, 3),
        epoch_seconds=_seconds(0.330, 0.108),
    ),
    Scenario(
        name="R5",
        design=R5,
        dataset=FASHION,
        clusters=(1, 2, 3),
        epoch_seconds=_seconds(0.472 * _SCALE, 0.339 * _SCALE),
    ),
    Scenario(
        name="R5 digits",
        design=R5,
        dataset=DIGITS,
        clusters=(1, 2, 3),
        epoch_seconds=_seconds(0.351, 0.141),
    ),
    Scenario(
        name="D3",
        design=D3,
        dataset=FASHION,
        clusters=(1, 2),
        epoch_seconds=_seconds(0.510 * _SCALE, 0.462 * _SCALE),
    ),
    Scenario(
        name="D3 digits",
        design=D3,
        dataset=DIGITS,
        clusters=(1, 2),
        epoch_seconds=_seconds(0.404, 0.170),
    ),
    Scenario(
        name="V25",
        design=narrowed("V25", 8),
        dataset=FASHION,
        clusters=(1, 2, 4, 8),
        chain=25,
        seeds=2,
        epoch_seconds=_seconds(0.406 * _SCALE, 0.222 * _SCALE),
    ),
)
QUICK = (
    Scenario(
        name="R3 digits",
        design="resnet-8-4+resnet-8-6+resnet-14-4",
        dataset=DIGITS,
        clusters=(1, 2),
        chain=7,
        seeds=1,
        epoch_seconds=_seconds(0.2, 0.06),
        most_epochs={RecipeName.OURS: 20, RecipeName.PUBLISHED: 40},
    ),
)
