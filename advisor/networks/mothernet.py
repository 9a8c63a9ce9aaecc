"""The mother network of a cluster (MotherNets, MLSys 2020, sections 2.1 and 2.2) and distances to it.

The mother is the largest network from which every member can be grown. Each of its blocks has as many layers
as the member with the fewest layers there. Each layer has the fewest filters and the smallest kernel that any
member has at that position. The distance between a member and its mother is the Levenshtein distance between
their sequences of layers, with every block padded to one length by empty layers.
"""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from advisor.errors import InvalidDesignError
from advisor.networks.architecture import NetworkSpec
from advisor.networks.families import family_named
from advisor.networks.layers import Blocks, Layer

EMPTY = (0, 0)


def mother_of(members: Sequence[NetworkSpec]) -> NetworkSpec:
    """Return the mother network of members of one family.

    Raises:
        InvalidDesignError: no members, or members of several families.
    """
    if len({member.family for member in members}) != 1:
        raise InvalidDesignError("a mother network needs members of exactly one family")
    return NetworkSpec(
        family=members[0].family,
        width=min(member.width for member in members),
        # Blocks are cut to the shortest, which is why zip may stop early.
        blocks=tuple(
            tuple(_smallest(layers) for layers in zip(*blocks, strict=False))
            for blocks in zip(*(member.blocks for member in members), strict=True)
        ),
    )


def check_growth(mother: NetworkSpec, member: NetworkSpec) -> None:
    """Refuse a member that cannot be grown out of its mother with the function preserved.

    A new layer of a network without skip connections must pass on all channels of its input. So it is at
    least as wide as the mother's last layer of its block.

    Raises:
        InvalidDesignError: a new layer is too narrow.
    """
    family = family_named(member.family)
    if family.skip_connections:
        return
    unit = "filters" if family.convolutional else "units"
    for b, (grown, kept) in enumerate(zip(member.blocks, mother.blocks, strict=True), 1):
        for i, layer in enumerate(grown[len(kept) :], len(kept) + 1):
            if layer.filters < kept[-1].filters:
                raise InvalidDesignError(
                    f"{member.name} cannot be hatched from its mother network {mother.name}: layer "
                    f"b{b}l{i} has {layer.filters} {unit} and must pass on {kept[-1].filters}; widen it or "
                    "use more clusters"
                )


def distance(member: NetworkSpec, mother: NetworkSpec) -> int:
    """Return how many layers must be inserted, deleted or changed to turn one network into the other."""
    sizes = [max(len(a), len(b)) for a, b in zip(member.blocks, mother.blocks, strict=True)]
    return int(Levenshtein.distance(_sequence(member.blocks, sizes), _sequence(mother.blocks, sizes)))


def _smallest(layers: tuple[Layer, ...]) -> Layer:
    return Layer(kernel=min(a.kernel for a in layers), filters=min(a.filters for a in layers))


def _sequence(blocks: Blocks, sizes: list[int]) -> list[tuple[int, int]]:
    return [
        pair
        for block, size in zip(blocks, sizes, strict=True)
        for pair in [(layer.kernel, layer.filters) for layer in block] + [EMPTY] * (size - len(block))
    ]
