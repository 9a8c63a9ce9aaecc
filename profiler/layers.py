"""Time and memory of every layer of a network: where a step goes.

A step is one line of time, cut at every moment when a layer begins: in the forward pass when its module is
called, in the backward pass when the gradient of its output arrives at the autograd graph. What lies between
two cuts belongs to the layer that began, the weights' gradients and Python's own work included, so that
layers add up to the step by construction, up to what the cuts themselves cost. They are kept cheap for that:
a layer's `forward` is wrapped, since hooks of modules take longer, and the time in which a cut of the
backward pass is prepared is cut out. Nothing is taken out of place: rectifiers go on overwriting their input.
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
# What the timer itself does in a step, as far as it can be cut out.
CUTTING = ("step", "cutting")
# fvcore counts a multiply-add as one; these are the operators that carry MACs here.
MAC_OPERATORS = ("conv", "linear", "addmm", "matmul")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """What one leaf module is and holds.

    Attributes:
        name: of the node that it executes.
        kind: its class.
        output_bytes: of its output for the whole batch.
        saved_bytes: that it keeps for the backward pass, weights and what earlier layers keep left out.
        parameters: trainable scalars.
        macs: multiply-adds for one image, counted by fvcore: a check of `advisor.networks.graph` by another
            route.
    """

    name: str
    kind: str
    output_bytes: int
    saved_bytes: int
    parameters: int
    macs: int


class LayerTimer:
    """Cuts steps into layers while it is attached.

    Args:
        module: network whose leaves are the layers.
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
        """Do one training step; the clock's phases are (layer, pass), and the step's own."""
        self._begin(after_last=(LOSS, "forward"))
        prepared.train_step(self._mark)
        return self._end()

    def infer(self, prepared: Prepared) -> PhaseClock:
        """Do one inference step; the clock's phases are (layer, ``forward``)."""
        # Inference has no loss.
        self._begin(after_last=("step", "end"))
        prepared.inference_step()
        return self._end()

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Attach to every layer."""
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
        """The step's own marks: what follows the forward pass is the loss's gradient, and so on."""
        following = {"data": ("step", "data"), "forward": (LOSS, "backward"), "backward": ("step", "update")}
        self._cut(following.get(phase, ("step", "end")))

    def _timed(self, name: str, forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Wrap a layer's forward pass so that the step is cut where it and its backward pass begin."""
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
        """Return the medians of every layer in the order of execution, the loss last."""
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
    """Return every leaf module in the order of execution, after one training step."""
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
        module: network.
        example: prepared input of one image, (1, channels, height, width).
    """
    training = module.training
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        # fvcore traces with parts of torch that are announced to go.
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        module.eval()
        analysis = FlopCountAnalysis(module, example)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_module = analysis.by_module_and_operator()
        module.train(training)
    return {name: int(sum(ops.get(o, 0) for o in MAC_OPERATORS)) for name, ops in by_module.items()}


def node_name(module_name: str) -> str:
    """Return the name of the node that a module executes (`trainer.networks.network` registers them so)."""
    return module_name.removeprefix("layers.").replace("_", ".")


def _bytes_of_layers(prepared: Prepared) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes of the outputs and of what is saved, by module name, seen during one step."""
    output_bytes: dict[str, int] = {}
    saved_bytes: dict[str, int] = {}
    # Weights and running statistics do not count, nor does what an earlier layer saved: it is kept anyway.
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
            prepared.train_step(lambda phase: None)
    finally:
        for handle in handles:
            handle.remove()
    return output_bytes, saved_bytes


def _leaves(module: nn.Module) -> dict[str, nn.Module]:
    return {name: m for name, m in module.named_modules() if not list(m.children())}


def _median(steps: list[dict[Hashable, float]], phase: Hashable) -> float:
    return float(np.median([step.get(phase, 0.0) for step in steps])) if steps else 0.0
