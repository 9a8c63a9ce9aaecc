"""Where a width-equivalent ensemble sits on a step of its depth.

The members of a width-equivalent ensemble (weq) have the largest valid depth that fits into their share of
the single network's parameters. Where the next valid depth has many times the parameters of that depth,
rounding down leaves much of the share unused, and a little more budget makes the members much deeper. The
error of weq is uneven there. "More or Less", appendix A, names ResNets of 2.24M, 3.28M and 5.03M parameters:
their weq members have depth 8, and those of networks of similar size depth 14.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.networks.architecture import NetworkSpec
from advisor.networks.layers import Task
from advisor.networks.regular_counts import DEPTH_LIMIT, regular_counts

# From this ratio of the parameters of the next valid depth to those of a depth on, the step counts as steep:
# rounding down may then leave half of a member's share unused.
STEEP = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthStep:
    """The step between the depth of a member and the next valid depth.

    Attributes:
        depth: depth of a member.
        next_depth: next valid depth.
        growth: parameters of a member of the next depth ÷ those of a member.
        share_used: parameters of all members as a share of the single network's.
    """

    depth: int
    next_depth: int
    growth: float
    share_used: float


def depth_step(single: NetworkSpec, member: NetworkSpec, members: int, task: Task) -> DepthStep | None:
    """Return the step that a width-equivalent ensemble sits on; None where the next depth is near.

    Args:
        single: single network.
        member: a member of its width-equivalent ensemble.
        members: number of members.
        task: images and classes.
    """
    counts = regular_counts(single.family, task, max(DEPTH_LIMIT, single.depth))
    deeper = next((depth for depth in counts.depths if depth > member.depth), None)
    if deeper is None:
        return None
    parameters = counts.parameters(member.depth, member.width)
    growth = counts.parameters(deeper, member.width) / parameters
    if growth < STEEP:
        return None
    share = members * parameters / counts.parameters(single.depth, single.width)
    return DepthStep(depth=member.depth, next_depth=deeper, growth=growth, share_used=share)
