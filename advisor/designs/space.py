"""Designs under a parameter budget: width- and depth-equivalents and their enumeration.

Notation ("More or Less", section 2):

    S(w, d)     single network of width w and depth d
    |S|         its parameters
    k           members of an equivalent ensemble
    E(w, d)     a member of width w and depth d

- The depth-equivalent ensemble (deq) has the largest width w' with k·|E(w', d)| ≤ |S|.
- The width-equivalent ensemble (weq) has the largest valid depth d' with k·|E(w, d')| ≤ |S|.

The single networks of a budget are the widest of every valid depth and the deepest of every width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from advisor.designs.design import LARGEST_ENSEMBLE, Design, DesignClass, homogeneous
from advisor.errors import InfeasibleError, InvalidDesignError, UsageError
from advisor.networks.architecture import NetworkSpec, regular_network
from advisor.networks.families import family_named
from advisor.networks.layers import Task
from advisor.networks.regular_counts import RegularCounts, regular_counts

DEPTH_LIMIT = 200
# More widths would give more designs than anyone can use, and would take minutes to count.
WIDTH_LIMIT = 20_000
MEMBER_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalents:
    """A single network and its two equivalent ensembles; None where none exists."""

    single: NetworkSpec
    members: int
    depth_equivalent: NetworkSpec | None
    width_equivalent: NetworkSpec | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A regular design of a budget: `members` networks S(width, depth), with its counts.

    Attributes:
        family: name of the family.
        depth, width: depth and width of every member.
        members: number of members.
        design_class: class of the design: the first that applies of single, depth- and width-equivalent.
        equivalent_to: names of the budget's single networks that the design is equivalent to.
        parameters: trainable scalars of all members together.
        budget_share: parameters as a share of the budget.
        macs: multiply-adds of all members together for one image.
    """

    family: str
    depth: int
    width: int
    members: int
    design_class: DesignClass
    equivalent_to: tuple[str, ...]
    parameters: int
    budget_share: float
    macs: int

    @property
    def network(self) -> NetworkSpec:
        """Specification of a member."""
        return regular_network(self.family, self.depth, self.width)

    @property
    def member_parameters(self) -> float:
        """Parameters of a member."""
        return self.parameters / self.members

    @property
    def name(self) -> str:
        """Short name of the design, trained independently."""
        prefix = f"{self.members}x" if self.members > 1 else ""
        return f"{prefix}{self.family}-{self.depth}-{self.width}"

    def design(self, clusters: int | None = None) -> Design:
        """Return the design, trained in `clusters` clusters or independently."""
        return homogeneous(self.network, self.members, clusters)


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


def equivalents_within(budget: float, family: str, members: int, task: Task) -> list[Equivalents]:
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
            Equivalents(
                single=regular_network(family, depth, width),
                members=members,
                depth_equivalent=None if narrower is None else regular_network(family, depth, narrower),
                width_equivalent=None if shallower is None else regular_network(family, shallower, width),
            )
        )
    return found


def smallest_network(family: str, task: Task) -> tuple[int, str]:
    """Return the parameters and the name of the smallest network of the design space."""
    counts = regular_counts(family, task, DEPTH_LIMIT)
    depth, width = counts.depths[0], family_named(family).minimum_width
    return counts.parameters(depth, width), f"{family}-{depth}-{width}"


def enumerate_candidates(
    budget: int, families: Iterable[str], task: Task, member_counts: Iterable[int] = MEMBER_COUNTS
) -> list[Candidate]:
    """Return every candidate of a budget, the largest first within a family.

    Args:
        budget: most parameters of a design.
        families: names of the families.
        task: images and classes.
        member_counts: numbers of members.

    Raises:
        UsageError: no family, or a number of members out of range.
        InfeasibleError: no network of the families fits the budget.
    """
    names, sizes = list(dict.fromkeys(families)), sorted(set(member_counts))
    if not names:
        raise UsageError("a design space needs at least one family")
    if not sizes or not 1 <= sizes[0] <= sizes[-1] <= LARGEST_ENSEMBLE:
        raise UsageError(f"an ensemble has 1 to {LARGEST_ENSEMBLE} members, got {sizes}")
    found = [c for name in names for c in _family_candidates(budget, name, task, sizes)]
    if not found:
        parameters, name = min((smallest_network(name, task) for name in names), key=lambda pair: pair[0])
        prefix = f"{sizes[0]}x" if sizes[0] > 1 else ""
        raise InfeasibleError(
            f"no network of {', '.join(names)} fits {budget:,} parameters for {task.text} and "
            f"{task.classes} classes: the smallest, {prefix}{name}, has {sizes[0] * parameters:,}"
        )
    return found


