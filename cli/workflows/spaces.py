"""Counting without measuring: equivalents of a network, and the designs of a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from advisor.architecture import NetworkSpec, Task, lower, parse_network
from advisor.budget import parse_budget
from advisor.dataset import FOLDER_PREFIX, DatasetFacts, augmentation_named, dataset_named
from advisor.errors import UsageError
from advisor.families import CONVOLUTIONAL, family_named
from advisor.space import MEMBER_COUNTS, enumerate_candidates, equivalents
from cli.workflows.home import SCHEMA_VERSION


def facts_of(dataset: str, augmentation: str | None = None) -> DatasetFacts:
    """Return the facts of a data set, with another augmentation than its own if one is named."""
    facts = _own_facts(dataset)
    return facts if augmentation is None else replace(facts, augmentation=augmentation_named(augmentation))


def _own_facts(dataset: str) -> DatasetFacts:
    """Return what is known of a data set; only a folder needs a look at the files."""
    if dataset.startswith(FOLDER_PREFIX):
        from trainer.data import find_facts

        return find_facts(dataset)
    return dataset_named(dataset)


def families_of(names: Sequence[str]) -> list[str]:
    """Return the families asked for, or all convolutional ones."""
    for name in names:
        family_named(name)
    return list(dict.fromkeys(names)) or list(CONVOLUTIONAL)


def member_counts_of(counts: Sequence[int]) -> list[int]:
    """Return the member counts asked for, the single network always among them.

    Raises:
        UsageError: a count below 1 or above 256.
    """
    for count in counts:
        if not 1 <= count <= 256:
            raise UsageError(f"--members: an ensemble has 1 to 256 members, got {count}")
    return sorted({1, *counts}) if counts else list(MEMBER_COUNTS)


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
