"""The contract of a network family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from advisor.errors import InvalidDesignError
from advisor.networks.graph import Graph
from advisor.networks.layers import Blocks, Layer, Task

MAXIMUM_DEPTH = 10_000


class Family(ABC):
    """How one family turns depth and width into layers, and layers into operations.

    Attributes:
        name: first part of the family's short names.
        usual_depth: depth in the middle of the published studies; a network of another depth is expected to
            err more (`advisor.accuracy.formula`).
        minimum_width: smallest width that the design space enumerates.
        convolutional: whether the family belongs to the default design space.
        skip_connections: whether a layer's input also bypasses it.
    """

    name: ClassVar[str]
    usual_depth: ClassVar[float]
    minimum_width: ClassVar[int] = 4
    convolutional: ClassVar[bool] = True
    skip_connections: ClassVar[bool] = False

    @abstractmethod
    def depths(self) -> Iterator[int]:
        """Yield the valid depths in rising order."""

    @abstractmethod
    def regular_blocks(self, depth: int, width: int) -> Blocks:
        """Return the layers of the regular network of a valid depth."""

    @abstractmethod
    def depth_of(self, blocks: Blocks) -> int:
        """Return the depth of checked blocks."""

    def regular_near(self, width: int, blocks: Blocks) -> tuple[int, Blocks]:
        """Return depth and blocks of the regular network that the name of a network begins with.

        Args:
            width: base width of both networks.
            blocks: checked blocks of the network to name.
        """
        depth = self.depth_of(blocks)
        return depth, self.regular_blocks(depth, width)

    def has_units(self, position: int) -> bool:
        """Whether the layers of the block at a position, from 0, are fully connected."""
        return not self.convolutional

    @abstractmethod
    def lower(self, width: int, blocks: Blocks, task: Task) -> Graph:
        """Return the operations of a checked network for a task."""

    @abstractmethod
    def check_filters(self, width: int, regular: Blocks, blocks: Blocks) -> None:
        """Refuse numbers of filters that the family cannot have.

        Args:
            width: base width.
            regular: blocks of the regular network that the name begins with, of the same width.
            blocks: blocks to check, of lengths that the family can have.

        Raises:
            InvalidDesignError: a number of filters breaks a rule; the message names the rule.
        """

    def valid_depths(self, limit: int) -> list[int]:
        """Return the valid depths up to `limit`."""
        found = []
        for depth in self.depths():
            if depth > limit:
                break
            found.append(depth)
        return found

    def check_depth(self, depth: int) -> None:
        """Refuse a depth that the family does not have.

        Raises:
            InvalidDesignError: the depth is not valid; the message names the nearest valid ones.
        """
        below = 0
        for valid in self.depths():
            if valid == depth <= MAXIMUM_DEPTH:
                return
            if valid > depth or valid > MAXIMUM_DEPTH:
                nearest = [str(d) for d in (below, valid) if 0 < d <= MAXIMUM_DEPTH]
                break
            below = valid
        else:
            nearest = [str(below)]
        raise InvalidDesignError(
            f"{self.name} has no depth {depth}: the nearest valid depth is {' or '.join(nearest)}"
        )

    def check(self, width: int, blocks: Blocks) -> None:
        """Refuse blocks that the family cannot have.

        Raises:
            InvalidDesignError: the blocks break a rule; the message names the rule.
        """
        if not blocks:
            raise InvalidDesignError(f"{self.name}: a network needs at least one block")
        self.check_lengths(width, blocks)
        for position, block in enumerate(blocks):
            for layer in block:
                self._check_layer(layer, units=self.has_units(position))
        self.check_filters(width, self.regular_near(width, blocks)[1], blocks)

    def check_lengths(self, width: int, blocks: Blocks) -> None:
        """Refuse numbers of layers that no regular network of the family has.

        Raises:
            InvalidDesignError: a block has too many or too few layers.
        """
        counts = tuple(len(block) for block in blocks)
        self.check_depth(self.depth_of(blocks))
        regular = self.regular_blocks(self.depth_of(blocks), width)
        if counts != tuple(len(block) for block in regular):
            raise InvalidDesignError(f"{self.name} has no network with {counts} layers in its blocks")

    def _check_layer(self, layer: Layer, *, units: bool) -> None:
        """Refuse a layer without filters, a kernel without a centre, and units with a kernel."""
        if layer.filters < 1:
            raise InvalidDesignError(f"{self.name}: a layer needs at least 1 filter, got {layer.filters}")
        if units and layer.kernel != 1:
            raise InvalidDesignError(f"{self.name}: units have no kernel, write 1x{layer.filters}")
        if layer.kernel < 1 or layer.kernel % 2 == 0:
            raise InvalidDesignError(f"{self.name}: kernel sizes are odd, got {layer.kernel}")
