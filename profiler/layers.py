"""Time and memory of every layer of a network, by hooks around its leaf modules.

Times are medians over repetitions; what a step does between and outside the layers (loss, Python, the
optimizer) is the remainder against the whole step, which is measured without hooks. MACs come from
fvcore, so that they check those of `advisor.graph` by another route.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from profiler.clock import clock_for
from profiler.steps import Prepared

REPETITIONS = 5
WARM_UP = 2

# fvcore counts a multiply-add as one; these are the operators that carry MACs here.
MAC_OPERATORS = ("conv", "linear", "addmm", "matmul")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerProfile:
    """One leaf module.

    Attributes:
        name: of the module.
        kind: its class.
        forward_seconds, backward_seconds: medians for the whole batch.
        output_bytes: of its output for the whole batch.
        parameters: trainable scalars.
        macs: multiply-adds for one image.
    """

    name: str
    kind: str
    forward_seconds: float
    backward_seconds: float
    output_bytes: int
    parameters: int
    macs: int


class _LayerClock:
    """Collects (layer, phase, seconds) of the hooks of one step."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.times: dict[tuple[str, str], list[float]] = {}
        self.output_bytes: dict[str, int] = {}
        self._running: dict[tuple[str, str], Any] = {}

    def begin(self, name: str, phase: str) -> None:
        clock = clock_for(self.device)
        clock.start()
        self._running[name, phase] = clock

    def end(self, name: str, phase: str) -> None:
        clock = self._running.get((name, phase))
        if clock is not None:
            clock.mark(phase)

    def close_step(self) -> None:
        """Read the clocks of the step: on CUDA this waits for the device."""
        for key, clock in self._running.items():
            seconds = clock.seconds()
            if key[1] in seconds:
                self.times.setdefault(key, []).append(seconds[key[1]])
        self._running = {}

    def median(self, name: str, phase: str) -> float:
        return float(np.median(self.times.get((name, phase), [0.0])))


def profile_layers(prepared: Prepared, device: str) -> list[LayerProfile]:
    """Return every leaf module in the order of execution."""
    leaves = {name: m for name, m in prepared.module.named_modules() if not list(m.children())}
    clock = _LayerClock(device)
    # A module that overwrites its input cannot carry a backward hook.
    overwriting = [m for m in leaves.values() if getattr(m, "inplace", False)]
    handles = [handle for name, module in leaves.items() for handle in _hook(name, module, clock)]
    _set_inplace(overwriting, False)
    try:
        _run_steps(prepared, clock)
    finally:
        _set_inplace(overwriting, True)
        for handle in handles:
            handle.remove()
    macs = layer_macs(prepared.module, prepared.example[:1])
    return [
        LayerProfile(
            name=name.removeprefix("layers.").replace("_", "."),
            kind=type(module).__name__,
            forward_seconds=clock.median(name, "forward"),
            backward_seconds=clock.median(name, "backward"),
            output_bytes=clock.output_bytes[name],
            parameters=sum(p.numel() for p in module.parameters()),
            macs=macs.get(name, 0),
        )
        for name, module in leaves.items()
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


def _run_steps(prepared: Prepared, clock: _LayerClock) -> None:
    with warnings.catch_warnings():
        # The first layer reads images, which need no gradient: its hook fires before its weights' gradient
        # is computed, and that time ends up in the remainder.
        warnings.filterwarnings("ignore", "Full backward hook is firing")
        for repetition in range(WARM_UP + REPETITIONS):
            if repetition == WARM_UP:
                clock.times.clear()
            prepared.train_step(_ignore)
            clock.close_step()


def _ignore(phase: str, /) -> None:
    """Whole-step phases are not wanted here."""


def _set_inplace(modules: list[nn.Module], value: bool) -> None:
    for module in modules:
        setattr(module, "inplace", value)  # noqa: B010 - torch types the attribute as a module


def _hook(name: str, module: nn.Module, clock: _LayerClock) -> list[torch.utils.hooks.RemovableHandle]:
    def begin(phase: str) -> Callable[..., None]:
        return lambda *_: clock.begin(name, phase)

    def end_backward(*_: object) -> None:
        clock.end(name, "backward")

    def end_forward(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        clock.end(name, "forward")
        clock.output_bytes[name] = output.numel() * output.element_size()

    return [
        module.register_forward_pre_hook(begin("forward")),
        module.register_forward_hook(end_forward),
        module.register_full_backward_pre_hook(begin("backward")),
        module.register_full_backward_hook(end_backward),
    ]
