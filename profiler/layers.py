"""Time and memory of every layer of a network during a training step.

A step is one line of time, cut whenever a layer begins. In the forward pass that is the call of its module,
in the backward pass the arrival of the gradient of its output. The time between two cuts belongs to the layer
that began, the gradients of its weights and Python's own work included. So the layers add up to the step by
construction, apart from the time of the cuts themselves.

Cuts are cheap. A layer's `forward` is wrapped, because hooks of modules take longer. The time that prepares a
cut of the backward pass is cut out. The network itself is unchanged: rectifiers still overwrite their input.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from advisor.cost.measurement import LayerTime
from profiler.clock import PhaseClock, clock_for
from profiler.workload import Prepared

LOSS = "loss"
# Phase of the timer's own work in a step, as far as it can be cut out.
CUTTING = ("step", "cutting")
# Operators whose multiply-adds count; fvcore counts a multiply-add as one.
MAC_OPERATORS = ("conv", "linear", "addmm", "matmul")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """Facts about one leaf module.

    Attributes:
        name: name of the node that it executes.
        kind: name of its class.
        output_bytes: bytes of its output for the whole batch.
        saved_bytes: bytes that it keeps for the backward pass, without weights and tensors of earlier layers.
        parameters: number of trainable scalars.
        macs: multiply-adds for one image, counted by fvcore and so independently of `advisor.networks.graph`.
    """

    name: str
    kind: str
    output_bytes: int
    saved_bytes: int
    parameters: int
    macs: int


class LayerTimer:
    """Times the layers of a step while it is attached to them.

    Args:
        module: network whose leaf modules are the layers.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, module: nn.Module, device: str) -> None:
        self._leaves = _leaves(module)
        self._device = device
        self._clock: PhaseClock | None = None
        self._running: Hashable = None
        self._after_last: Hashable = None
        self._last = next(reversed(self._leaves))

    def train(self, prepared: Prepared) -> PhaseClock:
        """Do one training step and return its clock, with phases (layer, pass) and the step's own."""
        self._begin(after_last=(LOSS, "forward"))
        prepared.eager_step(self._mark)
        return self._end()

    def infer(self, prepared: Prepared) -> PhaseClock:
        """Do one inference step and return its clock, with phases (layer, ``forward``)."""
        # Inference has no loss.
        self._begin(after_last=("step", "end"))
        prepared.inference_step()
        return self._end()

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Wrap the forward pass of every layer, and restore it at the end."""
        for name, module in self._leaves.items():
            vars(module)["forward"] = self._timed(name, module.forward)
        try:
            yield
        finally:
            for module in self._leaves.values():
                del vars(module)["forward"]

    def _begin(self, after_last: Hashable) -> None:
        self._running, self._after_last = ("step", "data"), after_last
        self._clock = clock_for(self._device)

    def _cut(self, what: Hashable) -> None:
        if self._clock is not None:
            self._clock.mark(self._running)
            self._running = what

    def _end(self) -> PhaseClock:
        clock, self._clock = self._clock, None
        assert clock is not None
        clock.mark(self._running)
        clock.stop()
        return clock

    def _mark(self, phase: str) -> None:
        """Cut at the end of a phase of the step; the gradient of the loss follows the forward pass."""
        following = {"data": ("step", "data"), "forward": (LOSS, "backward"), "backward": ("step", "update")}
        self._cut(following.get(phase, ("step", "end")))

    def _timed(self, name: str, forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return a layer's forward pass with cuts where it begins and where its backward pass begins."""
        forwards, backwards, is_last = (name, "forward"), (name, "backward"), name == self._last

        def arrived(_gradients: object) -> None:
            self._cut(backwards)

        def timed(*inputs: Tensor) -> Tensor:
            self._cut(forwards)
            output = forward(*inputs)
            if output.grad_fn is not None:
                self._cut(CUTTING)
                output.grad_fn.register_prehook(arrived)
                self._cut(forwards)
            if is_last:
                self._cut(self._after_last)
            return output

        return timed

    def times(self, training: list[PhaseClock], inference: list[PhaseClock]) -> tuple[LayerTime, ...]:
        """Return the median times of every layer in the order of execution, the loss last.

        Args:
            training: clocks of training steps.
            inference: clocks of inference steps.
        """
        steps, passes = [c.seconds() for c in training], [c.seconds() for c in inference]
        return tuple(
            LayerTime(
                name=node_name(name),
                forward_seconds=_median(steps, (name, "forward")),
                backward_seconds=_median(steps, (name, "backward")),
                inference_seconds=_median(passes, (name, "forward")),
            )
            for name in (*self._leaves, LOSS)
        )


def layer_facts(prepared: Prepared) -> list[LayerFacts]:
    """Do one training step and return facts about every leaf module in the order of execution."""
    output_bytes, saved_bytes = _bytes_of_layers(prepared)
    macs = layer_macs(prepared.module, prepared.example[:1])
    return [
        LayerFacts(
            name=node_name(name),
            kind=type(module).__name__,
            output_bytes=output_bytes[name],
            saved_bytes=saved_bytes.get(name, 0),
            parameters=sum(p.numel() for p in module.parameters()),
            macs=macs.get(name, 0),
        )
        for name, module in _leaves(prepared.module).items()
    ]


def layer_macs(module: nn.Module, example: Tensor) -> dict[str, int]:
    """Return the MACs of convolutions and linear layers by module name, counted by fvcore.

    Args:
        module: network to count.
        example: prepared input of one image, shape (1, channels, height, width).
    """
    training = module.training
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        # fvcore uses deprecated parts of torch.
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        module.eval()
        analysis = FlopCountAnalysis(module, example)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_module = analysis.by_module_and_operator()
        module.train(training)
    return {name: int(sum(ops.get(o, 0) for o in MAC_OPERATORS)) for name, ops in by_module.items()}


def node_name(module_name: str) -> str:
    """Return the name of the node that a module executes, as `trainer.networks.network` registers it."""
    return module_name.removeprefix("layers.").replace("_", ".")


def _bytes_of_layers(prepared: Prepared) -> tuple[dict[str, int], dict[str, int]]:
    """Do one training step and return the bytes of outputs and of saved tensors, by module name."""
    output_bytes: dict[str, int] = {}
    saved_bytes: dict[str, int] = {}
    # Weights, running statistics and tensors that an earlier layer saved do not count: they are kept anyway.
    module = prepared.module
    seen = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    running = [""]

    def enter(name: str) -> Callable[..., None]:
        return lambda *_: running.__setitem__(0, name)

    def leave(name: str) -> Callable[..., None]:
        def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            output_bytes[name] = output.numel() * output.element_size()
            running[0] = ""

        return note

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if running[0] and storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            saved_bytes[running[0]] = saved_bytes.get(running[0], 0) + storage.nbytes()
        return tensor

    handles: list[Any] = []
    for name, module in _leaves(prepared.module).items():
        handles.append(module.register_forward_pre_hook(enter(name)))
        handles.append(module.register_forward_hook(leave(name)))
    try:
        with saved_tensors_hooks(pack, lambda tensor: tensor):
            prepared.eager_step(lambda phase: None)
    finally:
        for handle in handles:
            handle.remove()
    return output_bytes, saved_bytes


def _leaves(module: nn.Module) -> dict[str, nn.Module]:
    return {name: m for name, m in module.named_modules() if not list(m.children())}


def _median(steps: list[dict[Hashable, float]], phase: Hashable) -> float:
    return float(np.median([step.get(phase, 0.0) for step in steps])) if steps else 0.0
