"""From stored images to the input of a network: batch order, augmentation, normalisation.

Everything is batched tensor work on the device of the images. The order of an epoch and the
augmentation of a batch depend on (seed, epoch, batch number) alone, which is what makes a resumed run
equal an uninterrupted one.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from advisor.dataset import Augmentation

# Crops pad by this part of the height: 4 pixels at 32, as in He et al. 2016.
PAD_SHARE = 8


def derived_seed(*parts: object) -> int:
    """Return a 63-bit seed that depends on the text of all parts."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def epoch_order(images: int, seed: int, epoch: int) -> Tensor:
    """Return a permutation of range(images), shape (images,)."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "order", epoch))
    return torch.randperm(images, generator=generator)


def augmented(images: Tensor, augmentation: Augmentation, seed: int) -> Tensor:
    """Return augmented copies of stored images, uint8 (batch, channels, height, width)."""
    if augmentation is Augmentation.NONE:
        return images
    generator = torch.Generator().manual_seed(seed)
    images = _cropped(images, max(images.shape[2] // PAD_SHARE, 1), generator)
    if augmentation is Augmentation.CROP_FLIP:
        flipped = torch.rand(len(images), generator=generator).to(images.device) < 0.5
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    return images


def normalised(images: Tensor, mean: Tensor, deviation: Tensor, memory_format: str) -> Tensor:
    """Return float32 images with training mean 0 and deviation 1 in each channel."""
    shape = (1, -1, 1, 1)
    prepared = (images.float() / 255 - mean.view(shape)) / deviation.view(shape)
    if memory_format == "channels_last":
        return prepared.contiguous(memory_format=torch.channels_last)
    return prepared


def _cropped(images: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """Shift every image by up to `pad` pixels, zeros moving in."""
    count, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    offsets = torch.randint(0, 2 * pad + 1, (2, count), generator=generator).to(images.device)
    rows = offsets[0][:, None] + torch.arange(height, device=images.device)  # (count, height)
    columns = offsets[1][:, None] + torch.arange(width, device=images.device)  # (count, width)
    which = torch.arange(count, device=images.device)[:, None, None]
    # Advanced indices around a slice move in front: (count, height, width, channels).
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
