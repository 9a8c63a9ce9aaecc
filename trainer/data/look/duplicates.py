"""Images with equal pixels: leakage between the splits, and labels that contradict each other.

Every image is compared by a digest of its prepared pixels. So copies are found whatever their names and
formats are. Images that are merely similar, such as a photograph that was compressed twice, are not found.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.loading import Data, Split

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Numbers of images whose pixels occur more than once.

    Images to train on are those of training and validation: the files that a user put there.

    Attributes:
        repeated: images to train on that are copies of another one there; of three equal images, two.
        contradicting: images to train on whose pixels also occur there with another label.
        validation_in_training: validation images that are also training images.
        test_in_training: test images that are also images to train on.
        test_mislabelled: test images that are also images to train on, and have another label in each copy.
    """

    repeated: int
    contradicting: int
    validation_in_training: int
    test_in_training: int
    test_mislabelled: int


def find_duplicates(data: Data) -> Duplicates:
    """Return the numbers of images of a data set that have equal pixels."""
    training, validation, test = (_digests(split) for split in (data.train, data.validation, data.test))
    pool = np.concatenate([training, validation])
    labels = np.concatenate([data.train.labels.numpy(), data.validation.labels.numpy()])
    distinct, group = np.unique(pool, return_inverse=True)
    # One number for each pair of pixels and label.
    classes = data.facts.task.classes
    pairs = np.unique(group * classes + labels)
    labels_of_group = np.bincount(pairs // classes, minlength=len(distinct))
    leaked = np.isin(test, distinct)
    own = np.searchsorted(distinct, test[leaked]) * classes + data.test.labels.numpy()[leaked]
    return Duplicates(
        repeated=len(pool) - len(distinct),
        contradicting=int((labels_of_group > 1)[group].sum()),
        validation_in_training=int(np.isin(validation, training).sum()),
        test_in_training=int(leaked.sum()),
        test_mislabelled=int((~np.isin(own, pairs)).sum()),
    )


def _digests(split: Split) -> NDArray[np.void]:
    """Return a digest of every image, bytes (n,)."""
    images = split.images.contiguous().numpy()
    digests = [hashlib.blake2b(image.data, digest_size=DIGEST_BYTES).digest() for image in images]
    # A type of fixed length that keeps zero bytes at the end, unlike that of text.
    return np.frombuffer(b"".join(digests), np.dtype((np.void, DIGEST_BYTES)))
