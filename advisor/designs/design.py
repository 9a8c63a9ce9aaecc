"""A design: the member networks of an ensemble and the clusters they are trained in.

Notation: m members, g clusters.

- ``4xresnet-26-8`` and ``4xresnet-26-8@g4`` train four networks independently.
- ``4xresnet-26-8@g1`` hatches all four from one mother network (MotherNets).
- ``resnet-20-16+resnet-32-16@g1`` has members of two shapes.
- ``V5@g1`` and ``V5+2xresnet-20-16@g3`` use the name of an ensemble of `advisor.designs.presets` for its
  members.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from advisor.designs.presets import PRESETS, members_of, preset_at
from advisor.errors import InvalidDesignError
from advisor.networks.architecture import NetworkSpec, lower, parse_network
from advisor.networks.layers import Task

LARGEST_ENSEMBLE = 256

_PART = re.compile(r"(?:(?P<count>\d{1,6})x)?(?P<network>[A-Za-z].*)")
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
        members: specification of every member, in the order of the name.
        clusters: g, the number of clusters; m where every member trains from scratch.
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
        """Short name that `parse_design` reads back; the name of a preset stands for its members."""
        parts = []
        for part, group in groupby(self._parts()):
            count = len(list(group))
            parts.append(f"{count}x{part}" if count > 1 else str(part))
        return "+".join(parts) + ("" if self.independent else f"@g{self.clusters}")

    def _parts(self) -> Iterator[NetworkSpec | str]:
        start = 0
        while start < len(self.members):
            preset = preset_at(self.members, start)
            yield preset or self.members[start]
            start += len(PRESETS[preset]) if preset else 1

    def parameters(self, task: Task) -> int:
        """Trainable scalars of all members together."""
        return sum(lower(member, task).parameters for member in self.members)

    def macs(self, task: Task) -> int:
        """Multiply-adds of all members for one image."""
        return sum(lower(member, task).macs for member in self.members)

    def __str__(self) -> str:
        return self.name


def homogeneous(network: NetworkSpec, members: int, clusters: int | None = None) -> Design:
    """Return a design whose members have one shape.

    Args:
        network: specification of a member.
        members: number of members.
        clusters: number of clusters; None: as many as members.
    """
    return Design(members=(network,) * members, clusters=members if clusters is None else clusters)


def parse_design(name: str) -> Design:
    """Read a short name such as ``4xresnet-26-8@g1`` or ``V5@g1``.

    Raises:
        UsageError: another form of name, or a network or ensemble that does not exist.
    """
    match = _DESIGN.fullmatch(name.strip())
    if match is None:
        raise InvalidDesignError(f"cannot read design {name!r}: write for example 4xresnet-26-8@g1")
    members = [member for text in match["members"].split("+") for member in _read_part(text, name)]
    clusters = len(members) if match["clusters"] is None else int(match["clusters"])
    return Design(members=tuple(members), clusters=clusters)


def _read_part(text: str, design: str) -> tuple[NetworkSpec, ...]:
    """Return the members that one summand of a design's name stands for."""
    part = _PART.fullmatch(text)
    if part is None:
        raise InvalidDesignError(
            f"cannot read member {text!r} of {design!r}: write for example 4xresnet-26-8"
        )
    network = part["network"]
    # The name of a network has hyphens. A name without one must be meant for a preset.
    if network not in PRESETS and "-" not in network:
        raise InvalidDesignError(
            f"unknown ensemble {network!r}: choose one of {', '.join(PRESETS)}, or write "
            "family-depth-width, for example 4xresnet-26-8"
        )
    members = members_of(network) if network in PRESETS else (parse_network(network),)
    count = int(part["count"] or 1)
    if not 1 <= count * len(members) <= LARGEST_ENSEMBLE:
        raise InvalidDesignError(
            f"an ensemble has 1 to {LARGEST_ENSEMBLE} members, got {count * len(members)}"
        )
    return members * count
