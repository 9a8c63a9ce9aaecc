"""Faster ways of executing a training step, each tried beside the eager way before it is used.

`torch.compile` and CUDA graphs can fail, and a graph that is wrong does not say so. The first batch is
therefore trained in both ways from one state. The faster way is used only if it changes weights, running
statistics and momentum alike. The state is restored after the trial, so the training begins from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from advisor.errors import StepModeError
from advisor.plans.execution import COMPILED, EAGER, Execution
from trainer.training.optimizer import SGD
from trainer.training.replay import ReplayedStep
from trainer.training.step import Descent, Loss, Mark, descend, label_loss, ran_out_of_memory, unmarked

# Largest difference between the two ways after one step, as a share of the step. A step that is left out, or
# computed from other images, differs by 1 and more. The rounding of bfloat16 alone was up to 0.3 (VGG).
AGREEMENT = 0.5
# Learning rate of a trial. The first rate of a schedule may be too small to show a difference.
TRIAL_RATE = 0.1
# Receiver of the reason why a mode cannot be used.
Refuse = Callable[[StepModeError], None]


def descent_in_mode(
    network: nn.Module, optimizer: SGD, execution: Execution, refuse: Refuse, loss_of: Loss = label_loss
) -> Descent | None:
    """Return what executes steps in the mode of a plan; None if steps are eager.

    Args:
        network: network in training mode, on its device.
        optimizer: optimizer of its parameters.
        execution: settings of the plan.
        refuse: receiver of the reason if the mode fails on the first batch; steps are eager then, unless it
            raises.
        loss_of: loss function to minimise.
    """
    if execution.step_mode == EAGER:
        return None
    return _Tried(network, optimizer, execution, refuse, loss_of)


class _Tried:
    """Descent that is built and tried on its first batch, whose shape all others must have.

    Arguments: as `descent_in_mode`.
    """

    def __init__(
        self, network: nn.Module, optimizer: SGD, execution: Execution, refuse: Refuse, loss_of: Loss
    ) -> None:
        self._network, self._optimizer, self._execution = network, optimizer, execution
        self._refuse, self._loss_of = refuse, loss_of
        self._descent: Descent | None = None

    def __call__(self, inputs: Tensor, labels: Tensor, mark: Mark) -> tuple[Tensor, Tensor]:
        """Do one step, as `Descent`."""
        if self._descent is None:
            try:
                self._descent = self._tried(inputs, labels)
            except StepModeError as error:
                self._refuse(error)
                self._descent = self._eager
        return self._descent(inputs, labels, mark)

    def _tried(self, inputs: Tensor, labels: Tensor) -> Descent:
        """Return the descent of the mode if it agrees with the eager one."""
        with _restored(self._network, self._optimizer) as state:
            self._eager(inputs, labels, unmarked)
            expected = state.changes()
            state.restore()
            try:
                # Recorded on other images: a graph that does not read its inputs anew would differ.
                descent = self._built(inputs.flip(0), labels)
                state.restore()
                descent(inputs, labels, unmarked)
            except Exception as error:
                if isinstance(error, RuntimeError) and ran_out_of_memory(error):
                    raise
                raise StepModeError(
                    self._failure(str(error).splitlines() or [type(error).__name__])
                ) from None
            found = state.changes()
        difference = max(_distance(*pair) for pair in zip(found, expected, strict=True))
        # Not a number is no agreement.
        if not difference <= AGREEMENT:
            raise StepModeError(self._failure([f"a step differs from an eager one by {difference:.0%}"]))
        return descent

    def _failure(self, reason: list[str]) -> str:
        return f"steps in the mode {self._execution.step_mode!r} are not possible here: {reason[0]}"

    def _built(self, inputs: Tensor, labels: Tensor) -> Descent:
        if self._execution.step_mode != COMPILED:
            return ReplayedStep(
                self._network, self._optimizer, self._loss_of, self._execution, inputs, labels
            )
        compiled = _compiled(self._network)
        return lambda inputs, labels, mark: self._descended(compiled, inputs, labels, mark)

    def _eager(self, inputs: Tensor, labels: Tensor, mark: Mark) -> tuple[Tensor, Tensor]:
        return self._descended(self._network, inputs, labels, mark)

    def _descended(
        self, module: Callable[[Tensor], Tensor], inputs: Tensor, labels: Tensor, mark: Mark
    ) -> tuple[Tensor, Tensor]:
        self._optimizer.zero_grad()
        return descend(
            module,
            self._optimizer,
            inputs,
            labels,
            len(labels),
            self._execution,
            loss_of=self._loss_of,
            mark=mark,
        )


def _compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return a network that is compiled for one shape at its first call."""
    from torch._inductor import config

    # This process compiles, because helpers would outlive the training and take the cores of its neighbours.
    config.compile_threads = 1
    return torch.compile(network, dynamic=False)


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

    def changes(self) -> list[Tensor]:
        """Return by how much each group has changed, one float64 vector a group; counters are left out."""
        return [
            torch.cat([torch.zeros(1, dtype=torch.float64), *_differences(now, then)])
            for now, then in zip(self._groups, self._kept, strict=True)
        ]


def _differences(now: Sequence[Tensor], then: Sequence[Tensor]) -> Iterator[Tensor]:
    for tensor, kept in zip(now, then, strict=True):
        if tensor.is_floating_point():
            yield (tensor - kept).double().flatten().cpu()


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


def _distance(found: Tensor, expected: Tensor) -> float:
    """Return the distance of two vectors as a share of the second one; 0 if both are 0."""
    distance = float((found - expected).norm())
    return distance and distance / max(float(expected.norm()), 1e-30)
