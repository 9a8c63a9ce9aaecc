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


def drawn(images: Tensor, augmentation: Augmentation, seed: int) -> tuple[Tensor, Tensor]:
    """Return images and shifts, of which `shifted` makes augmented images.

    Args:
        images: stored images, uint8 (batch, channels, height, width).
        augmentation: kind of augmentation. The kernels of RandAugment depend on its draws, so its images are
            augmented already, and have no shifts.
        seed: random seed of shifts, flips and operations.

    Returns:
        Images, uint8 (batch, channels, height, width), and shifts, as those of `shifted`, on the same device.
    """
    if augmentation is Augmentation.NONE:
        return images, torch.empty(len(images), 0, dtype=torch.int64, device=images.device)
    shifts = without_waiting(_shifts(len(images), images.shape[2], augmentation, seed), images.device)
    if augmentation is Augmentation.RANDAUGMENT:
        return randaugmented(shifted(images, shifts), seed), shifts[:, :0]
    return images, shifts


def _shifts(count: int, height: int, augmentation: Augmentation, seed: int) -> Tensor:
    """Return shifts of images, as those of `shifted`, on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    shifts = torch.randint(0, 2 * _padding(height) + 1, (2, count), generator=generator)
    if augmentation is Augmentation.CROP:
        return shifts.T.contiguous()
    flips = torch.rand(count, generator=generator) < 0.5
    return torch.stack([*shifts, flips], dim=1)


def _padding(height: int) -> int:
    return max(height // PAD_SHARE, 1)


def shifted(images: Tensor, shifts: Tensor) -> Tensor:
    """Return cropped and flipped images. The kernels are the same for all batches of one shape.

    Args:
        images: images, uint8 (batch, channels, height, width).
        shifts: row and column of the crop within the padded image, and whether it is flipped, 0 or 1; int64
            (batch, 3), or (batch, 2) without flips, or (batch, 0) without crops.

    Returns:
        New images, uint8 (batch, channels, height, width); the given ones if there are no shifts.
    """
    if not shifts.shape[1]:
        return images
    count, _, height, width = images.shape
    rows = shifts[:, :1] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(count, width)
    if shifts.shape[1] > 2:
        columns = torch.where(shifts[:, 2:] > 0, width - 1 - columns, columns)
    return _picked(images, _padding(height), rows, columns + shifts[:, 1:2])


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
