"""What a cluster costs: the sum of the edit distances of its members to their mother network.

Members of one shape have the same distance, so a cluster is given by its shapes. A set of shapes is a bit
mask: bit j stands for shape j. Mothers and distances are kept, because a search for clusters asks for the
same ones again and again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rapidfuzz.distance import Levenshtein

from advisor.networks.architecture import NetworkSpec
from advisor.networks.families import family_named
from advisor.networks.layers import Blocks, Layer
from advisor.networks.mothernet import mother_blocks

_NO_LAYER = chr(0)


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
        # A network as a text with one character a layer: the edit distance of texts is much faster.
        self._characters: dict[Layer, str] = {}
        self._texts = [self._text(shape.blocks) for shape in shapes]
        self._mothers: dict[int, list[str]] = {}
        self._found: dict[int, tuple[int, ...]] = {}

    def distances(self, mask: int) -> tuple[int, ...]:
        """Return the distance of every shape of a set to the mother of the set, in rising order of shapes."""
        found = self._found.get(mask)
        if found is None:
            mother = self._mother(mask)
            found = self._found[mask] = tuple(self._edits(j, mother) for j in bits(mask))
        return found

    def to_mother(self, mask: int) -> list[int]:
        """Return the distance of every shape to the mother of a set, whether it belongs to the set or not."""
        mother = self._mother(mask)
        return [self._edits(j, mother) for j in range(len(self.shapes))]

    def cost(self, members: Iterable[int]) -> int:
        """Return the cost of a cluster.

        Args:
            members: shape of every member.
        """
        counts: dict[int, int] = {}
        for shape in members:
            counts[shape] = counts.get(shape, 0) + 1
        if len(counts) < 2:
            return 0
        distances = self.distances(sum(1 << shape for shape in counts))
        return sum(counts[shape] * d for shape, d in zip(sorted(counts), distances, strict=True))

    def _mother(self, mask: int) -> list[str]:
        """Return the layers of the mother of a set, as a text for each block."""
        mother = self._mothers.get(mask)
        if mother is None:
            blocks = [self.shapes[j].blocks for j in bits(mask)]
            mother = self._mothers[mask] = self._text(mother_blocks(blocks, skip_connections=self._skip))
        return mother

    def _edits(self, shape: int, mother: list[str]) -> int:
        """Return the distance of a shape to a mother; every block is padded to the longer one's length."""
        own = self._texts[shape]
        sizes = [max(len(a), len(b)) for a, b in zip(own, mother, strict=True)]
        return int(Levenshtein.distance(_padded(own, sizes), _padded(mother, sizes)))

    def _text(self, blocks: Blocks) -> list[str]:
        known = self._characters
        # Not every number is a character, but the first 55,295 are; no ensemble has as many kinds of layers.
        return ["".join(known.setdefault(layer, chr(len(known) + 1)) for layer in block) for block in blocks]


def _padded(blocks: list[str], sizes: list[int]) -> str:
    return "".join(block.ljust(size, _NO_LAYER) for block, size in zip(blocks, sizes, strict=True))


def bits(mask: int) -> list[int]:
    """Return the numbers of the bits that are set, in rising order."""
    return [j for j in range(mask.bit_length()) if mask >> j & 1]
