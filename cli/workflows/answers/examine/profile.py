"""The answer of `advisor profile`: time and memory of one network, measured."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.cost.measurement import Fingerprint
from advisor.estimate import Estimate
from cli.workflows.answers.answer import Answer
from cli.workflows.answers.examine.layers import OtherParts, TimedLayer
from cli.workflows.answers.examine.parts import Deviation


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredStep:
    """Medians of whole training steps and inference steps.

    Attributes:
        forward_seconds, backward_seconds: seconds of the pass.
        optimizer_seconds: seconds of updating the weights.
        step_seconds: seconds of a whole training step, batch preparation included.
        step_iqr_seconds: interquartile range of whole training steps, in seconds.
        inference_ms_per_image: milliseconds of inference per image.
        train_peak_bytes: peak memory of training beyond the idle process; null where it cannot be read.
        repetitions: number of training steps that were measured.
    """

    forward_seconds: float
    backward_seconds: float
    optimizer_seconds: float
    step_seconds: float
    step_iqr_seconds: float
    inference_ms_per_image: float
    train_peak_bytes: int | None
    repetitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledLayer(TimedLayer):
    """A layer, or the loss, with its time and memory for a whole batch.

    Attributes:
        output_bytes: bytes of the output; null for the loss.
        saved_bytes: bytes kept for the backward pass, besides weights and outputs of earlier layers; null for
            the loss.
        parameters: trainable scalars.
        macs: multiply-adds for one image.
    """

    output_bytes: int | None
    saved_bytes: int | None
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledMemory:
    """Memory by several routes, in bytes.

    Attributes:
        measured_peak_bytes: measured peak of training beyond the idle process; null where it cannot be read.
        formula_bytes: tensors of training, counted from the specification.
        simulated_bytes: tensors of training, simulated without computing.
        inference_formula_bytes: tensors of inference, counted from the specification.
        reserved_bytes: memory that CUDA's allocator reserved for training; null on a CPU.
    """

    measured_peak_bytes: int | None
    formula_bytes: int
    simulated_bytes: int
    inference_formula_bytes: int
    reserved_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """State of the machine during the measurement.

    Attributes:
        disturbed: number of repetitions under load, which the medians leave out.
        reference_seconds: seconds of a reference convolution around the measurement; null on CUDA.
        watts: mean power of the device during training steps; null where it reports none.
        clock_mhz: clock of the device after the steps; null where it reports none.
        throttle: reason for a lowered clock, empty if none is known.
    """

    disturbed: int
    reference_seconds: float | None
    watts: float | None
    clock_mhz: int | None
    throttle: str


@dataclass(frozen=True, slots=True)
class ComparedStep(Estimate):
    """The forecast of a step from before its measurement.

    Attributes:
        mean, low, high: predicted mean and the ends of its 90 % interval, in seconds.
        deviation: measured step beside the forecast.
    """

    deviation: Deviation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(Answer):
    """Time and memory of one network, layer by layer and as a whole.

    Attributes:
        network: short name.
        input: image shape, channels x height x width.
        classes: number of classes.
        batch: images in a step.
        step: medians of whole steps.
        layers: layers in the order of execution, the loss last.
        parts: parts of a training step that belong to no layer.
        remainder_seconds: seconds of forward and backward pass that the layers do not account for; negative
            where cutting a step into layers takes time.
        remainder_share: remainder as a share of the step.
        memory: memory by several routes.
        conditions: state of the machine during the measurement.
        parameters: trainable scalars of the network.
        macs: multiply-adds of the network for one image.
        device: machine and settings under which the measurement is valid.
        predicted_step_seconds: seconds of a step as predicted before the measurement; null for a
            machine without measurements.
    """

    network: str
    input: str
    classes: int
    batch: int
    step: MeasuredStep
    layers: tuple[ProfiledLayer, ...]
    parts: OtherParts
    remainder_seconds: float
    remainder_share: float
    memory: ProfiledMemory
    conditions: Conditions
    parameters: int
    macs: int
    device: Fingerprint
    predicted_step_seconds: ComparedStep | None
