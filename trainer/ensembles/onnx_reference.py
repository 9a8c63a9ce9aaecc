"""ONNX's reference interpreter, with pooling that computes whole maps.

The interpreter's own pooling visits every place of every map in Python. For the shortcuts of a small ResNet
and 256 images of 32×32 that takes half a minute, for photographs hours. Here numpy averages all places at
once. `trainer.ensembles.export` imports this module only where ONNX is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops import op_average_pool, op_max_pool


def reference_of(path: Path) -> ReferenceEvaluator:
    """Return an interpreter of an ONNX file."""
    return ReferenceEvaluator(str(path), new_ops=[AveragePool, MaxPool])


def windows_of(images: NDArray[Any], kernel: Sequence[int], strides: Sequence[int]) -> NDArray[Any]:
    """Return the windows of maps, shape (batch, channels, *places, *kernel).

    Args:
        images: maps, shape (batch, channels, *sizes).
        kernel: sizes of a window.
        strides: distance of windows in every direction.
    """
    axes = tuple(range(2, images.ndim))
    windows = sliding_window_view(images, tuple(kernel), axis=axes)
    places = (slice(None), slice(None), *(slice(None, None, stride) for stride in strides))
    return windows[places]


def _plain(settings: dict[str, Any]) -> bool:
    """Return whether windows are neither padded nor dilated, nor reach beyond the map."""
    return (
        settings.get("auto_pad") in (None, "NOTSET")
        and not settings.get("ceil_mode")
        and not any(settings.get("pads") or ())
        and all(each == 1 for each in settings.get("dilations") or ())
    )


class AveragePool(op_average_pool.AveragePool_19):
    """Average pooling; padded or dilated windows are left to the interpreter."""

    op_domain = ""

    def _run(self, x: NDArray[Any], **settings: Any) -> tuple[NDArray[Any], ...]:  # type: ignore[override]
        if not _plain(settings):
            found: tuple[NDArray[Any], ...] = super()._run(x, **settings)  # type: ignore[no-untyped-call]
            return found
        kernel = settings["kernel_shape"]
        windows = windows_of(x, kernel, settings.get("strides") or [1] * len(kernel))
        return (windows.mean(axis=tuple(range(x.ndim, windows.ndim)), dtype=x.dtype),)


class MaxPool(op_max_pool.MaxPool):
    """Maximum pooling; padded or dilated windows are left to the interpreter."""

    op_domain = ""

    def _run(self, x: NDArray[Any], **settings: Any) -> tuple[NDArray[Any], ...]:  # type: ignore[override]
        if not _plain(settings) or len(self.output) > 1:
            found: tuple[NDArray[Any], ...] = super()._run(x, **settings)  # type: ignore[no-untyped-call]
            return found
        kernel = settings["kernel_shape"]
        windows = windows_of(x, kernel, settings.get("strides") or [1] * len(kernel))
        return (windows.max(axis=tuple(range(x.ndim, windows.ndim))),)
