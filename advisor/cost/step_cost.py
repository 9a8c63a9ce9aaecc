"""A step by formulas alone: its layers, the loss, the optimizer's update and the preparation of the batch.

Times are first brought to the machine's usual speed: every measurement on a CPU comes with the time of a
reference convolution in the same second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from advisor.cost.discrepancy import Point
from advisor.cost.features import CACHED_ELEMENTS, features_of, layer_sizes
from advisor.cost.layer_cost import LayerCosts, PassTimes
from advisor.cost.measurement import LayerTime, Measurement
from advisor.estimate import Floats
from advisor.networks.joint import family_in
from advisor.networks.layers import Task

LOSS = "loss"
# Elements of the last cache that a core has a part of (8 MiB of float32).
SHARED_CACHE_ELEMENTS = 2**21
# What no clock tells apart from nothing.
LEAST_SECONDS = 1e-7


@dataclass(frozen=True, slots=True)
class Workpiece:
    """A network with the batch it is run at."""

    network: str
    task: Task
    batch: int

    @classmethod
    def of(cls, m: Measurement) -> Workpiece:
        """Return what was measured."""
        return cls(m.network, m.task, m.batch)

    def point(self, *, epoch: bool = False) -> Point:
        """Return where it stands for the Gaussian process."""
        f, b = features_of(self.network, self.task), self.batch
        moved = f.dense_elements + f.other_elements
        position = (b * f.macs, f.macs / moved, f.operations, b, f.macs_16 / f.macs)
        return Point(tuple(np.log(position).tolist()), family_in(self.network), epoch)


def at_usual_speed(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return measurements as if the machine had always run at its median speed."""
    known = [m.reference_seconds for m in measurements if m.reference_seconds]
    if not known:
        return list(measurements)
    usual = float(np.median(known))
    return [
        replace(scaled_times(m, usual / m.reference_seconds), reference_seconds=usual)
        if m.reference_seconds
        else m
        for m in measurements
    ]


def scaled_times(m: Measurement, factor: float) -> Measurement:
    """Return a measurement with all times of the network and of its layers multiplied."""
    layers = tuple(
        LayerTime(
            name=layer.name,
            forward_seconds=layer.forward_seconds * factor,
            backward_seconds=layer.backward_seconds * factor,
            inference_seconds=layer.inference_seconds * factor,
        )
        for layer in m.layers
    )
    return replace(
        m,
        forward_seconds=m.forward_seconds * factor,
        backward_seconds=m.backward_seconds * factor,
        optimizer_seconds=m.optimizer_seconds * factor,
        step_seconds=m.step_seconds * factor,
        step_iqr_seconds=m.step_iqr_seconds * factor,
        inference_seconds=m.inference_seconds * factor,
        layers=layers,
    )


class StepFormulas:
    """The parts of a step by their formulas, and the measurements that these were fitted on.

    Args:
        measurements: at least one.
        held_out: networks to leave out of the fit.
    """

    def __init__(self, measurements: Sequence[Measurement], held_out: frozenset[str] = frozenset()) -> None:
        self.measurements = measurements
        fitted = [m for m in measurements if m.network not in held_out]
        layered = [m for m in fitted if m.layers]
        self.passes = {
            name: LayerCosts([_pass_of(m, name) for m in layered])
            for name in ("forward", "backward", "inference")
        }
        self._parts = {
            part: _fit(
                [_row(part, Workpiece.of(m)) for m in fitted],
                [_part_seconds(m, part) for m in fitted],
                [m.step_seconds for m in fitted],
            )
            for part in ("optimizer", "data", "loss forward", "loss backward")
        }

    def part(self, part: str, piece: Workpiece) -> float:
        """Seconds of what is no layer."""
        return float(np.dot(_row(part, piece), self._parts[part]))

    def phases(self, piece: Workpiece) -> dict[str, float]:
        """Seconds of data, forward, backward and optimizer by the formulas alone."""
        sizes = layer_sizes(piece.network, piece.task, piece.batch)
        passes = {
            name: float(self.passes[name](sizes).sum()) + self.part(f"loss {name}", piece)
            for name in ("forward", "backward")
        }
        return {"data": self.part("data", piece), **passes, "optimizer": self.part("optimizer", piece)}

    def step(self, piece: Workpiece) -> float:
        """Seconds of a step by the formulas alone."""
        return max(sum(self.phases(piece).values()), LEAST_SECONDS)

    def inference(self, piece: Workpiece) -> float:
        """Seconds of a forward pass without gradients by the formulas alone."""
        sizes = layer_sizes(piece.network, piece.task, piece.batch)
        return max(float(self.passes["inference"](sizes).sum()), LEAST_SECONDS)

    def without(self, networks: frozenset[str]) -> StepFormulas:
        """Return the same fitted on all other networks."""
        return StepFormulas(self.measurements, networks)


def _pass_of(m: Measurement, name: str) -> PassTimes:
    layers = [layer for layer in m.layers if layer.name != LOSS]
    seconds = np.array([getattr(layer, f"{name}_seconds") for layer in layers])
    whole = {
        "forward": m.forward_seconds - _part_seconds(m, "loss forward"),
        "backward": m.backward_seconds - _part_seconds(m, "loss backward"),
        "inference": m.inference_seconds,
    }[name]
    return PassTimes(layer_sizes(m.network, m.task, m.batch), seconds, max(whole, LEAST_SECONDS))


def _part_seconds(m: Measurement, part: str) -> float:
    if part == "optimizer":
        return m.optimizer_seconds
    if part == "data":
        return max(
            m.step_seconds - m.forward_seconds - m.backward_seconds - m.optimizer_seconds, LEAST_SECONDS
        )
    loss = [layer for layer in m.layers if layer.name == LOSS]
    return float(sum(getattr(layer, f"{part.removeprefix('loss ')}_seconds") for layer in loss))


def _row(part: str, piece: Workpiece) -> list[float]:
    """Sizes that a part of the step grows with, of order one for a small network."""
    f = features_of(piece.network, piece.task)
    # What a large step leaves of the caches is nothing, so that all else takes longer beside it.
    touched = piece.batch * (f.dense_elements + f.other_elements) + f.parameters
    cold = min(1.0, touched / SHARED_CACHE_ELEMENTS)
    match part:
        case "optimizer":
            beyond = max(0.0, f.parameters - CACHED_ELEMENTS)
            return [f.parameters / 1e8, f.tensors / 1e3, 1e-3, beyond / 1e8, cold * f.tensors / 1e3]
        case "data":
            elements = piece.batch * f.input_elements / 1e8
            return [elements, 1e-3, cold * elements, cold * 1e-3]
        case _:
            return [piece.batch * piece.task.classes / 1e6, 1e-3]


def _fit(rows: list[list[float]], seconds: list[float], steps: list[float]) -> Floats:
    """Non-negative least squares on errors as shares of the step, which is where they matter."""
    weights = 1 / np.maximum(steps, LEAST_SECONDS)
    coefficients: Floats = nnls(np.array(rows) * weights[:, None], np.array(seconds) * weights)[0]
    return coefficients
