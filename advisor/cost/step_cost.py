"""The time of a step by formulas alone: layers, loss, optimizer's update and preparation of the batch.

Notation, for a network at a batch of b images:

    P           parameters, in all `tensors`
    E           elements of the input of the batch
    K           classes
    M           elements that the whole step moves, parameters included
    q           min(1, M / `SHARED_CACHE_ELEMENTS`): the part of the shared cache that a step overwrites
    (x)+        max(0, x)

A step is the sum of four parts; every coefficient is ≥ 0 and fitted on measurements of the machine.

    layers      forward and backward pass of each, see `advisor.cost.layer_cost`
    loss        linear in b·K and a constant, forward and backward
    optimizer   linear in P, tensors, a constant, (P − `CACHED_ELEMENTS`)+ and q·tensors
    data        linear in E and a constant, and q times both

Least squares are on errors as shares of the whole step. Times are first scaled to the machine's usual speed:
every measurement on a CPU has the time of a reference convolution in the same second.

Source: non-negative least squares (Lawson and Hanson 1974); the choice of sizes is ours.
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
from advisor.networks.layers import Task
from advisor.networks.shared_layers import family_in

LOSS = "loss"
# Elements in one core's part of the last, shared cache (8 MiB of float32).
SHARED_CACHE_ELEMENTS = 2**21
# Seconds below the resolution of any clock here.
LEAST_SECONDS = 1e-7


@dataclass(frozen=True, slots=True)
class Workpiece:
    """A network of a task at a batch."""

    network: str
    task: Task
    batch: int

    @classmethod
    def of(cls, m: Measurement) -> Workpiece:
        """Return the network and batch of a measurement."""
        return cls(m.network, m.task, m.batch)

    def point(self, *, epoch: bool = False) -> Point:
        """Return the point of the Gaussian process.

        Args:
            epoch: whether the point stands for whole real epochs instead of single steps.
        """
        f, b = features_of(self.network, self.task), self.batch
        moved = f.dense_elements + f.other_elements
        position = (b * f.macs, f.macs / moved, f.operations, b, f.macs_16 / f.macs)
        return Point(tuple(np.log(position).tolist()), family_in(self.network), epoch)


def at_usual_speed(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return measurements scaled to the machine's median speed, by their reference convolution."""
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
    """Return a measurement with all times of the network and its layers multiplied by a factor."""
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
    """Formulas of the parts of a step, fitted on measurements.

    Args:
        measurements: measurements of one machine, at least one.
        held_out: names of networks to leave out of the fit.

    Attributes:
        measurements: all measurements, those of the left-out networks among them.
        passes: costs of layers by pass: forward, backward, inference.
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
        """Return the seconds of a part that is not a layer: optimizer, data, loss forward, loss backward."""
        return float(np.dot(_row(part, piece), self._parts[part]))

    def phases(self, piece: Workpiece) -> dict[str, float]:
        """Return the seconds of data, forward, backward and optimizer."""
        sizes = layer_sizes(piece.network, piece.task, piece.batch)
        passes = {
            name: float(self.passes[name](sizes).sum()) + self.part(f"loss {name}", piece)
            for name in ("forward", "backward")
        }
        return {"data": self.part("data", piece), **passes, "optimizer": self.part("optimizer", piece)}

    def step(self, piece: Workpiece) -> float:
        """Return the seconds of a step."""
        return max(sum(self.phases(piece).values()), LEAST_SECONDS)

    def inference(self, piece: Workpiece) -> float:
        """Return the seconds of a forward pass without gradients."""
        sizes = layer_sizes(piece.network, piece.task, piece.batch)
        return max(float(self.passes["inference"](sizes).sum()), LEAST_SECONDS)

    def without(self, networks: frozenset[str]) -> StepFormulas:
        """Return the formulas fitted on all other networks."""
        return StepFormulas(self.measurements, networks)


def _pass_of(m: Measurement, name: str) -> PassTimes:
    """Return one pass of a measured network, without the loss."""
    layers = [layer for layer in m.layers if layer.name != LOSS]
    seconds = np.array([getattr(layer, f"{name}_seconds") for layer in layers])
    whole = {
        "forward": m.forward_seconds - _part_seconds(m, "loss forward"),
        "backward": m.backward_seconds - _part_seconds(m, "loss backward"),
        "inference": m.inference_seconds,
    }[name]
    return PassTimes(layer_sizes(m.network, m.task, m.batch), seconds, max(whole, LEAST_SECONDS))


def _part_seconds(m: Measurement, part: str) -> float:
    """Return the measured seconds of a part; the preparation of the batch is the rest of the step."""
    if part == "optimizer":
        return m.optimizer_seconds
    if part == "data":
        return max(
            m.step_seconds - m.forward_seconds - m.backward_seconds - m.optimizer_seconds, LEAST_SECONDS
        )
    loss = [layer for layer in m.layers if layer.name == LOSS]
    return float(sum(getattr(layer, f"{part.removeprefix('loss ')}_seconds") for layer in loss))


def _row(part: str, piece: Workpiece) -> list[float]:
    """Return the sizes that a part of the step grows with, of order one for a small network."""
    f = features_of(piece.network, piece.task)
    # A large step overwrites the caches, so the other parts read from memory and take longer.
    moved = piece.batch * (f.dense_elements + f.other_elements) + f.parameters
    evicted = min(1.0, moved / SHARED_CACHE_ELEMENTS)
    match part:
        case "optimizer":
            beyond = max(0.0, f.parameters - CACHED_ELEMENTS)
            return [f.parameters / 1e8, f.tensors / 1e3, 1e-3, beyond / 1e8, evicted * f.tensors / 1e3]
        case "data":
            elements = piece.batch * f.input_elements / 1e8
            return [elements, 1e-3, evicted * elements, evicted * 1e-3]
        case _:
            return [piece.batch * piece.task.classes / 1e6, 1e-3]


def _fit(rows: list[list[float]], seconds: list[float], steps: list[float]) -> Floats:
    """Return coefficients by non-negative least squares on errors as shares of the whole step."""
    weights = 1 / np.maximum(steps, LEAST_SECONDS)
    coefficients: Floats = nnls(np.array(rows) * weights[:, None], np.array(seconds) * weights)[0]
    return coefficients
