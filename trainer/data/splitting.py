"""Splits of a data set in two parts, every class in proportion.

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
    from sklearn.model_selection import train_test_split

    try:
        kept, others = train_test_split(
            np.arange(len(labels)), test_size=rest, stratify=labels, random_state=SPLIT_SEED
        )
    except ValueError as error:
        raise DataError(f"cannot hold back {rest} of {len(labels)} images for validation: {error}") from None
    return np.sort(kept), np.sort(others)


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
