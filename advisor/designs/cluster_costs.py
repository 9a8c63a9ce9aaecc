"""What a cluster costs: the sum of the edit distances of its members to their mother network.

Members of one shape have the same distance, so a cluster is given by its shapes. A set of shapes is a bit
mask: bit j stands for shape j. Mothers and distances are kept, because a search for clusters asks for the
same ones again and again. A search mostly adds one member to a cluster. The mother of both is the mother of
the old mother and the new member, which takes less time than that of all members.
"""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from advisor.networks.architecture import NetworkSpec
from advisor.networks.families import family_named
from advisor.networks.layers import Blocks, Layer
from advisor.networks.mothernet import mother_blocks

_NO_LAYER = chr(0)

# A network as a text for each block, with one character a layer: edit distances of texts are much faster.
_Texts = tuple[str, ...]


class ClusterCosts:
    """Distances of shapes to the mother networks of sets of shapes.

    Args:
        shapes: distinct networks of one family.

    Attributes:
        shapes: the networks, in the given order.
    """

    def __init__(self, shapes: Sequence[NetworkSpec]) -> None:
        self.shapes = tuple(shapes)
        self._skip = family_named(shapes[0].family).skip_connections
        self._characters: dict[Layer, str] = {}
        self._own = [self._texts(shape.blocks) for shape in shapes]
        # By set of shapes: layers of the mother, and the distances of every shape that were asked for.
        self._mothers: dict[int, tuple[Blocks, dict[int, int]]] = {}
        # By mother, because many sets have the same one: the same distances.
        self._known: dict[_Texts, dict[int, int]] = {}

    def distances(self, mask: int) -> tuple[int, ...]:
        """Return the distance of every shape of a set to the mother of the set, in rising order of shapes."""
        chosen = bits(mask)
        return tuple(self._distances(mask, chosen[-1], chosen))

    def to_mother(self, mask: int) -> list[int]:
        """Return the distance of every shape to the mother of a set, whether it belongs to the set or not."""
        return self._distances(mask, mask.bit_length() - 1, range(len(self.shapes)))

    def cost(self, members: Sequence[int]) -> int:
        """Return the cost of a cluster.

        Args:
            members: shape of every member; cheapest to ask for if only the last one is new.
        """
        mask = 0
        for shape in members:
            mask |= 1 << shape
        return sum(self._distances(mask, members[-1], members))

    def _distances(self, mask: int, last: int, shapes: Sequence[int]) -> list[int]:
        """Return distances to the mother of a set.

        Args:
            mask: set of shapes.
            last: shape of the set, without which its mother is probably known.
            shapes: shapes to return the distances of.
        """
        known = self._mother(mask, last)[1]
        for shape in shapes:
            if shape not in known:
                known[shape] = self._edits(shape, mask)
        return [known[shape] for shape in shapes]

    def _mother(self, mask: int, last: int) -> tuple[Blocks, dict[int, int]]:
        found = self._mothers.get(mask)
        if found is None:
            rest = mask & ~(1 << last)
            parts = [self._of_all(rest)[0], self.shapes[last].blocks] if rest else [self.shapes[last].blocks]
            found = self._keep(mask, parts)
        return found

    def _of_all(self, mask: int) -> tuple[Blocks, dict[int, int]]:
        return self._mothers.get(mask) or self._keep(mask, [self.shapes[j].blocks for j in bits(mask)])

    def _keep(self, mask: int, parts: list[Blocks]) -> tuple[Blocks, dict[int, int]]:
        mother = mother_blocks(parts, skip_connections=self._skip)
        self._mothers[mask] = mother, self._known.setdefault(self._texts(mother), {})
        return self._mothers[mask]

    def _edits(self, shape: int, mask: int) -> int:
        """Return the distance of a shape to the mother of a set; blocks are padded to the longer one."""
        own, mother = self._own[shape], self._texts(self._mothers[mask][0])
        sizes = [max(len(a), len(b)) for a, b in zip(own, mother, strict=True)]
        return int(Levenshtein.distance(_padded(own, sizes), _padded(mother, sizes)))

    def _texts(self, blocks: Blocks) -> _Texts:
        known = self._characters
        # The first 55,295 numbers are characters; no ensemble has as many kinds of layers.
        return tuple(
            "".join([known.setdefault(layer, chr(len(known) + 1)) for layer in block]) for block in blocks
        )


def _padded(blocks: _Texts, sizes: list[int]) -> str:
    return "".join([block.ljust(size, _NO_LAYER) for block, size in zip(blocks, sizes, strict=True)])


def bits(mask: int) -> list[int]:
    """Return the numbers of the bits that are set, in rising order."""
    return [j for j in range(mask.bit_length()) if mask >> j & 1]
