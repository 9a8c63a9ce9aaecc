"""The images of an epoch in their order, and normalised as the input of a network.

The order depends only on the seed and on the number of the epoch. A resumed run therefore sees the same
images as an uninterrupted one.
"""

from __future__ import annotations

import torch
from torch import Tensor

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


def without_waiting(draws: Tensor, device: torch.device) -> Tensor:
    """Return what was drawn on the CPU on a device, without waiting for the work that the device has."""
    # Fake tensors (`profiler.simulation`) are of a class of their own, and cannot be pinned.
    if device.type != "cuda" or type(draws) is not Tensor:
        return draws.to(device)
    return draws.pin_memory().to(device, non_blocking=True)
