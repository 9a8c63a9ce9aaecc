"""The cost predictor: time and memory of networks that were not measured, each with a 90 % interval.

1. A step is the sum of its layers' forward and backward passes, the loss, the optimizer's update and the
preparation
   of the batch. Each is a non-negative combination of sizes, fitted on measurements
   (`advisor.cost.step_cost`).
2. A Gaussian process on the logarithm of measured over predicted time corrects the sum and gives its interval
   (`advisor.cost.discrepancy`, `advisor.cost.correction`).
3. The interval becomes wider for what was never measured (`advisor.cost.extrapolation`).
4. Memory is counted on the graph and fitted to measured peaks (`advisor.cost.memory.fit`).

Times of layers are scaled by the correction, so they add up to the step. Without measurements, time is
multiply-adds over a nominal rate, with an interval of a factor of ten either way.

The predictor is fitted anew from the stored measurements whenever it is needed. Nothing fitted is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from advisor.conformal import Correction, Corrections, CostBasis, Quantity
from advisor.cost.correction import EPOCH_SECONDS, Corrected
from advisor.cost.discrepancy import Residuals
from advisor.cost.extrapolation import Range
from advisor.cost.features import features_of, layer_sizes
from advisor.cost.measurement import LayerTime, Measurement, TrainedEpochs
from advisor.cost.memory.fit import MemoryFit
from advisor.cost.parallel.contention import contention_at, measured_contention
from advisor.cost.step_cost import LOSS, StepFormulas, Workpiece, at_usual_speed, scaled_times
from advisor.estimate import Estimate, Floats, Z
from advisor.networks.layers import Task
from advisor.plans.execution import EAGER, Execution

# Fewest measurements for the interval of the Gaussian process. With fewer, it is at least a factor of two.
LEAST_MEASUREMENTS = 8
SPARSE_STD = float(np.log(2)) / Z

# Multiply-adds a second where there is no measurement: the order of magnitude of one core and of a
# data-centre GPU on small networks.
NOMINAL_RATE = {"cpu": 3e10, "cuda": 3e12}
NOMINAL_STD = float(np.log(10)) / Z


class CostPredictor:
    """Predicts times and peak memory on the machine of its measurements.

    Args:
        measurements: measurements of one machine. Those with another arithmetic are used only while there are
            too few with the execution's own.
        execution: settings of the training that is predicted.
        epochs: real epochs of finished runs on this machine with these settings.
        corrections: corrections of intervals, which `correction` returns; predictions are without them.

    Attributes:
        count: number of measurements with the execution's own settings, of a single process.
        watts: median power of the device while training was measured; None if it reports none.
    """

    def __init__(
        self,
        measurements: Sequence[Measurement],
        execution: Execution,
        epochs: Sequence[TrainedEpochs] = (),
        corrections: Corrections | None = None,
    ) -> None:
        self._execution = execution
        own = [m for m in measurements if _is_own(m, execution)]
        self._out_of_memory = [m for m in own if not m.fits and not any(_refutes(other, m) for other in own)]
        # Measurements of different moments are compared from here on, so they are scaled to one speed first.
        steps = at_usual_speed([m for m in measurements if m.processes == 1 and m.fits])
        alone = [m for m in steps if _is_own(m, execution)]
        self.count = len(alone)
        fitted, unmeasured_setting = _with_transferred(alone, steps, execution)
        self._range = Range.of(fitted, unmeasured_setting)
        # Networks on one GPU slow each other down by how their steps are executed.
        mode = execution.step_mode
        self._contention = measured_contention([m for m in measurements if m.fingerprint.step_mode == mode])
        self._times = StepFormulas(fitted) if fitted else None
        self._step = Corrected(self._times, "step", epochs, self.contention) if self._times else None
        self._inference = Corrected(self._times, "inference") if self._times else None
        self._memory = MemoryFit([m for m in fitted if m.peak_bytes], execution)
        watts = [m.watts for m in fitted if m.watts is not None]
        self.watts = float(np.median(watts)) if watts else None
        self._cache: dict[tuple[str, Workpiece], Estimate] = {}
        # A search prices thousands of plans.
        known = corrections or Corrections()
        self._corrections = {quantity: known.of(quantity, self.basis) for quantity in Quantity}

    @property
    def device(self) -> str:
        """Device that networks are trained on."""
        return self._execution.device

    @property
    def dtype(self) -> str:
        """Arithmetic that networks are trained in."""
        return self._execution.dtype

    @property
    def basis(self) -> CostBasis:
        """Basis of the predictions."""
        if self._times is None:
            return CostBasis.NOMINAL
        return CostBasis.MEASUREMENTS if self.count >= LEAST_MEASUREMENTS else CostBasis.FEW_MEASUREMENTS

    def correction(self, quantity: Quantity) -> Correction:
        """Return the correction of intervals of a quantity, for whoever gives them as an answer."""
        return self._corrections[quantity]

    def unmeasured(self, network: str, task: Task, batch: int) -> tuple[str, ...]:
        """Return what was never measured of a network, in words; its interval is wider for it."""
        return self._range.beyond(network, task, batch)[0]

    def fits(self, network: str, task: Task, batch: int) -> bool:
        """Return False for a network that is known to run out of memory at this batch or a smaller one.

        A network that ran out of memory once and fitted in a later measurement does not count.
        """
        return not any(
            (m.network, m.task) == (network, task) and m.batch <= batch for m in self._out_of_memory
        )

    def step_seconds(self, network: str, task: Task, batch: int) -> Estimate:
        """Return the seconds of one training step of a network that trains alone."""
        return self._estimate("step", Workpiece(network, task, batch))

    def inference_seconds(self, network: str, task: Task, batch: int) -> Estimate:
        """Return the seconds of a forward pass of a batch without gradients."""
        return self._estimate("inference", Workpiece(network, task, batch))

    def epoch_seconds(self, network: str, task: Task, batch: int, *, steps: int, evaluated: int) -> Estimate:
        """Return the seconds of one epoch of a network that trains alone, evaluation included.

        Args:
            network: short name.
            task: images and classes that it is built for.
            batch: images in a training step and in a batch of the evaluation.
            steps: number of training steps.
            evaluated: number of images in the evaluation.
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
        # Low and high come from the steps. The difference of epochs from their steps adds to the width.
        down, up = (float(np.log(mean / low)), float(np.log(high / mean)))
        mean *= shift
        width = Z * std
        return Estimate(mean, mean * np.exp(-np.hypot(down, width)), mean * np.exp(np.hypot(up, width)))

    def layer_seconds(self, network: str, task: Task, batch: int) -> tuple[LayerTime, ...]:
        """Return the predicted seconds of every layer, the loss last; none without measurements.

        Together with data and optimizer of `phase_seconds` they add up to the mean of the step.
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
        """Return the mean seconds of data, forward, backward and optimizer, which add up to a step."""
        if self._times is None or self._step is None:
            return {}
        piece = Workpiece(network, task, batch)
        factor = self._step.factor(piece)
        return {phase: factor * seconds for phase, seconds in self._times.phases(piece).items()}

    def training_peak_bytes(self, network: str, task: Task, batch: int) -> Estimate:
        """Return the peak bytes of training one network, beyond the idle process."""
        return self._memory.training(network, task, batch)

    def inference_peak_bytes(self, network: str, task: Task, batch: int) -> Estimate:
        """Return the peak bytes of a forward pass of a batch without gradients, weights included."""
        return self._memory.inference(network, task, batch)

    def reserved_bytes(self, network: str, task: Task, batch: int) -> Estimate | None:
        """Return the bytes that CUDA's allocator reserves for training; None if that was never measured."""
        return self._memory.reserved(network, task, batch)

    def contention(self, processes: int) -> float:
        """Return the factor on the time of a step while `processes` networks train at the same time.

        It is interpolated between measured numbers of processes; one process has the factor 1.
        """
        return contention_at(self._contention, processes)

    def epoch_correlation(self, pieces: Sequence[Workpiece]) -> Floats:
        """Return the correlation of the errors in different networks' epochs, shape (pieces, pieces)."""
        return _process(self._step).correlation([piece.point(epoch=True) for piece in pieces])

    def inference_correlation(self, pieces: Sequence[Workpiece]) -> Floats:
        """Return the correlation of the errors in different forward passes, shape (pieces, pieces)."""
        return _process(self._inference).correlation([piece.point() for piece in pieces])

    def expected_reductions(self, options: Sequence[Workpiece], wanted: Sequence[Workpiece]) -> Floats:
        """Return by how much measuring each option would lower the summed variance of the wanted pieces.

        Args:
            options: pieces that could be measured.
            wanted: pieces whose times are to become certain.

        Returns:
            Reductions of the variance of log seconds, shape (options,).
        """
        process = _process(self._step)
        points = [piece.point() for piece in options]
        across = process.covariance(points, [piece.point() for piece in wanted])
        _, own = process.predict(points)
        reductions: Floats = (across**2).sum(axis=1) / own
        return reductions

    def _estimate(self, quantity: str, piece: Workpiece) -> Estimate:
        # A search requests the same networks many times.
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
    """Return the fitted process of a time, or the prior where nothing was measured."""
    return Residuals([], np.zeros(0)) if corrected is None else corrected.process


