"""The cost predictor: time and memory of networks that were not measured, each with an interval.

A step is the sum of its layers' forward and backward passes (`layer_cost`), the loss, the optimizer's update
and the preparation of the batch, each a non-negative combination of sizes fitted on measurements. A Gaussian
process on the logarithm of what this misses (`residual`) adds the correction and the interval, widened until
it holds networks that were left out of both. Layers, scaled by the correction, add up to the step.

Times are first brought to the machine's usual speed: every measurement on a CPU comes with the time of a
reference convolution in the same second. The predictor is refitted from stored measurements whenever it is
needed; nothing fitted is ever stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import nnls

from advisor.estimate import LEVEL, Estimate, Floats, Z
from advisor.features import features_of, layer_sizes
from advisor.layer_cost import LayerCosts, PassTimes
from advisor.layers import Task
from advisor.measurement import Execution, LayerTime, Measurement, TrainedEpochs
from advisor.memory_fit import MemoryFit
from advisor.novelty import Range
from advisor.residual import Point, Residuals

# Below this the Gaussian process has little to learn from, and the interval is a guess.
LEAST_MEASUREMENTS = 8
SPARSE_SPREAD = float(np.log(2)) / Z
# Times that networks are held out to find how wide intervals must be; more of them only cost time.
FOLDS = 8

LOSS = "loss"
# What no clock tells apart from nothing.
LEAST_SECONDS = 1e-7

# Multiply-adds a second that stand in for measurements where there is none: the order of magnitude of one
# core and of a data-centre GPU on small networks. The interval spans a factor of ten either way.
NOMINAL_RATE = {"cpu": 3e10, "cuda": 3e12}
NOMINAL_SPREAD = float(np.log(10)) / Z
# Two processes on neighbouring cores share caches and memory; used until it is measured.
UNMEASURED_CONTENTION = 1.15
# Of an epoch, besides its steps and the evaluation: its order, its record.
EPOCH_SECONDS = 0.003


@dataclass(frozen=True, slots=True)
class Workpiece:
    """A network with the batch it is run at."""

    network: str
    task: Task
    batch: int

    def point(self, *, epoch: bool = False) -> Point:
        """Return where it stands for the Gaussian process."""
        f, b = features_of(self.network, self.task), self.batch
        moved = f.dense_elements + f.other_elements
        position = (b * f.macs, f.macs / moved, f.operations, b, f.macs_16 / f.macs)
        return Point(tuple(np.log(position).tolist()), family_of(self.network), epoch)


def family_of(network: str) -> str:
    """Return the family in a short name."""
    return network.split("-")[0]


class CostPredictor:
    """Predicts times and peak memory on the machine of its measurements.

    Args:
        measurements: of one machine; those of another arithmetic are borrowed while there are too few of
            the execution's own.
        execution: how networks are trained.
        epochs: of finished runs on this machine and under this execution.
    """

    def __init__(
        self,
        measurements: Sequence[Measurement],
        execution: Execution,
        epochs: Sequence[TrainedEpochs] = (),
    ) -> None:
        self._execution = execution
        own = [m for m in measurements if _is_own(m, execution)]
        alone = [m for m in own if m.processes == 1 and m.fits]
        self.count = len(alone)
        self._misfits = [m for m in own if not m.fits]
        fitted, borrowed = _with_borrowed(alone, measurements)
        self._range = Range.of(fitted, execution.dtype if borrowed else "")
        self._contention = _contention(measurements)
        self._times = _Times(at_usual_speed(fitted)) if fitted else None
        self._step = _Corrected(self._times, "step", epochs, self.contention) if self._times else None
        self._inference = _Corrected(self._times, "inference") if self._times else None
        self._memory = MemoryFit([m for m in fitted if m.peak_bytes], execution.dtype)
        watts = [m.watts for m in fitted if m.watts is not None]
        self.watts = float(np.median(watts)) if watts else None
        self._cache: dict[tuple[str, Workpiece], Estimate] = {}

    @property
    def basis(self) -> str:
        """What the figures rest on: ``nominal``, ``few measurements`` or ``measurements``."""
        if self._times is None:
            return "nominal"
        return "measurements" if self.count >= LEAST_MEASUREMENTS else "few measurements"

    @property
    def families(self) -> tuple[str, ...]:
        """Families that were measured."""
        return self._range.families

    def unmeasured(self, network: str, task: Task, batch: int) -> tuple[str, ...]:
        """Return what of a network was never measured, so that its interval is wider."""
        return self._range.beyond(network, task, batch)[0]

    def fits(self, network: str, task: Task, batch: int) -> bool:
        """Return whether it never ran out of memory while it was measured, at this batch or a smaller one."""
        return not any((m.network, m.task) == (network, task) and m.batch <= batch for m in self._misfits)

    def step_seconds(self, network: str, task: Task, batch: int) -> Estimate:
        """Seconds of one training step, the network alone on its cores."""
        return self._estimate("step", Workpiece(network, task, batch))

    def inference_seconds(self, network: str, task: Task, batch: int) -> Estimate:
        """Seconds of a forward pass of a batch without gradients."""
        return self._estimate("inference", Workpiece(network, task, batch))

    def epoch_seconds(self, network: str, task: Task, batch: int, *, steps: int, evaluated: int) -> Estimate:
        """Seconds of one whole epoch as the trainer runs it, the network alone on its cores.

        Args:
            network: short name.
            task: what it is built for.
            batch: images in a step and in a batch of the evaluation.
            steps: training steps.
            evaluated: images of the evaluation.
        """
        step = self.step_seconds(network, task, batch)
        passes = self.inference_seconds(network, task, batch).scaled(evaluated / batch)
        low, mean, high = (
            steps * getattr(step, end) + getattr(passes, end) + EPOCH_SECONDS
            for end in ("low", "mean", "high")
        )
        if self._step is None:
            return Estimate(mean, low, high)
        shift, spread = self._step.of_epochs(Workpiece(network, task, batch))
        # Low and high are those of the steps; that epochs differ from their steps adds to the width.
        down, up = (float(np.log(mean / low)), float(np.log(high / mean)))
        mean *= shift
        width = Z * spread
        return Estimate(mean, mean * np.exp(-np.hypot(down, width)), mean * np.exp(np.hypot(up, width)))

    def layer_seconds(self, network: str, task: Task, batch: int) -> tuple[LayerTime, ...]:
        """Return the predicted seconds of every layer, the loss last; none without measurements.

        With those of `phase_seconds` that are no layers' (data, optimizer) they add up to the step's mean.
        """
        if self._times is None or self._step is None or self._inference is None:
            return ()
        piece = Workpiece(network, task, batch)
        sizes = layer_sizes(network, task, batch)
        trained, inferred = self._step.factor(piece), self._inference.factor(piece)
        forward, backward = (self._times.passes[p](sizes) * trained for p in ("forward", "backward"))
        inference = self._times.passes["inference"](sizes) * inferred
        layers = [
            LayerTime(name=n, forward_seconds=f, backward_seconds=b, inference_seconds=i)
            for n, f, b, i in zip(
                sizes.names, forward.tolist(), backward.tolist(), inference.tolist(), strict=True
            )
        ]
        loss = [trained * self._times.part(f"loss {p}", piece) for p in ("forward", "backward")]
        last = LayerTime(name=LOSS, forward_seconds=loss[0], backward_seconds=loss[1], inference_seconds=0.0)
        return (*layers, last)

    def phase_seconds(self, network: str, task: Task, batch: int) -> dict[str, float]:
        """Return the mean seconds of data, forward, backward and optimizer, which add up to the step's."""
        if self._times is None or self._step is None:
            return {}
        piece = Workpiece(network, task, batch)
        factor = self._step.factor(piece)
        return {phase: factor * seconds for phase, seconds in self._times.phases(piece).items()}

    def training_peak_bytes(self, network: str, task: Task, batch: int) -> Estimate:
        """Peak bytes of training one network, beyond the idle process."""
        return self._memory.training(network, task, batch)

    def inference_peak_bytes(self, network: str, task: Task, batch: int) -> Estimate:
        """Peak bytes of a forward pass of a batch without gradients, weights included."""
        return self._memory.inference(network, task, batch)

    def reserved_bytes(self, network: str, task: Task, batch: int) -> Estimate | None:
        """Bytes that CUDA's allocator reserves for training; None where that was never measured."""
        return self._memory.reserved(network, task, batch)

    def contention(self, processes: int) -> float:
        """How much longer a step takes while `processes` networks train at once.

        Between numbers that were measured, and from one process on, it is taken to grow evenly.
        """
        if processes <= 1:
            return 1.0
        if not self._contention:
            return UNMEASURED_CONTENTION
        counts = [1, *sorted(self._contention)]
        factors = [self._contention.get(count, 1.0) for count in counts]
        return float(np.interp(processes, counts, factors))

    def expected_reductions(self, options: Sequence[Workpiece], wanted: Sequence[Workpiece]) -> Floats:
        """Return by how much measuring each option would lower the variance of the wanted, summed over them.

        Args:
            options: what could be measured, n.
            wanted: what must be known, m.

        Returns:
            Squared logarithms of seconds, shape (n,).
        """
        process = Residuals([], np.zeros(0)) if self._step is None else self._step.process
        points = [piece.point() for piece in options]
        across = process.covariance(points, [piece.point() for piece in wanted])
        _, own = process.predict(points)
        reductions: Floats = (across**2).sum(axis=1) / own
        return reductions

    def _estimate(self, quantity: str, piece: Workpiece) -> Estimate:
        # A search asks for the same networks again and again.
        key = (quantity, piece)
        if key not in self._cache:
            self._cache[key] = self._computed(quantity, piece)
        return self._cache[key]

    def _computed(self, quantity: str, piece: Workpiece) -> Estimate:
        corrected = self._step if quantity == "step" else self._inference
        if corrected is None:
            passes = 3.0 if quantity == "step" else 1.0
            macs = piece.batch * features_of(piece.network, piece.task).macs
            mean, spread = passes * macs / NOMINAL_RATE[self._execution.device], NOMINAL_SPREAD
        else:
            mean, spread = corrected(piece)
            spread = float(np.hypot(spread, self._range.beyond(piece.network, piece.task, piece.batch)[1]))
            if self.count < LEAST_MEASUREMENTS:
                spread = max(spread, SPARSE_SPREAD)
        width = float(np.exp(Z * spread))
        return Estimate(mean, mean / width, mean * width)