def class_of(design: Design, task: Task) -> DesignClass:
    """Return the class of any design, equivalent to a single network of its family or not."""
    if len(design.members) == 1:
        return DesignClass.SINGLE
    member, k = design.members[0], len(design.members)
    if not design.homogeneous or "~" in member.name:
        return DesignClass.MIXED
    counts = regular_counts(member.family, task, max(DEPTH_LIMIT, member.depth))
    total = k * counts.parameters(member.depth, member.width)
    widest = counts.widest(member.depth, k * counts.parameters(member.depth, member.width + 1) - 1)
    if widest is not None and counts.parameters(member.depth, widest) >= total:
        return DesignClass.DEPTH_EQUIVALENT
    following = next((d for d in counts.depths if d > member.depth), None)
    limit = k * counts.parameters(following, member.width) - 1 if following else float("inf")
    deepest = counts.deepest(member.width, limit)
    if deepest is not None and counts.parameters(deepest, member.width) >= total:
        return DesignClass.WIDTH_EQUIVALENT
    return DesignClass.MIXED


def _family_candidates(budget: int, family: str, task: Task, sizes: list[int]) -> list[Candidate]:
    counts = regular_counts(family, task, DEPTH_LIMIT)
    minimum = family_named(family).minimum_width
    singles = _single_networks(counts, budget, minimum)
    relations: dict[tuple[int, int, int], list[tuple[DesignClass, tuple[int, int]]]] = {}
    for single in singles:
        for k in sizes:
            for relation, depth, width in _equivalent_shapes(counts, single, k, minimum):
                relations.setdefault((k, depth, width), []).append((relation, single))
    order = list(DesignClass)
    found = []
    for (k, depth, width), related in relations.items():
        parameters = k * counts.parameters(depth, width)
        found.append(
            Candidate(
                family=family,
                depth=depth,
                width=width,
                members=k,
                design_class=min((relation for relation, _ in related), key=order.index),
                equivalent_to=tuple(
                    dict.fromkeys(
                        f"{family}-{d}-{w}" for relation, (d, w) in related if (d, w) != (depth, width)
                    )
                ),
                parameters=parameters,
                budget_share=parameters / budget,
                macs=k * counts.macs(depth, width),
            )
        )
    return sorted(found, key=lambda c: (-c.parameters, c.members, c.depth))


def _single_networks(counts: RegularCounts, budget: int, minimum: int) -> list[tuple[int, int]]:
    """Return (depth, width) of the widest network of every depth and the deepest of every width."""
    widest = [(d, w) for d in counts.depths if (w := counts.widest(d, budget, minimum)) is not None]
    top = max((w for _, w in widest), default=minimum - 1)
    if top > WIDTH_LIMIT:
        raise UsageError(
            f"{counts.family} has {top:,} widths within {budget:,} parameters, more than {WIDTH_LIMIT:,}: "
            "choose a smaller budget"
        )
    deepest = [(d, w) for w in range(minimum, top + 1) if (d := counts.deepest(w, budget)) is not None]
    return sorted(set(widest) | set(deepest))


def _equivalent_shapes(
    counts: RegularCounts, single: tuple[int, int], k: int, minimum: int
) -> Iterator[tuple[DesignClass, int, int]]:
    depth, width = single
    if k == 1:
        yield DesignClass.SINGLE, depth, width
        return
    share = counts.parameters(depth, width) / k
    if (narrower := counts.widest(depth, share, minimum)) is not None:
        yield DesignClass.DEPTH_EQUIVALENT, depth, narrower
    if (shallower := counts.deepest(width, share)) is not None:
        yield DesignClass.WIDTH_EQUIVALENT, shallower, width
