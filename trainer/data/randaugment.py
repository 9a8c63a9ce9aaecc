"""RandAugment (Cubuk et al. 2020, arXiv:1909.13719) of whole batches: N operations an image, at magnitude M.

Every image has operations and signs of its own. A round sorts the batch by operation, transforms group by
group and puts every image back in its place. Ranges and arithmetic are those of torchvision's
`transforms.v2.RandAugment`, which transforms one image at a time. All geometric operations together are one
affine sampling of the nearest neighbour, with zeros from outside the image.

NumPy draws the operations. The sizes of the groups are then known without waiting for a GPU, and also where
tensors are fake (`profiler.simulation`). No operation is a convolution or a matrix product: the trainer lets
these round to TF32 on CUDA, and cuDNN would tune them again for every size of a group.

Notation: images are uint8 (b, c, h, w) for b images of c channels, h rows and w columns; signs are 1 or −1,
float32 (b, 1, 1, 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trainer.data.batches import without_waiting

# N, and M in the range 0 to 30 of torchvision's magnitudes.
OPERATIONS_EACH, MAGNITUDE, LARGEST_MAGNITUDE = 2, 14, 30
WHITE = 255


def _of_range(largest: float) -> float:
    """Return the strength of an operation at magnitude M, rounded to float32 as in torchvision."""
    return float(np.float32(largest * MAGNITUDE / LARGEST_MAGNITUDE))


# Strengths of the operations: slope, degrees, share of the image size, change of the factor of a blend,
# number of bits that remain, and darkest pixel that is inverted.
SHEAR, ROTATION, SHIFT = _of_range(0.3), _of_range(30.0), 150 / 331
BLEND = _of_range(0.9)
BITS = 8 - round(4 * MAGNITUDE / LARGEST_MAGNITUDE)
SOLARIZE_FROM = math.ceil(WHITE * (LARGEST_MAGNITUDE - MAGNITUDE) / LARGEST_MAGNITUDE)


def randaugmented(images: Tensor, seed: int) -> Tensor:
    """Return every image after `OPERATIONS_EACH` operations of its own.

    Args:
        images: images, uint8 (b, c, h, w); they have colours only if c is 3.
        seed: random seed; operations and signs depend only on it and on b.

    Returns:
        New images, uint8 (b, c, h, w), on the same device.
    """
    draw = np.random.default_rng(seed)
    for _ in range(OPERATIONS_EACH):
        kinds = draw.integers(len(OPERATIONS), size=len(images))
        images = transformed(images, kinds, 2 * draw.integers(2, size=len(images)) - 1)
    return images


def transformed(images: Tensor, kinds: NDArray[np.int64], signs: NDArray[np.int64]) -> Tensor:
    """Return every image after one operation.

    Args:
        images: images, uint8 (b, c, h, w).
        kinds: index into `OPERATIONS` for each image, int64 (b,).
        signs: direction for each image, 1 or −1, int64 (b,); some operations have no direction.

    Returns:
        New images, uint8 (b, c, h, w).
    """
    order = np.argsort(kinds, kind="stable")
    kinds, signs = kinds[order], signs[order]
    sizes = np.bincount(kinds, minlength=len(OPERATIONS)).tolist()
    geometric = sum(sizes[: len(GEOMETRIC)])
    # Index into the given batch for each place in the sorted batch, and the reverse.
    there, back = (without_waiting(torch.from_numpy(o), images.device) for o in (order, np.argsort(order)))
    directions = without_waiting(torch.from_numpy(signs.astype(np.float32)), images.device).view(-1, 1, 1, 1)
    lengths = [geometric, *sizes[len(GEOMETRIC) :]]
    moved, *groups = images.index_select(0, there).split(lengths)
    _, *towards = directions.split(lengths)
    parts = [sampled(moved, _matrices(kinds[:geometric], signs[:geometric], *images.shape[2:]))]
    for function, group, direction in zip(PIXELWISE.values(), groups, towards, strict=True):
        if len(group):
            parts.append(function(group, direction))
    return torch.cat(parts).index_select(0, back)


def sampled(images: Tensor, matrices: Tensor) -> Tensor:
    """Return images that are transformed by affine maps, with the nearest pixel, or 0 from outside.

    Args:
        images: images, uint8 (b, c, h, w).
        matrices: affine map of each image, float32 (b, 2, 3). It maps a pixel (x, y, 1) of the result to its
            source, both in pixels from the centre.
    """
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = torch.arange(height, device=images.device)[:, None] - (height - 1) / 2
    maps = without_waiting(matrices, images.device)
    of_x, of_y, shift = maps[..., None, None].unbind(2)  # (b, 2, 1, 1) each
    columns, rows = (of_x * x + of_y * y + shift).unbind(1)  # (b, h, w) each
    columns, rows = (columns + (width - 1) / 2).round().long(), (rows + (height - 1) / 2).round().long()
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    places = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    picked = images.flatten(2).gather(2, places.flatten(1)[:, None].expand(-1, images.shape[1], -1))
    return picked.view_as(images) * inside[:, None]


def _matrices(kinds: NDArray[np.int64], signs: NDArray[np.int64], height: int, width: int) -> Tensor:
    """Return the affine map of each image for `sampled`, float32 (b, 2, 3)."""
    table = [_inverse(name, sign, height, width) for name in GEOMETRIC for sign in (-1, 1)]
    return torch.tensor(table, dtype=torch.float32)[torch.from_numpy(2 * kinds + (signs > 0))]


def _inverse(name: str, sign: int, height: int, width: int) -> list[list[float]]:
    """Return the affine map of a geometric operation, from the result to its source, (2, 3)."""
    slope, angle = sign * SHEAR, math.radians(sign * ROTATION)
    right, down = (sign * int(_of_range(SHIFT * size)) for size in (width, height))
    return {
        # The upper left corner stays in its place.
        "ShearX": [[1.0, slope, slope * height / 2], [0.0, 1.0, 0.0]],
        "ShearY": [[1.0, 0.0, 0.0], [slope, 1.0, slope * width / 2]],
        "TranslateX": [[1.0, 0.0, -right], [0.0, 1.0, 0.0]],
        "TranslateY": [[1.0, 0.0, 0.0], [0.0, 1.0, -down]],
        "Rotate": [[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]],
    }[name]


def _unchanged(images: Tensor, signs: Tensor) -> Tensor:
    return images


def _brightness(images: Tensor, signs: Tensor) -> Tensor:
    return _as_pixels(images * (1 + BLEND * signs))


def _color(images: Tensor, signs: Tensor) -> Tensor:
    return _blended(images, _grey(images).floor_(), signs) if images.shape[1] == 3 else images


def _contrast(images: Tensor, signs: Tensor) -> Tensor:
    grey = _grey(images).floor_() if images.shape[1] == 3 else images.float()
    return _blended(images, grey.mean(dim=(1, 2, 3), keepdim=True), signs)


def _sharpness(images: Tensor, signs: Tensor) -> Tensor:
    """Blend with the weighted mean of 3x3 pixels, whose middle has weight 5; the border stays."""
    if min(images.shape[2:]) < 3:
        return images
    result = images.float()
    middle = result[..., 1:-1, 1:-1]
    rows = result[..., :-2, :] + result[..., 1:-1, :] + result[..., 2:, :]
    summed = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * middle
    blurred = summed.div_(13).round_()
    middle.copy_(torch.addcmul(middle, blurred.sub_(middle), -BLEND * signs))
    return _as_pixels(result)


def _posterize(images: Tensor, signs: Tensor) -> Tensor:
    return images & (WHITE >> BITS ^ WHITE)


def _solarize(images: Tensor, signs: Tensor) -> Tensor:
    return torch.where(images >= SOLARIZE_FROM, WHITE - images, images)


def _autocontrast(images: Tensor, signs: Tensor) -> Tensor:
    """Stretch the values of every channel to 0 … 255; a channel of a single value stays."""
    values = images.float()
    low, high = values.amin(dim=(2, 3), keepdim=True), values.amax(dim=(2, 3), keepdim=True)
    flat = low == high
    scale = ((high - low) * (1 / WHITE)).masked_fill_(flat, 1.0)
    return _as_pixels((values - low.masked_fill(flat, 0.0)) / scale)


def _equalize(images: Tensor, signs: Tensor) -> Tensor:
    """Equalise the histogram of every channel, by the integer arithmetic of Pillow."""
    values = images.flatten(2).long()  # (b, c, h * w)
    counts = torch.zeros((*values.shape[:2], WHITE + 1), dtype=torch.long, device=images.device)
    counts.scatter_add_(2, values, torch.ones_like(values))
    brightest = (values == values.amax(dim=2, keepdim=True)).sum(dim=2, keepdim=True)
    step = (values.shape[2] - brightest) // WHITE
    table = (counts.cumsum(2)[..., :-1] + step // 2) // step.clamp(min=1)
    table = functional.pad(table.clamp_(0, WHITE), (1, 0))
    return torch.where(step > 0, table.gather(2, values), values).to(torch.uint8).view_as(images)


def _grey(images: Tensor) -> Tensor:
    """Return the luma, float32 (b, 1, h, w), with the weights of ITU-R 601 as rounded in torchvision."""
    red, green, blue = images.split(1, dim=1)
    grey: Tensor = red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114)
    return grey


def _blended(images: Tensor, other: Tensor, signs: Tensor) -> Tensor:
    """Move images away from other images (sign 1) or towards them (sign −1)."""
    return _as_pixels(torch.addcmul(images * (1 + BLEND * signs), other, -BLEND * signs))


def _as_pixels(values: Tensor) -> Tensor:
    return values.clamp_(0, WHITE).to(torch.uint8)


GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
PIXELWISE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Identity": _unchanged,
    "Brightness": _brightness,
    "Color": _color,
    "Contrast": _contrast,
    "Sharpness": _sharpness,
    "Posterize": _posterize,
    "Solarize": _solarize,
    "AutoContrast": _autocontrast,
    "Equalize": _equalize,
}
OPERATIONS = (*GEOMETRIC, *PIXELWISE)