def at_usual_speed(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return measurements as if the machine had always run at its median speed."""
    known = [m.reference_seconds for m in measurements if m.reference_seconds]
    if not known:
        return list(measurements)
    usual = float(np.median(known))
    return [m if not m.reference_seconds else _scaled(m, usual / m.reference_seconds) for m in measurements]


def _scaled(m: Measurement, factor: float) -> Measurement:
    return replace(
        m,
        forward_seconds=m.forward_seconds * factor,
        backward_seconds=m.backward_seconds * factor,
        optimizer_seconds=m.optimizer_seconds * factor,
        step_seconds=m.step_seconds * factor,
        inference_seconds=m.inference_seconds * factor,
    )


class _Times:
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
                [_row(part, _piece(m)) for m in fitted],
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

    def without(self, networks: frozenset[str]) -> _Times:
        """Return the same fitted on all other networks."""
        return _Times(self.measurements, networks)


class _Corrected:
    """A time by formula, with the correction of the Gaussian process and the width of its interval.

    Args:
        times: formulas and measurements.
        quantity: ``step`` or ``inference``.
        epochs: real ones, which the correction of a step learns from too.
        contention: of the networks that trained at the same time.
    """

    def __init__(
        self,
        times: _Times,
        quantity: str,
        epochs: Sequence[TrainedEpochs] = (),
        contention: Callable[[int], float] = lambda processes: 1.0,
    ) -> None:
        self._times, self._quantity = times, quantity
        points = [_piece(m).point() for m in times.measurements]
        values = [self._missed(m, times) for m in times.measurements]
        for e in epochs:
            points.append(Workpiece(e.network, e.task, e.batch).point(epoch=True))
            values.append(float(np.log(e.seconds / (contention(e.processes) * _epoch_by_formula(e, times)))))
        self.process = Residuals(points, np.array(values))

    def _missed(self, m: Measurement, times: _Times) -> float:
        actual = m.step_seconds if self._quantity == "step" else m.inference_seconds
        return float(np.log(max(actual, LEAST_SECONDS) / self._formula(_piece(m), times)))

    def _formula(self, piece: Workpiece, times: _Times) -> float:
        return times.step(piece) if self._quantity == "step" else times.inference(piece)

    def __call__(self, piece: Workpiece) -> tuple[float, float]:
        """Return the mean in seconds and the spread of its logarithm."""
        shift, variance = self.process.predict([piece.point()])
        mean = self._formula(piece, self._times) * float(np.exp(shift[0]))
        return mean, self._inflation * float(np.sqrt(variance[0]))

    def factor(self, piece: Workpiece) -> float:
        """Return what the formula is multiplied by."""
        return float(np.exp(self.process.predict([piece.point()])[0][0]))

    def of_epochs(self, piece: Workpiece) -> tuple[float, float]:
        """Return the factor of real epochs on their steps, and the spread of its logarithm."""
        means, variances = self.process.predict([piece.point(), piece.point(epoch=True)])
        return float(np.exp(means[1] - means[0])), float(np.sqrt(max(variances[1] - variances[0], 0.0)))

    @cached_property
    def _inflation(self) -> float:
        """How much wider than its own spread the process must be to hold 90 % of what it was not fitted on.

        Networks are held out in turn, all batches of a network together, and both the formulas and the
        process are fitted on the others: few points are all close to formulas that were fitted on them.
        """
        networks = list(dict.fromkeys(m.network for m in self._times.measurements))
        folds = min(len(networks), FOLDS)
        misses: list[float] = []
        settings = (self.process.amplitude, self.process.noise)
        for fold in range(folds if folds > 1 else 0):
            held_out = frozenset(networks[fold::folds])
            times = self._times.without(held_out)
            rest = [m for m in self._times.measurements if m.network not in held_out]
            process = Residuals(
                [_piece(m).point() for m in rest], np.array([self._missed(m, times) for m in rest]), settings
            )
            left = [m for m in self._times.measurements if m.network in held_out]
            shift, variance = process.predict([_piece(m).point() for m in left])
            missed = np.array([self._missed(m, times) for m in left])
            misses += (np.abs(missed - shift) / np.sqrt(variance)).tolist()
        # The quantile of n misses that holds the next one with 90 %.
        level = min(LEVEL * (1 + 1 / max(len(misses), 1)), 1.0)
        return max(1.0, float(np.quantile(misses or [0.0], level)) / Z)


def _epoch_by_formula(e: TrainedEpochs, times: _Times) -> float:
    piece = Workpiece(e.network, e.task, e.batch)
    steps = max(e.train_images // e.batch, 1) * times.step(piece)
    return steps + e.validation_images / e.batch * times.inference(piece) + EPOCH_SECONDS


def _piece(m: Measurement) -> Workpiece:
    return Workpiece(m.network, m.task, m.batch)


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
    match part:
        case "optimizer":
            return [f.parameters / 1e8, f.tensors / 1e3, 1e-3]
        case "data":
            return [piece.batch * f.input_elements / 1e8, 1e-3]
        case _:
            return [piece.batch * piece.task.classes / 1e6, 1e-3]


def _fit(rows: list[list[float]], seconds: list[float], steps: list[float]) -> Floats:
    """Non-negative least squares on errors as shares of the step, which is where they matter."""
    weights = 1 / np.maximum(steps, LEAST_SECONDS)
    coefficients: Floats = nnls(np.array(rows) * weights[:, None], np.array(seconds) * weights)[0]
    return coefficients


def _is_own(m: Measurement, execution: Execution) -> bool:
    mark = m.fingerprint
    return (mark.dtype, mark.memory_format) == (execution.dtype, execution.memory_format)


def _with_borrowed(
    alone: list[Measurement], measurements: Sequence[Measurement]
) -> tuple[list[Measurement], bool]:
    """Add measurements of another arithmetic while there are few, at the ratio of what both measured."""
    if len(alone) >= LEAST_MEASUREMENTS:
        return alone, False
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for m in measurements:
        if m.processes == 1 and m.fits and m not in alone:
            groups.setdefault((m.fingerprint.dtype, m.fingerprint.memory_format), []).append(m)
    largest = max(groups.values(), key=len, default=[])
    if len(largest) <= len(alone):
        return alone, False
    here = {_piece(m): m.step_seconds for m in alone}
    ratios = [here[_piece(m)] / m.step_seconds for m in largest if _piece(m) in here]
    ratio = float(np.median(ratios)) if ratios else 1.0
    lent = [_scaled(m, ratio) for m in largest if _piece(m) not in here]
    return [*alone, *lent], True


def _contention(measurements: Sequence[Measurement]) -> dict[int, float]:
    """Median ratio of a step among several processes to the same step alone, by their number."""
    alone = {(m.fingerprint, _piece(m)): m.step_seconds for m in measurements if m.processes == 1 and m.fits}
    ratios: dict[int, list[float]] = {}
    for m in measurements:
        reference = alone.get((m.fingerprint, _piece(m)))
        if m.processes > 1 and m.fits and reference:
            ratios.setdefault(m.processes, []).append(m.step_seconds / reference)
    return {count: max(float(np.median(r)), 1.0) for count, r in ratios.items()}
