"""Width- and depth-equivalent ensembles of a single network ("More or Less", section 2).

Notation:

    S(w, d)     single network of width w and depth d
    |S|         its parameters
    k           members of an equivalent ensemble
    E(w, d)     a member of width w and depth d

- The depth-equivalent ensemble (deq) has the largest width w' with k·|E(w', d)| ≤ |S|.
- The width-equivalent ensemble (weq) has the largest valid depth d' with k·|E(w, d')| ≤ |S|.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from advisor.designs.design import DesignClass
from advisor.errors import InvalidDesignError, UsageError
from advisor.networks.architecture import NetworkSpec, RegularShape, regular_network
from advisor.networks.families import family_named
from advisor.networks.layers import Task
from advisor.networks.regular_counts import DEPTH_LIMIT, RegularCounts, regular_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalents:
    """A single network and its two equivalent ensembles; None where none exists."""

    single: NetworkSpec
    members: int
    depth_equivalent: NetworkSpec | None
    width_equivalent: NetworkSpec | None


def equivalents(single: NetworkSpec, members: int, task: Task, tolerance: float = 0.0) -> Equivalents:
    """Return the deq and weq ensembles of a single network by the strict rule.

    Args:
        single: regular network.
        members: number of members k, at least 2.
        task: images and classes.
        tolerance: share of |S| by which an ensemble may exceed |S|.

    Raises:
        UsageError: an irregular network, fewer than 2 members, a negative tolerance.
    """
    if "~" in single.name:
        raise InvalidDesignError(
            f"{single.name} has changed layers; equivalents are defined for regular networks"
        )
    if members < 2:
        raise UsageError(f"an equivalent ensemble has at least 2 members, got {members}")
    if not 0 <= tolerance <= 1:
        raise UsageError(f"the tolerance is a share of the single network between 0 and 1, got {tolerance}")
    counts = regular_counts(single.family, task, max(DEPTH_LIMIT, single.depth))
    share = counts.parameters(single.depth, single.width) * (1 + tolerance) / members
    width = counts.widest(single.depth, share)
    depth = counts.deepest(single.width, share)
    return Equivalents(
        single=single,
        members=members,
        depth_equivalent=None if width is None else regular_network(single.family, single.depth, width),
        width_equivalent=None if depth is None else regular_network(single.family, depth, single.width),
    )


class EquivalentShapes(NamedTuple):
    """A single network and its two equivalent ensembles, without layers; attributes as in `Equivalents`."""

    single: RegularShape
    depth_equivalent: RegularShape | None
    width_equivalent: RegularShape | None


def equivalents_within(budget: float, family: str, members: int, task: Task) -> list[EquivalentShapes]:
    """Return the single networks of a budget, the widest of every depth, each with its equivalent ensembles.

    The ensembles may use the whole budget too, even where the single network uses less of it. Compared with
    the single network alone, they would lose twice by the rounding to whole widths.

    Args:
        budget: most parameters of a design.
        family: family of all designs.
        members: number of members k, at least 2.
        task: images and classes.

    Returns:
        Equivalents in the order of depth; none where no network fits.
    """
    counts, minimum = regular_counts(family, task, DEPTH_LIMIT), family_named(family).minimum_width
    found = []
    for depth in counts.depths:
        width = counts.widest(depth, budget, minimum)
        if width is None:
            continue
        narrower = counts.widest(depth, budget / members, minimum)
        shallower = counts.deepest(width, budget / members)
        found.append(
            EquivalentShapes(
                single=RegularShape(family, depth, width),
                depth_equivalent=None if narrower is None else RegularShape(family, depth, narrower),
                width_equivalent=None if shallower is None else RegularShape(family, shallower, width),
            )
        )
    return found


def equivalent_shapes(
    counts: RegularCounts, single: tuple[int, int], k: int, minimum: int
) -> Iterator[tuple[DesignClass, int, int]]:
    """Yield class, depth and width of the designs of k members that a single network's parameters allow.

    Args:
        counts: parameters of the family's regular networks.
        single: depth and width of the single network.
        k: number of members; of 1 the design is the single network itself.
        minimum: smallest width of the family.
    """
    depth, width = single
    if k == 1:
        yield DesignClass.SINGLE, depth, width
        return
    share = counts.parameters(depth, width) / k
    if (narrower := counts.widest(depth, share, minimum)) is not None:
        yield DesignClass.DEPTH_EQUIVALENT, depth, narrower
    if (shallower := counts.deepest(width, share)) is not None:
        yield DesignClass.WIDTH_EQUIVALENT, shallower, width
