"""SGD with momentum and weight decay, as `torch.optim.SGD` computes it.

The class of torch imports torch's compiler with the first optimizer of a process. That takes more than a
second, which a short training does not have.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd


class SGD:
    """SGD of the parameters of a network.

    Args:
        network: network whose parameters are changed, on its device already.
        momentum: share of the last change that goes on, between 0 and 1.
        weight_decay: factor of the weights that is added to their gradients.

    Attributes:
        rate: learning rate of the next step; 0 at first.
    """

    def __init__(self, network: nn.Module, momentum: float, weight_decay: float) -> None:
        self.rate = 0.0
        self._momentum, self._weight_decay = momentum, weight_decay
        self._parameters = dict(network.named_parameters())
        self._buffers: dict[str, Tensor] = {}

    @property
    def momentum(self) -> Mapping[str, Tensor]:
        """Momentum of every parameter that has made a step, by its name in the network."""
        return self._buffers

    def restore(self, momentum: Mapping[str, Tensor]) -> None:
        """Go on with the momentum of an earlier process.

        Args:
            momentum: by the names of parameters; further names are ignored.

        Raises:
            ValueError: a tensor has not the shape of its parameter, which the text names.
        """
        for name, parameter in self._parameters.items():
            if name not in momentum:
                continue
            # A copy would stretch a smaller one without a word.
            if momentum[name].shape != parameter.shape:
                raise ValueError(
                    f"the momentum of {name} must have the shape of its weights {tuple(parameter.shape)}, "
                    f"got {tuple(momentum[name].shape)}"
                )
            self._buffers[name] = torch.empty_like(parameter).copy_(momentum[name])

    def fill_momentum(self) -> None:
        """Give a momentum of 0 to every parameter that has none; its next step is that of a first step."""
        if self._momentum:
            for name, parameter in self._parameters.items():
                if name not in self._buffers:
                    self._buffers[name] = torch.zeros_like(parameter)

    def zero_grad(self) -> None:
        """Drop all gradients, so that the next backward pass writes new ones."""
        for parameter in self._parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: Tensor | None = None) -> None:
        """Change all parameters that have a gradient.

        Args:
            rate: learning rate without dimensions, on the device of the network, in place of `rate`: a
                recorded step reads it anew every time.
        """
        moved = {name: p for name, p in self._parameters.items() if p.grad is not None}
        buffers = [self._buffers.get(name) for name in moved] if self._momentum else []
        sgd(
            list(moved.values()),
            [p.grad for p in moved.values() if p.grad is not None],
            buffers,
            fused=True,
            weight_decay=self._weight_decay,
            momentum=self._momentum,
            lr=self.rate if rate is None else rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        self._buffers |= {name: made for name, made in zip(moved, buffers, strict=False) if made is not None}
