"""A sample of a data set that simple classifiers are trained and measured on, small enough for seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.data.images import Labels
from trainer.data.loading import Data, Split
from trainer.seeds import derived_seed

# Largest number of images of each split.
MOST_IMAGES = 2000
# Largest height or width, in pixels; larger images are scaled down. Neither becomes smaller than the least
# that a network accepts, however long the other is.
MOST_PIXELS, LEAST_PIXELS = 32, 8
# Number of images that are float32 in their own size at once.
BATCH = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """Images that simple classifiers learn from, and images that they are measured on.

    Attributes:
        train, validation: pixels from 0 to 1, float32 (n, channels, height, width).
        train_labels, validation_labels: true classes, int64 (n,).
    """

    train: Tensor
    train_labels: Labels
    validation: Tensor
    validation_labels: Labels


def sample_of(data: Data, seed: int) -> Sample:
    """Return a sample of the training and the validation images; no test image is among them.

    Args:
        data: data set in memory.
        seed: random seed of the sample.
    """
    train, validation = (
        _sampled(split, derived_seed(seed, "sample", name))
        for name, split in (("train", data.train), ("validation", data.validation))
    )
    return Sample(*train, *validation)


def stratified_sample(labels: Labels, most: int, seed: int) -> NDArray[np.int64]:
    """Return positions of a random sample that has every class, in proportion, ascending.

    The images of a class are put in random order and spread evenly from 0 to 1. The sample is those that lie
    lowest, so the number of each class is its share rounded up or down. The first of each class comes before
    all others.

    Args:
        labels: labels of all images, int64 (n,).
        most: largest number of images.
        seed: random seed of the sample.
    """
    draw = np.random.default_rng(seed)
    places = np.empty(len(labels))
    for label in np.unique(labels):
        own = draw.permutation(np.flatnonzero(labels == label))
        places[own] = (np.arange(len(own)) + draw.random()) / len(own)
        places[own[0]] -= 1
    return np.sort(np.argsort(places, kind="stable")[:most])


def _sampled(split: Split, seed: int) -> tuple[Tensor, Labels]:
    labels = split.labels.numpy()
    chosen = stratified_sample(labels, MOST_IMAGES, seed)
    batches = torch.from_numpy(chosen).split(BATCH)
    return torch.cat([_small(split.images[batch]) for batch in batches]), labels[chosen]


def _small(images: Tensor) -> Tensor:
    """Return images scaled to at most `MOST_PIXELS` a side, float32 from 0 to 1."""
    pixels = images.float().div_(255)
    height, width = images.shape[2:]
    if max(height, width) <= MOST_PIXELS:
        return pixels
    scale = MOST_PIXELS / max(height, width)
    size = [max(round(side * scale), LEAST_PIXELS) for side in (height, width)]
    return torch.nn.functional.interpolate(pixels, size=size, mode="bilinear", antialias=True)
