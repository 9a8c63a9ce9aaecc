"""The common base of ResNet and Wide ResNet: three stages of two-layer residual units.

The first layer of a unit may have any number of filters (its *inner* width); the second writes to the
residual stream, whose width is fixed in a stage.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import count
from typing import ClassVar

from advisor.errors import InvalidDesignError
from advisor.networks.families.base import Family
from advisor.networks.layers import Blocks, Layer


class ResidualFamily(Family):
    """Depth is 6n plus a constant for n units in each of three stages."""

    skip_connections = True
    extra_depth: ClassVar[int]

    @abstractmethod
    def streams(self, width: int) -> tuple[int, int, int]:
        """Return the channels of the residual stream in each stage."""

    def depths(self) -> Iterator[int]:
        """Yield 6n + constant for n = 1, 2, …."""
        return (6 * n + self.extra_depth for n in count(1))

    def depth_of(self, blocks: Blocks) -> int:
        """Return 6n + constant."""
        return 3 * len(blocks[0]) + self.extra_depth

    def regular_blocks(self, depth: int, width: int) -> Blocks:
        """Return three stages of n units of two 3×3 layers."""
        layers = (depth - self.extra_depth) // 3
        return tuple((Layer(3, stream),) * layers for stream in self.streams(width))

    def check_filters(self, width: int, regular: Blocks, blocks: Blocks) -> None:
        """Refuse a second layer of a unit whose filters differ from the residual stream's channels.

        Raises:
            InvalidDesignError: a second layer has another number of filters.
        """
        for b, (block, plain) in enumerate(zip(blocks, regular, strict=True), 1):
            for i in range(1, len(block), 2):
                if block[i].filters != plain[i].filters:
                    raise InvalidDesignError(
                        f"{self.name}: layer b{b}l{i + 1} writes to the residual stream and must have "
                        f"{plain[i].filters} filters, got {block[i].filters}; change an odd layer instead"
                    )
