"""Faster ways of executing a training step, each tried beside the eager way before it is used.

`torch.compile` and CUDA graphs can fail, and a graph that is wrong does not say so. The first batch is
therefore trained in both ways from one state. The faster way is used only if it changes weights, running
statistics and momentum alike. The state is restored after the trial, so the training begins from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from advisor.errors import StepModeError
from advisor.plans.execution import COMPILED, EAGER, Execution
from trainer.data.preparation import Preparation
from trainer.training.optimizer import SGD
from trainer.training.replay import ReplayedStep
from trainer.training.step import Descent, Loss, Mark, descend, label_loss, ran_out_of_memory, unmarked

# Largest difference between the two ways after one step, as a share of the step. A step that is left out, or
# computed from other images, differs by 1 and more. The rounding of bfloat16 alone was up to 0.3 (VGG).
AGREEMENT = 0.5
# Learning rate of a trial. The first rate of a schedule may be too small to show a difference.
TRIAL_RATE = 0.1
# Networks that a process compiles at most.
MOST_COMPILED = 4096
# Receiver of the reason why a mode cannot be used.
Refuse = Callable[[StepModeError], None]


def descent_in_mode(
    network: nn.Module,
    optimizer: SGD,
    preparation: Preparation,
    execution: Execution,
    refuse: Refuse | None = None,
    loss_of: Loss = label_loss,
) -> Descent | None:
    """Return what executes steps in the mode of a plan; None if steps are eager.

    Args:
        network: network in training mode, on its device.
        optimizer: optimizer of its parameters.
        preparation: augmentation and normalisation.
        execution: settings of the plan.
        refuse: receiver of the reason if the mode fails on the first batch; steps are eager then. Without one
            the reason is raised.
        loss_of: loss function to minimise.
    """
    if execution.step_mode == EAGER:
        return None
    return _Tried(network, optimizer, preparation, execution, refuse, loss_of)


class _Tried:
    """Descent that is built and tried on its first batch, whose shape all others must have.

    Arguments: as `descent_in_mode`.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: SGD,
        preparation: Preparation,
        execution: Execution,
        refuse: Refuse | None,
        loss_of: Loss,
    ) -> None:
        self._network, self._optimizer, self._execution = network, optimizer, execution
        self._preparation, self._refuse, self._loss_of = preparation, refuse, loss_of
        self._descent: Descent | None = None

    def __call__(self, images: Tensor, shifts: Tensor, labels: Tensor, mark: Mark) -> tuple[Tensor, Tensor]:
        """Do one step, as `Descent`."""
        if self._descent is None:
            try:
                self._descent = self._tried(images, shifts, labels)
            except StepModeError as error:
                if self._refuse is None:
                    raise
                self._refuse(error)
                self._descent = self._by(self._network)
        return self._descent(images, shifts, labels, mark)

    def _tried(self, images: Tensor, shifts: Tensor, labels: Tensor) -> Descent:
        """Return the descent of the mode if it agrees with the eager one."""
        with _restored(self._network, self._optimizer) as state:
            self._by(self._network)(images, shifts, labels, unmarked)
            expected = state.changes()
            state.restore()
            try:
                # Recorded on another batch: a graph that does not read its tensors anew would differ.
                descent = self._built(images.flip(0), shifts.roll(1, 0), labels.roll(2))
                state.restore()
                descent(images, shifts, labels, unmarked)
                found = state.changes()
            # Want of memory too: the eager step had enough.
            except Exception as error:
                _forget_memory(error)
                raise StepModeError(self._failure(_reason(error))) from None
        self._require_agreement(found, expected)
        return descent

    def _require_agreement(self, found: list[list[Tensor]], expected: list[list[Tensor]]) -> None:
        """Refuse changes of the state that are not those of an eager step.

        Raises:
            StepModeError: one of the three kinds differs by more than rounding, or a tensor did not change.
        """
        for own, wanted in zip(found, expected, strict=True):
            pairs = list(zip(own, wanted, strict=True))
            if any(bool(w.any()) and not bool(o.any()) for o, w in pairs):
                raise StepModeError(self._failure("a step leaves out a part of the network"))
            difference, size = _norm([o - w for o, w in pairs]), _norm(wanted)
            # Not a number is no agreement.
            if not difference <= AGREEMENT * size:
                share = difference / max(size, 1e-30)
                raise StepModeError(self._failure(f"a step differs from an eager one by {share:.0%}"))

    def _failure(self, reason: str) -> str:
        return f"steps in the mode {self._execution.step_mode!r} are not possible here: {reason}"

    def _built(self, images: Tensor, shifts: Tensor, labels: Tensor) -> Descent:
        if self._execution.step_mode != COMPILED:
            return ReplayedStep(
                self._network,
                self._optimizer,
                self._preparation,
                self._loss_of,
                self._execution,
                (images, shifts, labels),
            )
        return self._by(_compiled(self._network))

    def _by(self, module: Callable[[Tensor], Tensor]) -> Descent:
        """Return the descent by a module; without this object, which would live on in a cycle."""
        return partial(_descended, module, self._optimizer, self._preparation, self._execution, self._loss_of)


