"""Answers of `advisor space` and `advisor equivalents`: designs that are counted, not measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from advisor.designs.design import DesignClass
from cli.workflows.answers.answer import Answer, key


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedDesign:
    """A design of a parameter budget.

    Attributes:
        design: short name.
        design_class: single network, depth- or width-equivalent ensemble, or an ensemble between the two.
        equivalent_to: single networks that the ensemble is equivalent to.
        members: number of members.
        depth, width: depth and width of each member.
        parameters: parameters of all members together.
        budget_share: parameters as a share of the budget.
        macs: multiply-adds of all members for one image.
    """

    design: str
    design_class: DesignClass = field(metadata=key("class"))
    equivalent_to: tuple[str, ...]
    members: int
    depth: int
    width: int
    parameters: int
    budget_share: float
    macs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignSpace(Answer):
    """Every candidate of a budget.

    Attributes:
        designs: candidates by falling parameters.
    """

    designs: tuple[CountedDesign, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleNetwork:
    """The network whose equivalents are sought.

    Attributes:
        design: short name.
        depth, width: depth and width.
        parameters: trainable scalars.
    """

    design: str
    depth: int
    width: int
    parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EquivalentDesign(SingleNetwork):
    """An ensemble of the single network's size.

    Attributes:
        members: number of members.
    """

    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EquivalentDesigns(Answer):
    """A single network and its equivalents; one that does not exist is null.

    Attributes:
        single: the network itself.
        width_equivalent: ensemble of its width, with shallower members.
        depth_equivalent: ensemble of its depth, with narrower members.
    """

    single: SingleNetwork
    width_equivalent: EquivalentDesign | None
    depth_equivalent: EquivalentDesign | None