def _is_own(m: Measurement, execution: Execution) -> bool:
    return m.fingerprint.arithmetic == execution.arithmetic


def _refutes(later: Measurement, failed: Measurement) -> bool:
    """Return whether a failed network fitted later, with at least that batch and processes."""
    same = (later.network, later.task) == (failed.network, failed.task)
    harder = later.batch >= failed.batch and later.processes >= failed.processes
    return same and harder and later.fits and later.measured_at > failed.measured_at


def _with_transferred(
    alone: list[Measurement], steps: Sequence[Measurement], execution: Execution
) -> tuple[list[Measurement], str]:
    """Add measurements with other settings while there are few of the execution's own.

    Added times are multiplied by the median ratio over the pieces that were measured with both settings.

    Args:
        alone: measurements with the execution's settings, of a single process.
        steps: measurements with any settings, `alone` among them, all scaled to the machine's usual speed.
        execution: settings of the training that is predicted.

    Returns:
        The measurements to fit, and the setting that the added ones do not have; empty if none were added.
    """
    if len(alone) >= LEAST_MEASUREMENTS:
        return alone, ""
    groups: dict[tuple[str, str, str], list[Measurement]] = {}
    for m in steps:
        # Few networks are ever measured compiled or as graphs.
        if not _is_own(m, execution) and m.fingerprint.step_mode == EAGER:
            groups.setdefault(m.fingerprint.arithmetic, []).append(m)
    eager = groups.get(replace(execution, step_mode=EAGER).arithmetic, [])
    largest = eager if len(eager) > len(alone) else max(groups.values(), key=len, default=[])
    if len(largest) <= len(alone):
        return alone, ""
    here = {Workpiece.of(m): m.step_seconds for m in alone}
    ratios = [here[Workpiece.of(m)] / m.step_seconds for m in largest if Workpiece.of(m) in here]
    ratio = float(np.median(ratios)) if ratios else 1.0
    added = [scaled_times(m, ratio) for m in largest if Workpiece.of(m) not in here]
    theirs = largest[0].fingerprint.arithmetic
    differs = next(own for own, other in zip(execution.arithmetic, theirs, strict=True) if own != other)
    return [*alone, *added], differs
