"""Small data folders, drawn for a test."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

ORIENTATION = 0x0112


def draw(path: Path, array: np.ndarray, *, orientation: int | None = None) -> Path:
    """Write an array as an image file, stored as it is, with an orientation in EXIF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    Image.fromarray(array).save(path, exif=exif)
    return path


def draw_folder(
    place: Path,
    classes: Sequence[str] = ("a", "b"),
    *,
    train: int = 6,
    test: int = 2,
    size: tuple[int, int] = (8, 8),
    suffix: str = ".png",
) -> Path:
    """Write a folder of coloured noise, whose classes are told apart by their brightness."""
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        for label, name in enumerate(classes):
            for i in range(count):
                noise = random.integers(0, 60, (*size, 3)) + 180 * (label % 2)
                draw(place / split / name / f"{i:03}{suffix}", noise.astype(np.uint8))
    return place


def rgb16(levels: np.ndarray) -> bytes:
    """Return a PNG of 16 bits a channel, which Pillow cannot write."""
    height, width, _ = levels.shape
    return png(height, width, 16, 2, b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels))


def png(height: int, width: int, bits: int, colour_type: int, rows: bytes) -> bytes:
    """Return a PNG whose header may say what the rows do not keep."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
