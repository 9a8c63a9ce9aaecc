"""Counting without measuring: equivalents of a network, and the designs of a budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from advisor.designs.budget import parse_budget
from advisor.designs.space import enumerate_candidates, equivalents
from advisor.networks.architecture import NetworkSpec, lower, parse_network
from advisor.networks.layers import Task
from cli.workflows.home import SCHEMA_VERSION
from cli.workflows.names import families_of, member_counts_of


def list_space(budget: str, families: Sequence[str], members: Sequence[int], task: Task) -> dict[str, Any]:
    """Return every candidate of a budget."""
    candidates = enumerate_candidates(
        parse_budget(budget), families_of(families), task, member_counts_of(members)
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "designs": [
            {
                "design": c.name,
                "class": c.design_class.value,
                "equivalent_to": list(c.equivalent_to),
                "members": c.members,
                "depth": c.depth,
                "width": c.width,
                "parameters": c.parameters,
                "budget_share": c.budget_share,
                "macs": c.macs,
            }
            for c in candidates
        ],
    }


def find_equivalents(network: str, members: int, task: Task, tolerance: float) -> dict[str, Any]:
    """Return the width- and depth-equivalent ensembles of a network."""
    found = equivalents(parse_network(network), members, task, tolerance)

    def described(spec: NetworkSpec | None, count: int) -> dict[str, Any] | None:
        if spec is None:
            return None
        return {
            "design": f"{count}x{spec.name}",
            "depth": spec.depth,
            "width": spec.width,
            "parameters": count * lower(spec, task).parameters,
            "members": count,
        }

    single = found.single
    return {
        "schema_version": SCHEMA_VERSION,
        "single": {
            "design": single.name,
            "depth": single.depth,
            "width": single.width,
            "parameters": lower(single, task).parameters,
        },
        "width_equivalent": described(found.width_equivalent, members),
        "depth_equivalent": described(found.depth_equivalent, members),
    }
