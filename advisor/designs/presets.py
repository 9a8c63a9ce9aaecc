"""The ensembles of the MotherNets paper (Wasay et al., MLSys 2020, section 3) as designs that have a name.

The table is literal and a released entry never changes, since stored designs and plans use its names.
Where the paper leaves a choice, what stands here is ours and says so. Networks are written for 32×32 images:
vgg-16-64 has maps of 32, 16, 8, 4 and 2 pixels in its five blocks. A preset does not say how many clusters:
``V5`` trains five networks independently, ``V5@g1`` hatches them from one mother network.
"""

from __future__ import annotations

from functools import cache

from advisor.networks.architecture import NetworkSpec, parse_network
from advisor.networks.families.vgg import CONFIGURATIONS, MULTIPLIERS

# What a variant of vgg-16-64 does to its layer: kernel size, and filters as quarters of what they were. Ours;
# "more filters, larger filters, or both" is the paper's. Kernels of 7 would reach beyond most of the maps.
CHANGES = ((3, 5), (5, 4), (5, 5), (3, 6), (5, 6), (3, 7), (5, 7), (3, 8))


def _vgg16_variants(count: int) -> tuple[str, ...]:
    """Return variants of vgg-16-64 that differ from it in one layer, at most 104.

    Variant i changes layer i mod 13 (of 13, from the input on) by change i mod 8 of `CHANGES`. As 13 and 8
    have no common divisor, no pair of layer and change comes twice before i = 104, and any 25 variants in a
    row change every layer and have every change.
    """
    width = 64
    layers = [(b, i) for b, length in enumerate(CONFIGURATIONS[16]) for i in range(length)]
    names = []
    for variant in range(count):
        block, layer = layers[variant % len(layers)]
        kernel, quarters = CHANGES[variant % len(CHANGES)]
        filters = MULTIPLIERS[block] * width * quarters // 4
        names.append(f"vgg-16-{width}~b{block + 1}l{layer + 1}:{kernel}x{filters}")
    return tuple(names)


PRESETS: dict[str, tuple[str, ...]] = {
    # Configurations B, D and E of Simonyan and Zisserman (2015). 16A and 16B are ours: the layers by which
    # vgg-16 is deeper than vgg-13 have 1×1 kernels in 16A, which is their configuration C, and 5×5 in 16B.
    "V5": (
        "vgg-13-64",
        "vgg-16-64",
        "vgg-16-64~b3l3:1x256,b4l3:1x512,b5l3:1x512",
        "vgg-16-64~b3l3:5x256,b4l3:5x512,b5l3:5x512",
        "vgg-19-64",
    ),
    "D5": ("densenet-40-12", "densenet-40-24", "densenet-100-12", "densenet-100-16", "densenet-100-24"),
    # Ours: of each depth the published width and one and a half times as much.
    "R10": (
        "resnet-20-16",
        "resnet-20-24",
        "resnet-32-16",
        "resnet-32-24",
        "resnet-44-16",
        "resnet-44-24",
        "resnet-56-16",
        "resnet-56-24",
        "resnet-110-16",
        "resnet-110-24",
    ),
    "V25": _vgg16_variants(25),
    "V100": _vgg16_variants(100),
}


@cache
def members_of(preset: str) -> tuple[NetworkSpec, ...]:
    """Return the members of a preset in the order of the table.

    Raises:
        KeyError: there is no such preset.
    """
    return tuple(parse_network(name) for name in PRESETS[preset])


def preset_at(members: tuple[NetworkSpec, ...], start: int) -> str | None:
    """Return the largest preset whose members stand in `members` from `start` on, None if none does."""
    found = [
        name
        for name in PRESETS
        if members[start] == members_of(name)[0]
        and members[start : start + len(PRESETS[name])] == members_of(name)
    ]
    return max(found, key=lambda name: len(PRESETS[name]), default=None)
