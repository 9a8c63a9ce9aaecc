"""Features of patches: how much of each of some small patterns an image has.

The patterns are random patches of the training images, whitened (Coates, Ng and Lee 2011, "An analysis of
single-layer networks in unsupervised feature learning"; random patches are nearly as good as learned ones:
Coates and Ng 2011). Nothing is learned from labels.

1. A patch p of s x s pixels is normalised to mean 0 and about variance 1.
2. The filters f are whitened patches of unit length.
3. The answer at each place is f . whitened(p). The features are the averages of max(0, answer - 1/2) over
   each quarter of the image, and the largest answer, wherever it is.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trainer.seeds import derived_seed

Floats = NDArray[np.float32]
FILTERS = 128
# Side of a patch: a third of the image, within these bounds, in pixels.
LEAST_SIDE, MOST_SIDE = 3, 6
# Number of patches that the whitening is computed from.
SAMPLED = 20_000
# Added to the variance of a patch of pixels from 0 to 1, which keeps the noise of flat patches small, and to
# the eigenvalues of the patches' covariance. Chosen on validation images of digits and Fashion-MNIST.
PATCH_VARIANCE, EIGENVALUE = 0.003, 0.1
THRESHOLD = 0.5
# Images at once.
BATCH = 100


def patch_features(train: Tensor, validation: Tensor, seed: int) -> tuple[Floats, Floats]:
    """Return standardised features of two sets of images of at least 8 pixels a side.

    Args:
        train: images that patches are drawn from, float32 from 0 to 1 (n, channels, height, width).
        validation: other images of the same shape.
        seed: random seed of the patches.

    Returns:
        Features of both, float32 (n, 5 * `FILTERS`).
    """
    side = max(LEAST_SIDE, min(MOST_SIDE, min(train.shape[2:]) // 3))
    patches = _normalised(_drawn(train, side, seed))
    filters, shift = _filters(patches)
    kernels = filters.view(FILTERS, train.shape[1], side, side)
    first, second = (_pooled(images, kernels, shift) for images in (train, validation))
    mean, deviation = first.mean(dim=0), first.std(dim=0) + 0.01
    return ((first - mean) / deviation).numpy(), ((second - mean) / deviation).numpy()


def _drawn(images: Tensor, side: int, seed: int) -> Tensor:
    """Return random patches, float32 (`SAMPLED`, channels * side * side)."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "patches"))
    count, _, height, width = images.shape
    limits = (count, height - side + 1, width - side + 1)
    image, row, column = (torch.randint(limit, (SAMPLED,), generator=generator) for limit in limits)
    windows = images.unfold(2, side, 1).unfold(3, side, 1)  # (n, channels, rows, columns, side, side)
    return windows[image, :, row, column].flatten(1)


def _normalised(patches: Tensor) -> Tensor:
    centred = patches - patches.mean(dim=1, keepdim=True)
    return centred / (centred.square().mean(dim=1, keepdim=True) + PATCH_VARIANCE).sqrt()


def _filters(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Return filters that whiten and compare, (`FILTERS`, pixels), and what to subtract, (`FILTERS`,).

    Args:
        patches: normalised patches, float32 (`SAMPLED`, pixels).
    """
    mean = patches.mean(dim=0)
    values, vectors = torch.linalg.eigh(torch.cov((patches - mean).T).double())
    whitening = ((vectors * (values.clamp(min=0) + EIGENVALUE).rsqrt()) @ vectors.T).float()
    chosen = (patches[:FILTERS] - mean) @ whitening
    chosen = chosen / chosen.norm(dim=1, keepdim=True).clamp(min=1e-6)
    filters = chosen @ whitening
    shift = filters @ mean
    # A filter of mean 0 does not see the mean of a patch, which therefore needs not be subtracted.
    return filters - filters.mean(dim=1, keepdim=True), shift


def _pooled(images: Tensor, kernels: Tensor, shift: Tensor) -> Tensor:
    """Return the features of images, float32 (n, 5 * `FILTERS`)."""
    side = kernels.shape[2]
    found = []
    for batch in images.split(BATCH):
        mean = functional.avg_pool2d(batch.mean(dim=1, keepdim=True), side, 1)
        square = functional.avg_pool2d(batch.square().mean(dim=1, keepdim=True), side, 1)
        scale = ((square - mean.square()).clamp_(min=0) + PATCH_VARIANCE).rsqrt_()
        answers = functional.conv2d(batch, kernels) * scale - (shift + THRESHOLD).view(1, -1, 1, 1)
        largest = answers.amax(dim=(2, 3))
        quarters = functional.adaptive_avg_pool2d(answers.clamp_(min=0), 2).flatten(1)
        found.append(torch.cat([quarters, largest], dim=1))
    return torch.cat(found)
