"""Crops, flips and RandAugment of whole batches, on the device of the images.

The augmentation of a batch depends only on the seed and on the numbers of epoch and batch. A resumed run
therefore sees the same images as an uninterrupted one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from advisor.plans.dataset import PAD_SHARE, Augmentation
from trainer.data.batches import without_waiting
from trainer.data.randaugment import randaugmented


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
    shifts = torch.randint(0, 2 * pad + 1, (2, count, 1), generator=generator)
    down, right = without_waiting(shifts, images.device)
    rows = down + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(count, width)
    if augmentation is not Augmentation.CROP:
        flipped = without_waiting(torch.rand(count, 1, generator=generator) < 0.5, images.device)
        columns = torch.where(flipped, width - 1 - columns, columns)
    picked = _picked(images, pad, rows, columns + right)
    return randaugmented(picked, seed) if augmentation is Augmentation.RANDAUGMENT else picked


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
