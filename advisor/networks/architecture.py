"""The per-layer network specification, the core type of the project, and its short names.

A network is a family, a base width and, block by block, the kernel size and the number of filters of every
layer. Regular networks are named ``family-depth-width`` (`resnet-26-16`). A suffix changes single layers, and
in `vgg` the number of layers of a block:

- ``vgg-16-64~b3l2:5x384`` is VGG-16 whose block 3, layer 2 has 5×5 kernels and 384 filters;
- ``vgg-16-64~b4:5`` has five layers in block 4, and the added ones are regular;
- ``vgg-16-64~b6:2,b6l1:1x4096,b6l2:1x4096`` has two hidden layers of 4096 units in its head.

Every specification has one name and every name one specification: ``parse_network(spec.name) == spec``.

Source of the families: Wasay and Idreos, "More or Less", ICLR 2021, section 2 and its references.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from advisor.errors import InvalidDesignError
from advisor.networks import families
from advisor.networks.graph import Graph
from advisor.networks.layers import Blocks, Layer, Task

__all__ = ["Blocks", "Layer", "NetworkSpec", "Task", "family_of", "lower", "parse_network", "regular_network"]

_NAME = re.compile(r"(?P<family>[a-z]+)-(?P<depth>\d{1,6})-(?P<width>\d{1,6})(?:~(?P<changes>.+))?")
_CHANGE = re.compile(
    r"b(?P<block>\d{1,4})"
    r"(?::(?P<length>\d{1,4})|l(?P<layer>\d{1,4}):(?P<kernel>\d{1,3})x(?P<filters>\d{1,6}))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """One network, layer by layer, whatever the images and classes.

    Attributes:
        family: name of the family.
        width: base width (stem of `resnet`, widening factor of `wrn`, growth rate of `densenet`,
            channels of block 1 of `vgg`, units of `mlp`).
        blocks: layers of each block, in order.
    """

    family: str
    width: int
    blocks: Blocks

    def __post_init__(self) -> None:
        family = families.family_named(self.family)
        if self.width < 1:
            raise InvalidDesignError(f"{self.family}: the width must be at least 1, got {self.width}")
        family.check(self.width, self.blocks)

    @property
    def depth(self) -> int:
        """Depth in the family's own way of counting."""
        return families.family_named(self.family).depth_of(self.blocks)

    @property
    def name(self) -> str:
        """Short name that `parse_network` reads back."""
        depth, regular = families.family_named(self.family).regular_near(self.width, self.blocks)
        changes = []
        for b, (block, plain) in enumerate(zip(self.blocks, regular, strict=True), 1):
            if len(block) != len(plain):
                changes.append(f"b{b}:{len(block)}")
            changes += [
                f"b{b}l{i}:{layer.kernel}x{layer.filters}"
                for i, (layer, expected) in enumerate(zip(block, _resized(plain, len(block)), strict=True), 1)
                if layer != expected
            ]
        suffix = "~" + ",".join(changes) if changes else ""
        return f"{self.family}-{depth}-{self.width}{suffix}"

    @property
    def regular(self) -> NetworkSpec:
        """Regular network that the short name begins with; the network itself if it is regular."""
        _, blocks = families.family_named(self.family).regular_near(self.width, self.blocks)
        return NetworkSpec(family=self.family, width=self.width, blocks=blocks)

    @property
    def shape(self) -> RegularShape:
        """Family, depth and width of the regular network that the short name begins with."""
        return RegularShape(self.family, self.depth, self.width)

    def __str__(self) -> str:
        return self.name


class RegularShape(NamedTuple):
    """A regular network by its numbers alone, without layers: a scan over all depths has thousands.

    Attributes:
        family: name of the family.
        depth: valid depth of the family.
        width: base width, at least 1.
    """

    family: str
    depth: int
    width: int

    def network(self) -> NetworkSpec:
        """Return the network with its layers."""
        return regular_network(self.family, self.depth, self.width)


def regular_network(family: str, depth: int, width: int) -> NetworkSpec:
    """Return the regular network S(w, d) of a family.

    Args:
        family: name of the family.
        depth: d, a valid depth of the family.
        width: w, at least 1.

    Raises:
        UnknownNameError: no such family.
        InvalidDesignError: a depth that the family does not have, or a width below 1.
    """
    kind = families.family_named(family)
    kind.check_depth(depth)
    if width < 1:
        raise InvalidDesignError(f"{family}: the width must be at least 1, got {width}")
    return NetworkSpec(family=family, width=width, blocks=kind.regular_blocks(depth, width))


def family_of(name: str) -> str:
    """Return the family that a short name begins with; the rest is not read."""
    return name.split("-", 1)[0]


@lru_cache(maxsize=4096)
def parse_network(name: str) -> NetworkSpec:
    """Read a short name such as ``resnet-26-16`` or ``vgg-16-64~b3l2:5x384``.

    Raises:
        UsageError: another form of name, or a network that does not exist.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InvalidDesignError(
            f"cannot read network {name!r}: write family-depth-width, for example resnet-26-16"
        )
    base = regular_network(match["family"], int(match["depth"]), int(match["width"]))
    return _with_changes(base, match["changes"]) if match["changes"] else base


def _resized(block: tuple[Layer, ...], length: int) -> tuple[Layer, ...]:
    """Return the first layers of a block, or the block with its last layer repeated."""
    return (block + block[-1:] * (length - len(block)))[:length]


def _with_changes(base: NetworkSpec, changes: str) -> NetworkSpec:
    read = [_read_change(base, change) for change in changes.split(",")]
    lengths = {int(m["block"]): int(m["length"]) for m in read if m["length"]}
    blocks = [list(_resized(block, lengths.pop(b, len(block)))) for b, block in enumerate(base.blocks, 1)]
    if lengths:
        raise InvalidDesignError(f"{base.name} has no block b{min(lengths)}: it has {len(blocks)} blocks")
    for match in read:
        if match["length"]:
            continue
        block, layer = int(match["block"]) - 1, int(match["layer"]) - 1
        if not (0 <= block < len(blocks) and 0 <= layer < len(blocks[block])):
            shape = ", ".join(str(len(block)) for block in blocks)
            raise InvalidDesignError(
                f"{base.name} has no layer b{block + 1}l{layer + 1}: its blocks have {shape} layers"
            )
        blocks[block][layer] = Layer(kernel=int(match["kernel"]), filters=int(match["filters"]))
    return NetworkSpec(family=base.family, width=base.width, blocks=tuple(tuple(b) for b in blocks))


def _read_change(base: NetworkSpec, change: str) -> re.Match[str]:
    match = _CHANGE.fullmatch(change)
    if match is None:
        raise InvalidDesignError(
            f"cannot read change {change!r} of {base.name}: write b3l2:5x384 for block 3, layer 2, 5×5 "
            "kernels, 384 filters (units: 1x for the kernel), or in vgg b3:4 for 4 layers in block 3"
        )
    return match


@lru_cache(maxsize=4096)
def lower(spec: NetworkSpec, task: Task) -> Graph:
    """Return the graph of operations of `spec` for the images and classes of `task`."""
    return families.family_named(spec.family).lower(spec.width, spec.blocks, task)
