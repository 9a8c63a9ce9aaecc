"""From the stored images of a batch to the inputs of a network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from advisor.plans.dataset import Augmentation
from trainer.data.augmentation import drawn, shifted
from trainer.data.batches import normalised


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """Augmentation and normalisation of training images.

    A batch is prepared in two parts: what depends on draws, and kernels that are the same for every batch, so
    that they can be recorded.

    Attributes:
        augmentation: kind of augmentation.
        mean: mean of the training pixels between 0 and 1, (channels,), on the device of the images.
        deviation: standard deviation of the training pixels between 0 and 1, (channels,), on that device.
        memory_format: ``channels_last`` or ``contiguous``.
    """

    augmentation: Augmentation
    mean: Tensor
    deviation: Tensor
    memory_format: str

    def drawn(self, images: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return images and shifts, as `trainer.data.augmentation.drawn`.

        Args:
            images: stored images, uint8 (batch, channels, height, width).
            seed: random seed of the augmentation.
        """
        return drawn(images, self.augmentation, seed)

    def inputs(self, images: Tensor, shifts: Tensor) -> Tensor:
        """Return the inputs of a network, float32 (batch, channels, height, width).

        Args:
            images: images as `drawn` returns them, uint8 (batch, channels, height, width).
            shifts: their shifts.
        """
        return normalised(shifted(images, shifts), self.mean, self.deviation, self.memory_format)