def _descended(
    module: Callable[[Tensor], Tensor],
    optimizer: SGD,
    preparation: Preparation,
    execution: Execution,
    loss_of: Loss,
    images: Tensor,
    shifts: Tensor,
    labels: Tensor,
    mark: Mark,
) -> tuple[Tensor, Tensor]:
    inputs = preparation.inputs(images, shifts)
    mark("data")
    return descend(module, optimizer, inputs, labels, len(labels), execution, loss_of=loss_of, mark=mark)


def _compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return a network that is compiled for one shape at its first call."""
    from torch._dynamo import config as tracing
    from torch._inductor import config as building

    # This process compiles, because helpers would outlive the training and take the cores of its neighbours.
    building.compile_threads = 1
    # All networks have one forward pass to torch, which by default compiles a few and leaves others eager.
    tracing.recompile_limit = tracing.accumulated_recompile_limit = MOST_COMPILED
    return torch.compile(network, dynamic=False, fullgraph=True)


class _State:
    """Weights, running statistics and momentum as they were.

    Args:
        network: network.
        optimizer: optimizer of its parameters, whose momentum begins at 0 where it has none.
    """

    def __init__(self, network: nn.Module, optimizer: SGD) -> None:
        optimizer.fill_momentum()
        self._groups: list[list[Tensor]] = [
            [p.detach() for p in network.parameters()],
            list(network.buffers()),
            list(optimizer.momentum.values()),
        ]
        self._kept = [[tensor.clone() for tensor in group] for group in self._groups]

    def restore(self) -> None:
        """Bring back what was."""
        for now, then in zip(self._groups, self._kept, strict=True):
            for tensor, kept in zip(now, then, strict=True):
                tensor.copy_(kept)

    def changes(self) -> list[list[Tensor]]:
        """Return by how much weights, running statistics and momentum have changed, without counters."""
        return [
            [(t - k).double() for t, k in zip(now, then, strict=True) if t.is_floating_point()]
            for now, then in zip(self._groups, self._kept, strict=True)
        ]


@contextmanager
def _restored(network: nn.Module, optimizer: SGD) -> Iterator[_State]:
    """Restore the state and the rate at the end of this context; the rate in it is that of a trial."""
    state, rate = _State(network, optimizer), optimizer.rate
    optimizer.rate = TRIAL_RATE
    try:
        yield state
    finally:
        state.restore()
        optimizer.rate = rate


def _norm(changes: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(change.square().sum()) for change in changes))


def _reason(error: BaseException) -> str:
    """Return the first line of the error that was first: a failed recording ends with errors of its own."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error).splitlines() or [type(error).__name__])[0]


def _forget_memory(error: Exception) -> None:
    """Give back what an attempt for which memory was short has left, so that eager steps have it."""
    if isinstance(error, RuntimeError) and ran_out_of_memory(error) and torch.cuda.is_available():
        torch.cuda.empty_cache()
