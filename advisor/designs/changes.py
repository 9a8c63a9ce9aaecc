"""Changes of numbers, absolute (``32``) or relative (``+6``, ``-6``, ``x2``, ``×2``, ``/2``), and of designs.

>>> parse_change("x2", "--width").of(16)
32
>>> DesignChange(depth=parse_change("+6", "--depth")).of(parse_design("4xresnet-20-16@g1")).name
'4xresnet-26-16@g1'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from advisor.designs.design import LARGEST_ENSEMBLE, Design
from advisor.errors import InvalidDesignError, UsageError
from advisor.networks.architecture import NetworkSpec, regular_network

_CHANGE = re.compile(r"(?P<sign>[-−+x×/]?)\s*(?P<amount>\d{1,6}(?:\.\d{1,6})?)")
_AS_TYPED = {"−": "-", "×": "x"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of a number.

    Attributes:
        option: option of the command line that the change was given with, for messages.
        text: change as the user wrote it.
        sign: ``+``, ``-``, ``x`` or ``/``; empty for an absolute value.
        amount: summand, factor, divisor, or the value itself.
    """

    option: str
    text: str
    sign: str
    amount: Fraction

    def of(self, value: int) -> int:
        """Return the changed number, which may be below 1.

        Raises:
            UsageError: the changed number is not whole, or the change divides by 0.
        """
        changed = self._exactly(value)
        if changed.denominator != 1:
            raise UsageError(
                f"{self.option} {self.text}: {value} would become {float(changed):g}, which is not whole: "
                f"write for example {self.option} {max(round(changed), 1)}"
            )
        return int(changed)

    def nearest(self, value: int) -> int:
        """Return the whole number nearest to the changed one, which may be below 1.

        Raises:
            UsageError: the change divides by 0.
        """
        return round(self._exactly(value))

    def real(self, value: float) -> float:
        """Return the changed number, whole or not.

        Raises:
            UsageError: the change divides by 0.
        """
        return float(self._exactly(Fraction(str(value))))

    def _exactly(self, value: int | Fraction) -> Fraction:
        if self.sign == "/" and not self.amount:
            raise UsageError(f"{self.option} {self.text}: nothing can be divided by 0, write for example /2")
        changed: Fraction = {
            "": lambda: self.amount,
            "+": lambda: self.amount + value,
            "-": lambda: value - self.amount,
            "x": lambda: value * self.amount,
            "/": lambda: value / self.amount,
        }[self.sign]()
        return changed


def parse_change(text: str, option: str) -> Change:
    """Read ``32``, ``+6``, ``-6``, ``x2``, ``×2`` or ``/2``.

    Args:
        text: change as the user wrote it.
        option: option of the command line, for messages.

    Raises:
        UsageError: another form of text.
    """
    match = _CHANGE.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{option}: cannot read {text!r} as a change: write a number such as 32, or +6, -6, x2 or /2"
        )
    sign = _AS_TYPED.get(match["sign"], match["sign"])
    return Change(option=option, text=text.strip(), sign=sign, amount=Fraction(match["amount"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignChange:
    """A change of a design; None leaves a number as it is.

    Attributes:
        depth, width: change of every member's depth and width.
        members: change of the number of members.
        clusters: change of the number of clusters. Without one, an independent design stays independent and
            any other keeps its clusters.
    """

    depth: Change | None = None
    width: Change | None = None
    members: Change | None = None
    clusters: Change | None = None

    def of(self, design: Design) -> Design:
        """Return the changed design.

        Raises:
            UsageError: depth or width of an irregular network are to change, or the number of members of
                several shapes; or the changed design does not exist.
        """
        shapes = {spec: self._reshaped(spec) for spec in dict.fromkeys(design.members)}
        members = tuple(shapes[spec] for spec in design.members)
        if self.members is not None:
            members = members[:1] * self._count(design, self.members)
        if self.clusters is not None:
            return Design(members=members, clusters=self.clusters.of(design.clusters))
        kept = len(members) if design.independent else min(design.clusters, len(members))
        return Design(members=members, clusters=kept)

    def _reshaped(self, spec: NetworkSpec) -> NetworkSpec:
        change = self.depth or self.width
        if change is None:
            return spec
        regular = spec.regular
        if spec != regular:
            raise InvalidDesignError(
                f"{change.option} {change.text}: {spec.name} has layers of its own, and only regular "
                f"networks have one depth and width to change: name one, for example {regular.name}"
            )
        depth = spec.depth if self.depth is None else self.depth.of(spec.depth)
        width = spec.width if self.width is None else self.width.of(spec.width)
        return regular_network(spec.family, depth, width)

    @staticmethod
    def _count(design: Design, change: Change) -> int:
        if not design.homogeneous:
            raise InvalidDesignError(
                f"{change.option} {change.text}: {design.name} has members of several shapes, and which to "
                "add or leave out is not said: name a design of one shape, for example "
                f"{len(design.members)}x{design.members[0].name}"
            )
        count = change.of(len(design.members))
        if not 1 <= count <= LARGEST_ENSEMBLE:
            raise InvalidDesignError(
                f"{change.option} {change.text}: an ensemble has 1 to {LARGEST_ENSEMBLE} members, got {count}"
            )
        return count
