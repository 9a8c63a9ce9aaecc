"""What a name on the command line stands for: a data set, families, member counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from advisor.designs.space import MEMBER_COUNTS
from advisor.errors import UsageError, lookup
from advisor.networks.families import CONVOLUTIONAL, family_named
from advisor.plans.dataset import FOLDER_PREFIX, Augmentation, DatasetFacts, dataset_named


def facts_of(dataset: str, augmentation: str | None = None) -> DatasetFacts:
    """Return the facts of a data set, with another augmentation than its own if one is named."""
    facts = _own_facts(dataset)
    if augmentation is None:
        return facts
    return replace(facts, augmentation=lookup("augmentation", augmentation, Augmentation))


def _own_facts(dataset: str) -> DatasetFacts:
    """Return what is known of a data set; only a folder needs a look at the files."""
    if dataset.startswith(FOLDER_PREFIX):
        from trainer.data.loading import find_facts

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
