"""A training step on tensors that stay where they are, recorded once as CUDA graphs and replayed.

A thin network leaves a GPU idle, because Python starts its kernels one by one. A graph starts them all at
once. Preparation, forward pass, backward pass and update are a graph each, so that a profiler can tell them
apart. They share one memory pool, and are recorded and replayed in this order.

Images, shifts, labels and learning rate are copied into tensors of the step before every replay. Weights,
momentum and running statistics stay where the network and the optimizer have them, so checkpoints and
evaluations see them. On a CPU nothing is recorded: the same phases are called again on the same tensors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from advisor.plans.execution import Execution
from trainer.data.preparation import Preparation
from trainer.training.optimizer import SGD
from trainer.training.step import Loss, Mark, autocast, predicted_classes

# Steps before the recording: kernels are chosen and libraries take their memory, which no graph may contain.
WARM_UP = 3
Phase = Callable[[], None]


class ReplayedStep:
    """All phases of a step on batches of one shape.

    It is recorded after some steps, which change the network: the caller restores its state.

    Args:
        network: network in training mode.
        optimizer: optimizer of the network's parameters, all of which have a momentum.
        preparation: augmentation and normalisation.
        loss_of: loss function to minimise.
        execution: device and arithmetic.
        batch: images and shifts, as `Preparation.drawn` returns them, and true classes, int64 (batch,).

    Raises:
        RuntimeError: the step cannot be recorded.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: SGD,
        preparation: Preparation,
        loss_of: Loss,
        execution: Execution,
        batch: tuple[Tensor, Tensor, Tensor],
    ) -> None:
        self._network, self._optimizer, self._loss_of = network, optimizer, loss_of
        self._preparation, self._execution = preparation, execution
        self._images, self._shifts, self._labels = (tensor.clone() for tensor in batch)
        on_cuda = execution.device == "cuda"
        # The update reads float32 on CUDA, and all digits on a CPU.
        self._rate = torch.zeros(
            (), dtype=torch.float32 if on_cuda else torch.float64, device=execution.device
        )
        self._inputs = self._loss = self._wrong = torch.zeros((), device=execution.device)
        # Without recordings the phases are asked for anew: kept, they would form a cycle with this object.
        self._replays = _recorded(self._phases()) if on_cuda else None

    def __call__(self, images: Tensor, shifts: Tensor, labels: Tensor, mark: Mark) -> tuple[Tensor, Tensor]:
        """Do one step on a batch of the same shape, as `Descent`.

        Returns:
            Sum of the losses and number of wrong answers, which the next step overwrites.
        """
        self._images.copy_(images)
        self._shifts.copy_(shifts)
        self._labels.copy_(labels)
        self._rate.fill_(self._optimizer.rate)
        for name, phase in (self._replays or self._phases()).items():
            phase()
            mark(name)
        return self._loss, self._wrong

    def _phases(self) -> dict[str, Phase]:
        return {
            "data": self._prepare,
            "forward": self._forward,
            "backward": self._backward,
            "optimizer": self._update,
        }

    def _prepare(self) -> None:
        self._inputs = self._preparation.inputs(self._images, self._shifts)

    def _forward(self) -> None:
        self._optimizer.zero_grad()
        with autocast(self._execution):
            logits = self._network(self._inputs)
        self._loss = self._loss_of(self._inputs, logits.float(), self._labels)
        self._wrong = (predicted_classes(logits.detach()) != self._labels).sum()

    def _backward(self) -> None:
        (self._loss / len(self._labels)).backward()
        # Nodes of this graph would take the gradients of later eager steps on another stream.
        self._loss = self._loss.detach()

    def _update(self) -> None:
        self._optimizer.step(self._rate)


def _recorded(phases: dict[str, Phase]) -> dict[str, Phase]:
    """Return replays of phases, after a few steps on the stream on which they are recorded.

    That is the current stream, unless it is the default one, on which nothing can be recorded.

    Raises:
        RuntimeError: a phase cannot be recorded. The current stream is as before.
    """
    current = torch.cuda.current_stream()
    stream = torch.cuda.Stream() if current == torch.cuda.default_stream() else current
    stream.wait_stream(current)
    try:
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                for phase in phases.values():
                    phase()
        current.wait_stream(stream)
        return _graphs(phases, stream)
    except BaseException:
        # Versions of torch leave the stream of a failed recording as the current one.
        torch.cuda.synchronize()
        torch.cuda.set_stream(current)
        raise


def _graphs(phases: dict[str, Phase], stream: torch.cuda.Stream) -> dict[str, Phase]:
    pool = torch.cuda.graph_pool_handle()
    replays: dict[str, Phase] = {}
    for name, phase in phases.items():
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=stream):
            phase()
        replays[name] = graph.replay
    return replays
