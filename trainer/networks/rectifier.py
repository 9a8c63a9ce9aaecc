"""A rectifier that overwrites its input, with fast kernels for large bfloat16 maps on a CPU.

torch rectifies bfloat16 by widening to float32 and rounding back. On a processor with AMX that took a fifth
of a DenseNet's step (`benchmarks/speed_dense.py`). A bfloat16 below zero is an int16 below zero, so kernels
of whole numbers give the same bits for all numbers but two kinds. A zero with a sign loses it, which no sum
shows. And nearly every NaN that is computed has a sign, so it becomes 0, and the loss may look finite: the
trainer finds a divergence by its weights and running statistics, which are NaN then.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

# Elements from which the faster kernels make up for a function in Python.
FROM_ELEMENTS = 2**20


class ReLU(nn.ReLU):
    """Rectifier whose input no other layer reads."""

    def __init__(self) -> None:
        super().__init__(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input, whose negative elements are 0 now."""
        # The question about the size comes last: it would bind an exported network to it.
        if self.inplace and not torch.compiler.is_compiling() and _is_large_bfloat16(x):
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
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (rectified,) = ctx.saved_tensors
        parts = gradient.view(torch.int16), rectified.view(torch.int16)
        slope: Tensor = torch.ops.aten.threshold_backward(*parts, 0)
        return slope.view(torch.bfloat16)
