"""Counting without measuring: equivalents of a network, and the designs of a budget."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.designs.budget import parse_budget
from advisor.designs.equivalents import equivalents
from advisor.designs.space import enumerate_candidates
from advisor.networks.architecture import NetworkSpec, lower, parse_network
from advisor.networks.layers import Task
from cli.workflows.answers.examine.space import (
    CountedDesign,
    DesignSpace,
    EquivalentDesign,
    EquivalentDesigns,
    SingleNetwork,
)
from cli.workflows.names import families_of, member_counts_of


def list_space(budget: str, families: Sequence[str], members: Sequence[int], task: Task) -> DesignSpace:
    """Return every candidate of a budget.

    Args:
        budget: number of parameters in all, as a user writes it (``5M``).
        families: names of families, empty for all convolutional ones.
        members: member counts, empty for the usual ones.
        task: input shape and number of classes.

    Raises:
        UsageError: a budget, family or member count that cannot be understood.
        InfeasibleError: the smallest network of all families has more parameters.
    """
    candidates = enumerate_candidates(
        parse_budget(budget), families_of(families), task, member_counts_of(members)
    )
    return DesignSpace(
        designs=tuple(
            CountedDesign(
                design=c.name,
                design_class=c.design_class,
                equivalent_to=c.equivalent_to,
                members=c.members,
                depth=c.depth,
                width=c.width,
                parameters=c.parameters,
                budget_share=c.budget_share,
                macs=c.macs,
            )
            for c in candidates
        )
    )


def find_equivalents(network: str, members: int, task: Task, tolerance: float) -> EquivalentDesigns:
    """Return the width- and depth-equivalent ensembles of a network.

    Args:
        network: short name of a regular network.
        members: number of members of the ensembles.
        task: input shape and number of classes.
        tolerance: share of the network's parameters by which an ensemble may exceed it.

    Raises:
        UsageError: a network, member count or tolerance that cannot be understood.
    """
    found = equivalents(parse_network(network), members, task, tolerance)

    def ensemble(spec: NetworkSpec | None) -> EquivalentDesign | None:
        if spec is None:
            return None
        return EquivalentDesign(
            design=f"{members}x{spec.name}",
            depth=spec.depth,
            width=spec.width,
            parameters=members * lower(spec, task).parameters,
            members=members,
        )

    single = found.single
    return EquivalentDesigns(
        single=SingleNetwork(
            design=single.name,
            depth=single.depth,
            width=single.width,
            parameters=lower(single, task).parameters,
        ),
        width_equivalent=ensemble(found.width_equivalent),
        depth_equivalent=ensemble(found.depth_equivalent),
    )
