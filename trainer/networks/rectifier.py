"""A rectifier that overwrites its input, with fast kernels for large bfloat16 maps on a CPU.

torch rectifies bfloat16 by widening to float32 and rounding back. On a processor that fetches memory late
that takes many times as long as a comparison of whole numbers, and a fifth of a DenseNet's step
(`benchmarks/rectifier.py`). A bfloat16 below zero is an int16 below zero, so kernels of whole numbers give
the same bits. Only a NaN with a sign becomes 0: the trainer looks for NaN among the weights too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

# Elements from which the faster kernels make up for a function in Python.
FROM_ELEMENTS = 2**20


class ReLU(nn.ReLU):
    """Rectifier whose input no other layer reads."""

    def __init__(self) -> None:
        super().__init__(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input, whose negative elements are 0 now."""
        if _is_large_bfloat16(x) and not torch.compiler.is_compiling():
            rectified: Tensor = _Rectified.apply(x)
            return rectified
        return super().forward(x)


def _is_large_bfloat16(x: Tensor) -> bool:
    return x.dtype is torch.bfloat16 and x.device.type == "cpu" and x.numel() >= FROM_ELEMENTS


class _Rectified(Function):
    """Rectified input and its gradient, compared as whole numbers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x.view(torch.int16).clamp_min_(0)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (rectified,) = ctx.saved_tensors
        parts = gradient.view(torch.int16), rectified.view(torch.int16)
        slope: Tensor = torch.ops.aten.threshold_backward(*parts, 0)
        return slope.view(torch.bfloat16)
