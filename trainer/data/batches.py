"""From stored images to the input of a network: batch order, augmentation, normalisation.

Everything is batched tensor work on the device of the images. The order of an epoch and the
augmentation of a batch depend on (seed, epoch, batch number) alone, which is what makes a resumed run
equal an uninterrupted one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from advisor.plans.dataset import PAD_SHARE, Augmentation
from trainer.data.randaugment import randaugmented
from trainer.seeds import derived_seed


def epoch_order(images: int, seed: int, epoch: int) -> Tensor:
    """Return a permutation of range(images), shape (images,)."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "order", epoch))
    return torch.randperm(images, generator=generator)


def bootstrap_sample(images: int, seed: int) -> Tensor:
    """Return as many images drawn with replacement, int64 (images,) (Breiman 1996)."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "bootstrap"))
    return torch.randint(images, (images,), generator=generator)


def augmented(images: Tensor, augmentation: Augmentation, seed: int) -> Tensor:
    """Return augmented copies of stored images, uint8 (batch, channels, height, width)."""
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
    """Return float32 images with training mean 0 and deviation 1 in each channel."""
    shape = (1, -1, 1, 1)
    prepared = images.float()
    prepared.mul_((1 / (255 * deviation)).view(shape)).sub_((mean / deviation).view(shape))
    if memory_format == "channels_last":
        return prepared.contiguous(memory_format=torch.channels_last)
    return prepared


def _picked(images: Tensor, pad: int, rows: Tensor, columns: Tensor) -> Tensor:
    """Pick rows and columns, each (batch, size), of images with a margin of zeros.

    One gather of whole planes: indexing all dimensions at once takes five times as long on a CPU.
    """
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    places = rows[:, :, None] * padded.shape[3] + columns[:, None, :]
    picked = padded.flatten(2).gather(2, places.flatten(1)[:, None].expand(-1, images.shape[1], -1))
    return picked.view_as(images)
