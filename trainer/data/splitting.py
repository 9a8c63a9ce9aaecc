"""Splits of a data set in two parts, every class in proportion.

The draws are those of `sklearn.model_selection.train_test_split`, so that the parts are the same. The module
itself takes a second to import, which every process of a training would wait for, and a later version of it
may draw otherwise; then no error would be comparable with an earlier one.

A share of a rare class rounds to no image at all. So `with_every_class` gives the smaller part at least one
image of each class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from advisor.errors import DataError
from trainer.data.images import Labels

# All runs on a data set have the same split, because errors are comparable only on one validation set.
SPLIT_SEED = 0


def stratified(labels: Labels, rest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of two parts, both stratified by class; the second one has `rest` images.

    Raises:
        DataError: there are too few images for all classes.
    """
    _, class_of, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if reason := _too_few(len(labels), rest, counts):
        raise DataError(f"cannot hold back {rest} of {len(labels)} images for validation: {reason}")
    draws = np.random.RandomState(SPLIT_SEED)
    first = _quotas(counts, len(labels) - rest, draws)
    second = _quotas(counts - first, rest, draws)
    kept, others = [], []
    for number, count in enumerate(counts):
        drawn = np.flatnonzero(class_of == number)[draws.permutation(count)]
        kept.append(drawn[: first[number]])
        others.append(drawn[first[number] : first[number] + second[number]])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(others))


def _too_few(images: int, rest: int, counts: NDArray[np.int64]) -> str:
    """Return why there are too few images for a split, empty if there are enough."""
    if not 0 < rest < images:
        return "both parts need images"
    if counts.min() < 2:
        return "a class has a single image, and every class needs two"
    if min(rest, images - rest) < len(counts):
        return f"each part needs an image for each of the {len(counts)} classes"
    return ""


def _quotas(counts: NDArray[np.int64], total: int, draws: np.random.RandomState) -> NDArray[np.int64]:
    """Return how many images of each class belong to a part, in proportion, by largest remainders.

    Args:
        counts: number of images of each class.
        total: number of images of the part.
        draws: draws which class is rounded up where remainders are equal.
    """
    shares = counts / counts.sum() * total
    quotas: NDArray[np.int64] = np.floor(shares).astype(np.int64)
    remainders, missing = shares - quotas, int(total - quotas.sum())
    for remainder in np.unique(remainders)[::-1]:
        if missing == 0:
            break
        alike = np.flatnonzero(remainders == remainder)
        taken = draws.choice(alike, size=min(len(alike), missing), replace=False)
        quotas[taken] += 1
        missing -= len(taken)
    return quotas


def with_every_class(
    labels: Labels, kept: NDArray[np.int64], others: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return two parts of a data set of which the second has at least one image of every class.

    Each class that the second part lacks exchanges its first image of the first part for the last image of
    the class that is most frequent in the second part. A split that has every class stays as it is.

    Args:
        labels: labels of all images, int64 (n,).
        kept: positions of the images of the first part, ascending.
        others: positions of the images of the second part, ascending.
    """
    first, second = list(kept), list(others)
    for label in np.unique(labels):
        of_others = labels[second]
        if label in of_others:
            continue
        most = int(np.bincount(of_others).argmax())
        given = next(i for i in first if labels[i] == label)
        taken = next(i for i in reversed(second) if labels[i] == most)
        first[first.index(given)], second[second.index(taken)] = taken, given
    return np.sort(np.array(first, np.int64)), np.sort(np.array(second, np.int64))
