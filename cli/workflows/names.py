"""Names that a user writes, and what they mean: data sets, families, member counts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from advisor.designs.space import MEMBER_COUNTS
from advisor.errors import UnknownNameError, UsageError, lookup
from advisor.networks.families import CONVOLUTIONAL, family_named
from advisor.networks.layers import Task
from advisor.plans.dataset import (
    DATASETS,
    FOLDER_PREFIX,
    PREPARED,
    Augmentation,
    DatasetFacts,
    Preparation,
    dataset_named,
)
from cli.quantities import parse_size
from cli.workflows.home import Home
from cli.workflows.views import Say, silent

# Images and classes of CIFAR-10, where no others are given.
SHAPE, CLASSES = "3x32x32", 10


def facts_of(
    dataset: str,
    augmentation: str | None = None,
    *,
    resize: str | None = None,
    skip_damaged: bool = False,
    home: Home | None = None,
    say: Say = silent,
) -> DatasetFacts:
    """Return the facts of a data set.

    Args:
        dataset: name of the data set, or ``folder:PATH``.
        augmentation: name of an augmentation that replaces the data set's own, None for none.
        resize: size that the images of a folder are scaled to cover and cropped to, as a user writes it; None
            for images of one size.
        skip_damaged: whether damaged files of a folder are left out.
        home: home whose cache keeps the headers of images, None for no cache.
        say: receiver of what is peculiar about a folder.

    Raises:
        UnknownNameError: no such data set or augmentation.
        UsageError: a size that cannot be read, or an option of folders for another data set.
        DataError: the folder cannot be read as a data set.
    """
    preparation = replace(PREPARED, resize=parse_size(resize, "--resize"), skip_damaged=skip_damaged)
    if not dataset.startswith(FOLDER_PREFIX):
        facts = _published_facts(dataset)
        if preparation != PREPARED:
            option = "--resize" if resize else "--skip-damaged"
            raise UsageError(
                f"{option} is for folders of images, and {dataset} is a published data set: leave it out"
            )
    else:
        facts = folder_facts(dataset, preparation, home, say)
    if augmentation is None:
        return facts
    return replace(facts, augmentation=lookup("augmentation", augmentation, Augmentation))


def folder_facts(
    dataset: str, preparation: Preparation, home: Home | None = None, say: Say = silent
) -> DatasetFacts:
    """Return the facts of a folder of images, which are read from its files.

    Args:
        dataset: name of the folder, ``folder:PATH``.
        preparation: how its files become images.
        home: home whose cache keeps the headers of images, None for no cache.
        say: receiver of what is peculiar about the folder.

    Raises:
        DataError: the folder cannot be read as a data set.
    """
    from trainer.data.folders import Looking
    from trainer.data.loading import find_facts

    cache = None if home is None else home.headers
    return find_facts(dataset, Looking(preparation=preparation, cache=cache, say=say))


def full_name_of(dataset: str) -> str:
    """Return the name that plans have for a data set: the path of a folder is absolute there.

    Raises:
        UnknownNameError: no such data set.
    """
    if not dataset.startswith(FOLDER_PREFIX):
        return _published_facts(dataset).name
    from trainer.data.identity import folder_in

    return f"{FOLDER_PREFIX}{folder_in(dataset)}"


def _published_facts(dataset: str) -> DatasetFacts:
    """Return the facts of a published data set.

    Raises:
        UnknownNameError: no data set has that name; the message says how a folder is named.
    """
    if dataset not in DATASETS and _is_path(dataset):
        raise UnknownNameError(
            "data set", dataset, DATASETS, f"a folder of images is named --dataset {FOLDER_PREFIX}{dataset}"
        )
    return dataset_named(dataset)


def _is_path(text: str) -> bool:
    try:
        return os.sep in text or text.startswith(("~", ".")) or Path(text).is_dir()
    # A name may be longer than that of a file may be, or have a character that no file name has.
    except (OSError, ValueError):
        return False


def task_of(
    dataset: str | None,
    shape: str | None,
    classes: int | None,
    *,
    resize: str | None = None,
    skip_damaged: bool = False,
    home: Home | None = None,
    say: Say = silent,
) -> Task:
    """Return the images and classes of a data set, or the given ones.

    Args:
        dataset: name of the data set, or ``folder:PATH``; None for given images.
        shape: channels x height x width, None for `SHAPE`.
        classes: number of classes, None for `CLASSES`.
        resize: as for `facts_of`.
        skip_damaged: as for `facts_of`.
        home: as for `facts_of`.
        say: as for `facts_of`.

    Raises:
        UsageError: a shape or classes beside a data set, a shape that cannot be understood, or an option of
            folders without a folder.
        UnknownNameError: no such data set.
        DataError: the folder cannot be read as a data set.
    """
    if dataset is None:
        if resize is not None or skip_damaged:
            option = "--skip-damaged" if resize is None else "--resize"
            raise UsageError(f"{option} is for folders of images: add --dataset {FOLDER_PREFIX}PATH")
        return Task.parse(shape or SHAPE, CLASSES if classes is None else classes)
    given = [option for option, value in (("--input", shape), ("--classes", classes)) if value is not None]
    if given:
        raise UsageError(
            f"--dataset {dataset} has its own shape and classes: leave out {' and '.join(given)}"
        )
    return facts_of(dataset, resize=resize, skip_damaged=skip_damaged, home=home, say=say).task


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
