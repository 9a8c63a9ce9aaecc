"""Mixtures of a budget: ensembles whose members have several shapes of one family.

The published study has members of one shape only ("More or Less", section 2). Here are two kinds of mixtures,
as in benchmarks/trainings/advice_grid.py:

- members of equal size and several depths, each the widest that a member's share of the budget allows;
- members of one depth whose sizes fall by a constant ratio.

A mixture has at most `SHAPES` shapes, so its name is short and few networks must be priced. The numbers of
members of two shapes differ by at most one. Four members of 117k parameters in all are for example

    resnet-8-9+resnet-14-6+resnet-20-5+resnet-26-4      (depths, stride 1)
    resnet-8-14+resnet-8-10+resnet-8-7+resnet-8-5       (sizes, ratio 2)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import exp, log

from advisor.designs.design import Design, DesignClass
from advisor.designs.space import WIDTH_LIMIT
from advisor.networks.architecture import NetworkSpec, regular_network
from advisor.networks.families import family_named
from advisor.networks.layers import Task
from advisor.networks.regular_counts import DEPTH_LIMIT, RegularCounts, regular_counts

# With more shapes the steps between them become small, and each shape costs a forecast.
SHAPES = 4
FEWEST_MEMBERS, MOST_MEMBERS = 2, 8
# Distance from one shape to the next, in valid depths.
STRIDES = (1, 2, 4)
# Ratio of a member's parameters to those of a member of the next smaller shape.
RATIOS = (1.5, 2.0)

# Of each shape: number of members, depth, width.
Shapes = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Members of one family and several shapes.

    Attributes:
        family: family of all members.
        shapes: (members, depth, width) of each shape, shallow or large ones first.
        parameters: trainable scalars of all members together.
        macs: multiply-adds of all members together for one image.
        member_parameters: geometric mean of the members' parameters.
    """

    family: str
    shapes: Shapes
    parameters: int
    macs: int
    member_parameters: float

    @property
    def design_class(self) -> DesignClass:
        """Always mixed."""
        return DesignClass.MIXED

    @cached_property
    def members(self) -> int:
        """Number of members."""
        return sum(count for count, _, _ in self.shapes)

    @cached_property
    def depth(self) -> float:
        """Mean of the members' depths."""
        return sum(count * depth for count, depth, _ in self.shapes) / self.members

    @cached_property
    def networks(self) -> tuple[NetworkSpec, ...]:
        """Specification of every member."""
        return tuple(
            regular_network(self.family, depth, width)
            for count, depth, width in self.shapes
            for _ in range(count)
        )

    def design(self, clusters: int | None = None) -> Design:
        """Return the design, trained in `clusters` clusters or independently."""
        return Design(members=self.networks, clusters=self.members if clusters is None else clusters)


def enumerate_mixtures(
    budget: int, families: Iterable[str], task: Task, member_counts: Iterable[int]
) -> list[Mixture]:
    """Return every mixture of a budget; none where no two shapes fit into it.

    Args:
        budget: most parameters of all members together.
        families: names of the families.
        task: images and classes.
        member_counts: numbers of members; those outside 2 to 8 are ignored.
    """
    counts = sorted({k for k in member_counts if FEWEST_MEMBERS <= k <= MOST_MEMBERS})
    return [
        mixture
        for family in dict.fromkeys(families)
        for members in counts
        for mixture in _of_family(budget, family, task, members)
    ]


def _of_family(budget: int, family: str, task: Task, members: int) -> list[Mixture]:
    counts, minimum = regular_counts(family, task, DEPTH_LIMIT), family_named(family).minimum_width
    found: dict[Shapes, None] = {}
    for shares in (*_of_depths(counts.depths, members), *_of_sizes(counts.depths, members)):
        widths = [counts.widest(depth, share * budget, minimum) for _, depth, share in shares]
        shapes = tuple(
            (count, depth, width)
            for (count, depth, _), width in zip(shares, widths, strict=True)
            if width is not None and width <= WIDTH_LIMIT
        )
        # Widths are rounded to whole numbers, which can leave a single shape.
        if len(shapes) == len(shares) and len({shape[1:] for shape in shapes}) > 1:
            found[shapes] = None
    return [_counted(family, shapes, counts) for shapes in found]


def _counted(family: str, shapes: Shapes, counts: RegularCounts) -> Mixture:
    sizes = [(count, counts.parameters(depth, width)) for count, depth, width in shapes]
    members = sum(count for count, _ in sizes)
    return Mixture(
        family=family,
        shapes=shapes,
        parameters=sum(count * size for count, size in sizes),
        macs=sum(count * counts.macs(depth, width) for count, depth, width in shapes),
        member_parameters=exp(sum(count * log(size) for count, size in sizes) / members),
    )


# Of each shape: number of members, depth, and the share of the budget that one member may use.
Shares = list[tuple[int, int, float]]


def _of_depths(depths: list[int], members: int) -> Iterator[Shares]:
    """Yield members of equal size and several depths: every start and stride that the valid depths allow."""
    numbers = _evenly(members, min(SHAPES, members, len(depths)))
    for stride in STRIDES:
        for start in range(len(depths) - stride * (len(numbers) - 1)):
            ladder = depths[start::stride][: len(numbers)]
            yield [(n, depth, 1 / members) for n, depth in zip(numbers, ladder, strict=True)]


def _of_sizes(depths: list[int], members: int) -> Iterator[Shares]:
    """Yield members of one depth and falling sizes."""
    numbers = _evenly(members, min(SHAPES, members))
    for ratio in RATIOS:
        parts = [ratio**-i for i in range(len(numbers))]
        whole = sum(n * part for n, part in zip(numbers, parts, strict=True))
        for depth in depths:
            yield [(n, depth, part / whole) for n, part in zip(numbers, parts, strict=True)]


def _evenly(members: int, shapes: int) -> list[int]:
    """Divide members over shapes as evenly as possible, the larger numbers first."""
    each, more = divmod(members, shapes)
    return [each + (i < more) for i in range(shapes)]
