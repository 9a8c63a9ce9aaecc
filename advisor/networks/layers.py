"""A layer, the blocks of a network, and the task that a network is built for."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.errors import UsageError


@dataclass(frozen=True, slots=True, order=True)
class Layer:
    """One layer of a block: kernel size (1 in `mlp`) and number of filters or units."""

    kernel: int
    filters: int


Blocks = tuple[tuple[Layer, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Image shape and number of classes that a network is built for."""

    channels: int
    height: int
    width: int
    classes: int

    def __post_init__(self) -> None:
        if self.channels < 1 or self.height < 8 or self.width < 8:
            raise UsageError(
                f"input {self.text}: images need at least 1 channel and 8x8 pixels, for example 3x32x32"
            )
        if self.classes < 2:
            raise UsageError(f"a classifier needs at least 2 classes, got {self.classes}")

    @property
    def text(self) -> str:
        """Shape as ``3x32x32``."""
        return f"{self.channels}x{self.height}x{self.width}"

    @classmethod
    def parse(cls, text: str, classes: int) -> Task:
        """Read ``3x32x32``.

        Raises:
            UsageError: another form of text, or sizes out of range.
        """
        parts = text.lower().split("x")
        if len(parts) != 3 or not all(part.isdecimal() and len(part) <= 6 for part in parts):
            raise UsageError(f"cannot read input shape {text!r}: write channels x height x width, as 3x32x32")
        channels, height, width = (int(part) for part in parts)
        return cls(channels=channels, height=height, width=width, classes=classes)
