"""From stored images to the input of a network: batch order, augmentation, normalisation.

Whole batches are processed on the device of the images. The order of an epoch and the augmentation of a batch
depend only on the seed and on the numbers of epoch and batch. A resumed run therefore sees the same images as
an uninterrupted one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from advisor.plans.dataset import PAD_SHARE, Augmentation
from trainer.data.randaugment import randaugmented
from trainer.seeds import derived_seed


def epoch_order(images: int, seed: int, epoch: int) -> Tensor:
    """Return the order of the training images in an epoch.

    Args:
        images: number of images.
        seed: random seed of the training step.
        epoch: number of the epoch, 0, 1, …

    Returns:
        Permutation of the indices, int64 (images,), on the CPU.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, "order", epoch))
    return torch.randperm(images, generator=generator)


def bootstrap_sample(images: int, seed: int) -> Tensor:
    """Return a bootstrap sample of the training images (Breiman 1996, "Bagging predictors").

    Args:
        images: number of images, and size of the sample.
        seed: random seed of the training step.

    Returns:
        Indices drawn with replacement, int64 (images,), on the CPU.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, "bootstrap"))
    return torch.randint(images, (images,), generator=generator)


def augmented(images: Tensor, augmentation: Augmentation, seed: int) -> Tensor:
    """Return augmented images.

    Args:
        images: stored images, uint8 (batch, channels, height, width).
        augmentation: kind of augmentation.
        seed: random seed of shifts, flips and operations.

    Returns:
        New images, uint8 (batch, channels, height, width); the given ones if there is no augmentation.
    """
    if augmentation is Augmentation.NONE:
        return images
    generator = torch.Generator().manual_seed(seed)
    count, _, height, width = images.shape
    pad = max(height // PAD_SHARE, 1)
    down, right = torch.randint(0, 2 * pad + 1, (2, count, 1), generator=generator)
    rows, columns = down + torch.arange(height), torch.arange(width).expand(count, width)
    if augmentation is not Augmentation.CROP:
        flipped = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(flipped, width - 1 - columns, columns)
    picked = _picked(images, pad, rows.to(images.device), (columns + right).to(images.device))
    return randaugmented(picked, seed) if augmentation is Augmentation.RANDAUGMENT else picked


def normalised(images: Tensor, mean: Tensor, deviation: Tensor, memory_format: str) -> Tensor:
    """Return images with mean 0 and standard deviation 1 in each channel of the training set.

    Args:
        images: images with pixels from 0 to 255, (batch, channels, height, width); float32 images are
            overwritten.
        mean: mean of the training pixels between 0 and 1, (channels,).
        deviation: standard deviation of the training pixels between 0 and 1, (channels,).
        memory_format: ``channels_last`` or ``contiguous``.

    Returns:
        Images, float32 (batch, channels, height, width).
    """
    shape = (1, -1, 1, 1)
    prepared = images.float()
    prepared.mul_((1 / (255 * deviation)).view(shape)).sub_((mean / deviation).view(shape))
    if memory_format == "channels_last":
        return prepared.contiguous(memory_format=torch.channels_last)
    return prepared


def _picked(images: Tensor, pad: int, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the given rows and columns of images that are padded with zeros.

    Args:
        images: images, uint8 (batch, channels, height, width).
        pad: width of the padding in pixels.
        rows: rows of the padded images, int64 (batch, height).
        columns: columns of the padded images, int64 (batch, width).
    """
    # One gather from flattened planes: indexing all dimensions at once takes five times as long on a CPU.
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    places = rows[:, :, None] * padded.shape[3] + columns[:, None, :]
    picked = padded.flatten(2).gather(2, places.flatten(1)[:, None].expand(-1, images.shape[1], -1))
    return picked.view_as(images)
