"""The cost predictor: time and memory of networks that were not measured, each with an interval.

A step is the sum of its layers' forward and backward passes, the loss, the optimizer's update and the
preparation of the batch, each a non-negative combination of sizes fitted on measurements (`step_cost`). A
Gaussian process on the logarithm of what this misses adds the correction and the interval (`correction`).
Layers, scaled by the correction, add up to the step.

The predictor is refitted from stored measurements whenever it is
needed; nothing fitted is ever stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from advisor.cost.correction import EPOCH_SECONDS, Corrected
from advisor.cost.discrepancy import Residuals
from advisor.cost.extrapolation import Range
from advisor.cost.features import features_of, layer_sizes
from advisor.cost.measurement import LayerTime, Measurement, TrainedEpochs
from advisor.cost.memory_fit import MemoryFit
from advisor.cost.step_cost import LOSS, StepFormulas, Workpiece, at_usual_speed, scaled_times
from advisor.estimate import Estimate, Floats, Z
from advisor.networks.layers import Task
from advisor.plans.execution import Execution

# Below this the Gaussian process has little to learn from, and the interval is a guess.
LEAST_MEASUREMENTS = 8
SPARSE_STD = float(np.log(2)) / Z

# Multiply-adds a second that stand in for measurements where there is none: the order of magnitude of one
# core and of a data-centre GPU on small networks. The interval spans a factor of ten either way.
NOMINAL_RATE = {"cpu": 3e10, "cuda": 3e12}
NOMINAL_STD = float(np.log(10)) / Z
# Two processes on neighbouring cores share caches and memory; used until it is measured.
UNMEASURED_CONTENTION = 1.15


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
        self._misfits = [m for m in own if not m.fits and not any(_refutes(other, m) for other in own)]
        # What was measured at different moments is compared from here on, so that it is done before.
        steps = at_usual_speed([m for m in measurements if m.processes == 1 and m.fits])
        alone = [m for m in steps if _is_own(m, execution)]
        self.count = len(alone)
        fitted, unknown = _with_borrowed(alone, steps, execution)
        self._range = Range.of(fitted, unknown)
        self._contention = _contention([m for m in measurements if m.fits])
        self._times = StepFormulas(fitted) if fitted else None
        self._step = Corrected(self._times, "step", epochs, self.contention) if self._times else None
        self._inference = Corrected(self._times, "inference") if self._times else None
        self._memory = MemoryFit([m for m in fitted if m.peak_bytes], execution)
        watts = [m.watts for m in fitted if m.watts is not None]
        self.watts = float(np.median(watts)) if watts else None
        self._cache: dict[tuple[str, Workpiece], Estimate] = {}

    @property
    def device(self) -> str:
        """What networks are trained on."""
        return self._execution.device

    @property
    def basis(self) -> str:
        """What the figures rest on: ``nominal``, ``few measurements`` or ``measurements``."""
        if self._times is None:
            return "nominal"
        return "measurements" if self.count >= LEAST_MEASUREMENTS else "few measurements"

    def unmeasured(self, network: str, task: Task, batch: int) -> tuple[str, ...]:
        """Return what of a network was never measured, so that its interval is wider."""
        return self._range.beyond(network, task, batch)[0]

    def fits(self, network: str, task: Task, batch: int) -> bool:
        """Return whether it is not known to run out of memory at this batch or a smaller one.

        What ran out of memory once, and fitted when it was measured again, is not.
        """
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
        shift, std = self._step.of_epochs(Workpiece(network, task, batch))
        # Low and high are those of the steps; that epochs differ from their steps adds to the width.
        down, up = (float(np.log(mean / low)), float(np.log(high / mean)))
        mean *= shift
        width = Z * std
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

    def epoch_correlation(self, pieces: Sequence[Workpiece]) -> Floats:
        """Return how the misses of different networks' epochs go together, shape (n, n)."""
        return _process(self._step).correlation([piece.point(epoch=True) for piece in pieces])

    def inference_correlation(self, pieces: Sequence[Workpiece]) -> Floats:
        """Return how the misses of different networks' forward passes go together, shape (n, n)."""
        return _process(self._inference).correlation([piece.point() for piece in pieces])

    def expected_reductions(self, options: Sequence[Workpiece], wanted: Sequence[Workpiece]) -> Floats:
        """Return by how much measuring each option would lower the variance of the wanted, summed over them.

        Args:
            options: what could be measured, n.
            wanted: what must be known, m.

        Returns:
            Squared logarithms of seconds, shape (n,).
        """
        process = _process(self._step)
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
            mean, std = passes * macs / NOMINAL_RATE[self._execution.device], NOMINAL_STD
        else:
            mean, std = corrected(piece)
            std = float(np.hypot(std, self._range.beyond(piece.network, piece.task, piece.batch)[1]))
            if self.count < LEAST_MEASUREMENTS:
                std = max(std, SPARSE_STD)
        width = float(np.exp(Z * std))
        return Estimate(mean, mean / width, mean * width)


def _process(corrected: Corrected | None) -> Residuals:
    return Residuals([], np.zeros(0)) if corrected is None else corrected.process


def _is_own(m: Measurement, execution: Execution) -> bool:
    mark = m.fingerprint
    return (mark.dtype, mark.memory_format) == (execution.dtype, execution.memory_format)


def _refutes(later: Measurement, misfit: Measurement) -> bool:
    """Whether what ran out of memory fitted later, at no smaller batch and in no less company."""
    same = (later.network, later.task) == (misfit.network, misfit.task)
    harder = later.batch >= misfit.batch and later.processes >= misfit.processes
    return same and harder and later.fits and later.measured_at > misfit.measured_at


def _with_borrowed(
    alone: list[Measurement], steps: Sequence[Measurement], execution: Execution
) -> tuple[list[Measurement], str]:
    """Add measurements under other settings while there are few, at the ratio of what both measured.

    Args:
        alone: under the execution's settings.
        steps: under any, these among them, all at the machine's usual speed.
        execution: that is predicted.

    Returns:
        The measurements, and the setting that those which were added do not have, or nothing.
    """
    if len(alone) >= LEAST_MEASUREMENTS:
        return alone, ""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for m in steps:
        if not _is_own(m, execution):
            groups.setdefault((m.fingerprint.dtype, m.fingerprint.memory_format), []).append(m)
    largest = max(groups.values(), key=len, default=[])
    if len(largest) <= len(alone):
        return alone, ""
    here = {Workpiece.of(m): m.step_seconds for m in alone}
    ratios = [here[Workpiece.of(m)] / m.step_seconds for m in largest if Workpiece.of(m) in here]
    ratio = float(np.median(ratios)) if ratios else 1.0
    lent = [scaled_times(m, ratio) for m in largest if Workpiece.of(m) not in here]
    same = largest[0].fingerprint.dtype == execution.dtype
    return [*alone, *lent], execution.memory_format if same else execution.dtype


def _contention(measurements: Sequence[Measurement]) -> dict[int, float]:
    """Median ratio of a step among several processes to the same step alone right before, by their number."""
    ratios: dict[int, list[float]] = {}
    for m in measurements:
        if m.processes > 1 and m.reference_seconds:
            ratios.setdefault(m.processes, []).append(m.step_seconds / m.reference_seconds)
    return {count: max(float(np.median(r)), 1.0) for count, r in ratios.items()}
