"""The mother network of a cluster and distances to it (MotherNets, MLSys 2020, section 2).

The mother is the largest network from which every member can be grown. Each of its blocks has as many layers
as the member with the fewest layers there, called n. Each layer has the fewest filters and the smallest
kernel that any member has at that position: the *positional minimum*.

In a network without skip connections a member's layer beyond n must pass on all channels of the mother's
layer n, so it cannot be narrower. Layer n of the mother therefore has the fewest filters that any member has
at position n *or later* in the block. No larger network can grow into every member: a mother with fewer
layers must obey the same rule at more positions, so it is nowhere wider. The mother is thus the largest in
every layer at once, whatever the images and classes.

The distance between a member and its mother is the Levenshtein distance between their sequences of layers,
with every block padded to one length by empty layers. The hidden layers of a VGG's head are a block as well.
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
    family = members[0].family
    return NetworkSpec(
        family=family,
        width=min(member.width for member in members),
        blocks=mother_blocks(
            [member.blocks for member in members], skip_connections=family_named(family).skip_connections
        ),
    )


def mother_blocks(members: Sequence[Blocks], *, skip_connections: bool) -> Blocks:
    """Return the layers of the mother network of members that are given by their layers.

    Args:
        members: layers of each member, at least one.
        skip_connections: whether a layer's input also bypasses it, as in the members' family.
    """
    return tuple(_mother_block(blocks, skip_connections) for blocks in zip(*members, strict=True))


def _mother_block(members: tuple[tuple[Layer, ...], ...], skip_connections: bool) -> tuple[Layer, ...]:
    if members.count(members[0]) == len(members):
        return members[0]
    # Blocks are cut to the shortest, which is why zip may stop early.
    block = [_smallest(layers) for layers in zip(*members, strict=False)]
    beyond = [layer.filters for member in members for layer in member[len(block) :]]
    if beyond and not skip_connections:
        last = block[-1]
        block[-1] = Layer(kernel=last.kernel, filters=min(last.filters, *beyond))
    return tuple(block)


def is_contained(mother: NetworkSpec, member: NetworkSpec) -> bool:
    """Whether a network is of the family of another one and nowhere larger."""
    if mother.family != member.family or mother.width > member.width:
        return False
    return all(
        len(kept) <= len(grown)
        and all(a.kernel <= b.kernel and a.filters <= b.filters for a, b in zip(kept, grown, strict=False))
        for kept, grown in zip(mother.blocks, member.blocks, strict=True)
    )


def check_growth(mother: NetworkSpec, member: NetworkSpec) -> None:
    """Refuse a member that cannot be grown out of a network that it contains, with the function preserved.

    A new layer of a network without skip connections must pass on all channels of its input. So it is at
    least as wide as the mother's last layer of its block. The mother that `mother_of` returns can grow into
    all of its members.

    Raises:
        InvalidDesignError: a new layer is too narrow.
    """
    family = family_named(member.family)
    if family.skip_connections:
        return
    for b, (grown, kept) in enumerate(zip(member.blocks, mother.blocks, strict=True)):
        unit = "units" if family.has_units(b) else "filters"
        for i, layer in enumerate(grown[len(kept) :], len(kept) + 1):
            if layer.filters < kept[-1].filters:
                raise InvalidDesignError(
                    f"{member.name} cannot be hatched from its mother network {mother.name}: layer "
                    f"b{b + 1}l{i} has {layer.filters} {unit} and must pass on {kept[-1].filters}; widen it "
                    "or use more clusters"
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
