"""Names that a user writes, and what they mean: data sets, families, member counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from advisor.designs.space import MEMBER_COUNTS
from advisor.errors import UsageError, lookup
from advisor.networks.families import CONVOLUTIONAL, family_named
from advisor.networks.layers import Task
from advisor.plans.dataset import FOLDER_PREFIX, Augmentation, DatasetFacts, dataset_named

# Images and classes of CIFAR-10, where no others are given.
SHAPE, CLASSES = "3x32x32", 10


def facts_of(dataset: str, augmentation: str | None = None) -> DatasetFacts:
    """Return the facts of a data set.

    Args:
        dataset: name of the data set, or ``folder:PATH``.
        augmentation: name of an augmentation that replaces the data set's own, None for none.

    Raises:
        UnknownNameError: no such data set or augmentation.
        DataError: the folder cannot be read as a data set.
    """
    facts = _own_facts(dataset)
    if augmentation is None:
        return facts
    return replace(facts, augmentation=lookup("augmentation", augmentation, Augmentation))


def _own_facts(dataset: str) -> DatasetFacts:
    """Return the facts of a data set; only those of a folder come from its files."""
    if dataset.startswith(FOLDER_PREFIX):
        from trainer.data.loading import find_facts

        return find_facts(dataset)
    return dataset_named(dataset)


def task_of(dataset: str | None, shape: str | None, classes: int | None) -> Task:
    """Return the images and classes of a data set, or the given ones.

    Args:
        dataset: name of the data set, or ``folder:PATH``; None for given images.
        shape: channels x height x width, None for `SHAPE`.
        classes: number of classes, None for `CLASSES`.

    Raises:
        UsageError: a shape or classes beside a data set, or a shape that cannot be understood.
        UnknownNameError: no such data set.
        DataError: the folder cannot be read as a data set.
    """
    if dataset is None:
        return Task.parse(shape or SHAPE, CLASSES if classes is None else classes)
    given = [option for option, value in (("--input", shape), ("--classes", classes)) if value is not None]
    if given:
        raise UsageError(
            f"--dataset {dataset} has its own shape and classes: leave out {' and '.join(given)}"
        )
    return facts_of(dataset).task


def families_of(names: Sequence[str]) -> list[str]:
    """Return the named families without repetitions, or all convolutional ones if none is named.

    Raises:
        UnknownNameError: no such family.
    """
    for name in names:
        family_named(name)
    return list(dict.fromkeys(names)) or list(CONVOLUTIONAL)


def member_counts_of(counts: Sequence[int]) -> list[int]:
    """Return the given member counts, or the usual ones if none is given; 1 is always among them.

    Raises:
        UsageError: a count below 1 or above 256.
    """
    for count in counts:
        if not 1 <= count <= 256:
            raise UsageError(f"--members: an ensemble has 1 to 256 members, got {count}")
    return sorted({1, *counts}) if counts else list(MEMBER_COUNTS)
