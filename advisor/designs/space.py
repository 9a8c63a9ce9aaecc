"""The designs of a parameter budget, enumerated and counted.

The single networks of a budget are the widest of every valid depth and the deepest of every width. Each of
them has its depth- and width-equivalent ensembles (`advisor.designs.equivalents`, with the notation) for
every member count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from advisor.designs.design import LARGEST_ENSEMBLE, Design, DesignClass, homogeneous
from advisor.designs.equivalents import equivalent_shapes
from advisor.errors import InfeasibleError, UsageError
from advisor.networks.architecture import NetworkSpec, regular_network
from advisor.networks.families import family_named
from advisor.networks.layers import Task
from advisor.networks.regular_counts import DEPTH_LIMIT, RegularCounts, regular_counts

# More widths would give more designs than anyone can use, and would take minutes to count.
WIDTH_LIMIT = 20_000
MEMBER_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)


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
            for relation, depth, width in equivalent_shapes(counts, single, k, minimum):
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
