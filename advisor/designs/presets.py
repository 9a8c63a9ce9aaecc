"""The ensembles of the MotherNets paper (Wasay et al., MLSys 2020, section 3) as named designs.

A released entry of the table never changes, because stored designs and plans use its name. Choices that the
paper leaves open are marked as ours. Networks are written for 32×32 images: vgg-16-64 has maps of 32, 16, 8,
4 and 2 pixels in its five blocks. A preset has no number of clusters: ``V5`` trains five networks
independently, ``V5@g1`` hatches them from one mother network.
"""

from __future__ import annotations

from functools import cache

from advisor.networks.architecture import NetworkSpec, parse_network
from advisor.networks.families.vgg import CONFIGURATIONS, MULTIPLIERS

# Changes of a layer of vgg-16-64: new kernel size, and new number of filters in quarters of the old one. The
# paper says "more filters, larger filters, or both"; these are ours. Kernels of 7 would be larger than most
# of the maps.
CHANGES = ((3, 5), (5, 4), (5, 5), (3, 6), (5, 6), (3, 7), (5, 7), (3, 8))


def _vgg16_variants(count: int) -> tuple[str, ...]:
    """Return variants of vgg-16-64 that differ from it in one layer.

    Variant i changes layer i mod 13 (of 13, from the input on) by change i mod 8 of `CHANGES`. As 13 and 8
    have no common divisor, no pair of layer and change comes twice before i = 104. Any 25 variants in a row
    change every layer and use every change.

    Args:
        count: number of variants, at most 104.
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
    # Configurations B, D and E of Simonyan and Zisserman (2015), and two variants of vgg-16. The layers by
    # which vgg-16 is deeper than vgg-13 have 1×1 kernels in the first, which is their configuration C, and
    # 5×5 kernels in the second, which is ours.
    "V5": (
        "vgg-13-64",
        "vgg-16-64",
        "vgg-16-64~b3l3:1x256,b4l3:1x512,b5l3:1x512",
        "vgg-16-64~b3l3:5x256,b4l3:5x512,b5l3:5x512",
        "vgg-19-64",
    ),
    "D5": ("densenet-40-12", "densenet-40-24", "densenet-100-12", "densenet-100-16", "densenet-100-24"),
    # Ours: each depth with the published width and one and a half times that width.
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
        KeyError: no preset has that name.
    """
    return tuple(parse_network(name) for name in PRESETS[preset])


def preset_at(members: tuple[NetworkSpec, ...], start: int) -> str | None:
    """Return the largest preset whose members begin at position `start`, or None."""
    found = [
        name
        for name in PRESETS
        if members[start] == members_of(name)[0]
        and members[start : start + len(PRESETS[name])] == members_of(name)
    ]
    return max(found, key=lambda name: len(PRESETS[name]), default=None)
