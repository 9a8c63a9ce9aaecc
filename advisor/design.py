"""A design: the member networks of an ensemble and the clusters they are trained in.

Notation: m members, g clusters. ``4xresnet-26-8`` trains four networks independently, and so does
``4xresnet-26-8@g4``; ``4xresnet-26-8@g1`` hatches all four from one mother network (MotherNets).
Heterogeneous designs join their members with ``+``: ``resnet-20-16+resnet-32-16@g1``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from advisor.architecture import NetworkSpec, Task, lower, parse_network
from advisor.errors import InvalidDesignError

LARGEST_ENSEMBLE = 256

_PART = re.compile(r"(?:(?P<count>\d{1,6})x)?(?P<network>[a-z].*)")
_DESIGN = re.compile(r"(?P<members>[^@]+)(?:@g(?P<clusters>\d{1,6}))?")


class DesignClass(StrEnum):
    """How a design relates to single networks of its total size ("More or Less", section 2)."""

    SINGLE = "single"
    DEPTH_EQUIVALENT = "depth_equivalent"
    WIDTH_EQUIVALENT = "width_equivalent"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Members of an ensemble (one: a single network) and their number of clusters.

    Attributes:
        members: specification of every member, in the order given.
        clusters: g; equal to the number of members for independent training.
    """

    members: tuple[NetworkSpec, ...]
    clusters: int

    def __post_init__(self) -> None:
        count = len(self.members)
        if not 1 <= count <= LARGEST_ENSEMBLE:
            raise InvalidDesignError(f"an ensemble has 1 to {LARGEST_ENSEMBLE} members, got {count}")
        if not 1 <= self.clusters <= count:
            raise InvalidDesignError(f"g{self.clusters}: {count} members form 1 to {count} clusters")
        kinds = len(self.families)
        if self.clusters < kinds:
            raise InvalidDesignError(
                f"g{self.clusters}: members of {kinds} families need at least {kinds} clusters, "
                "because families share no mother network"
            )

    @property
    def families(self) -> tuple[str, ...]:
        """Families of the members, each once."""
        return tuple(dict.fromkeys(member.family for member in self.members))

    @property
    def independent(self) -> bool:
        """Whether every member trains from scratch."""
        return self.clusters == len(self.members)

    @property
    def homogeneous(self) -> bool:
        """Whether all members have one shape."""
        return len(set(self.members)) == 1

    @property
    def name(self) -> str:
        """Short name that `parse_design` reads back."""
        parts = []
        for network, group in groupby(self.members):
            count = len(list(group))
            parts.append(f"{count}x{network.name}" if count > 1 else network.name)
        return "+".join(parts) + ("" if self.independent else f"@g{self.clusters}")

    def parameters(self, task: Task) -> int:
        """Trainable scalars of all members together."""
        return sum(lower(member, task).parameters for member in self.members)

    def macs(self, task: Task) -> int:
        """Multiply-adds of all members for one image."""
        return sum(lower(member, task).macs for member in self.members)

    def __str__(self) -> str:
        return self.name


def homogeneous(network: NetworkSpec, members: int, clusters: int | None = None) -> Design:
    """Return `members` copies of one specification, independent unless `clusters` says otherwise."""
    return Design(members=(network,) * members, clusters=members if clusters is None else clusters)


def parse_design(name: str) -> Design:
    """Read a short name such as ``4xresnet-26-8@g1``.

    Raises:
        UsageError: another form, or a network or ensemble that does not exist.
    """
    match = _DESIGN.fullmatch(name.strip())
    if match is None:
        raise InvalidDesignError(f"cannot read design {name!r}: write for example 4xresnet-26-8@g1")
    members: list[NetworkSpec] = []
    for text in match["members"].split("+"):
        part = _PART.fullmatch(text)
        if part is None:
            raise InvalidDesignError(
                f"cannot read member {text!r} of {name!r}: write for example 4xresnet-26-8"
            )
        count = int(part["count"] or 1)
        if not 1 <= count <= LARGEST_ENSEMBLE:
            raise InvalidDesignError(f"an ensemble has 1 to {LARGEST_ENSEMBLE} members, got {count}")
        members += [parse_network(part["network"])] * count
    clusters = len(members) if match["clusters"] is None else int(match["clusters"])
    return Design(members=tuple(members), clusters=clusters)
