"""What a measurement is and on which machine it holds.

Time depends on the device, its driver, torch's version, the threads of a process and the cores it is held
to, the arithmetic and the memory format: the fields of a fingerprint. Measurements are only compared within
one machine (`Fingerprint.machine`), and those of another arithmetic only where there are too few of the
plan's own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields

from advisor.errors import UsageError
from advisor.networks.layers import Task

# Raised when the way of measuring changes, so that older measurements are not mixed with newer ones.
PROTOCOL = 4
# How float32 is computed on CUDA, set by the trainer and part of the fingerprint: convolutions and matrix
# products in TF32, kernels chosen by cuDNN's autotuning.
CUDA_PRECISION = "tf32"
CUDNN_BENCHMARK = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The machine and the settings under which a measurement holds.

    Attributes:
        device: ``cpu`` or ``cuda``.
        device_name: of processor or GPU.
        driver: operating system and architecture, or versions of driver and CUDA.
        torch: its version.
        threads: intra-operator threads of a process.
        cores: that a measuring process is held to; 0 where it cannot be held.
        kernels: what decides which kernels run: TF32, autotuning and cuDNN's version on CUDA, the
            instruction set on a CPU.
        dtype: ``float32`` or ``bfloat16``.
        memory_format: ``contiguous`` or ``channels_last``.
        protocol: of measuring.
        augmentation: of the batches, empty if it takes too little of a step to be told apart.
    """

    device: str
    device_name: str
    driver: str
    torch: str
    threads: int
    cores: int = 0
    kernels: str = ""
    dtype: str
    memory_format: str
    protocol: int = 1
    augmentation: str = ""

    @property
    def digest(self) -> str:
        """Short hash of every field; one that came later and is empty leaves it as it was."""
        # A subclass may have more fields, which are no part of the fingerprint.
        own = {f.name: getattr(self, f.name) for f in fields(Fingerprint)}
        text = json.dumps({n: v for n, v in own.items() if n != "augmentation" or v}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTime:
    """Seconds of one layer for the whole batch; medians.

    Attributes:
        name: of the node in the network's graph, or ``loss``.
        forward_seconds, backward_seconds: in training; the backward pass with the weights' gradients.
        inference_seconds: in evaluation mode, without gradients.
    """

    name: str
    forward_seconds: float
    backward_seconds: float
    inference_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Times of one training step and one inference step of a network.

    Attributes:
        network: short name.
        task: what the network was built for.
        batch: images in a step.
        processes: copies that ran at the same time; 1 unless contention was measured.
        fits: false where memory ran out; the times are then 0.
        forward_seconds, backward_seconds, optimizer_seconds: medians of the phases of a step.
        step_seconds: median of whole steps, batch preparation included.
        step_iqr_seconds: interquartile range of whole steps.
        inference_seconds: median of a forward pass of a batch without gradients.
        layers: of the network in the order of execution, the loss last.
        reference_seconds: of the reference convolution around the measurement, None on CUDA; where several
            copies ran, of the same step alone right before.
        peak_bytes: peak memory of training beyond the idle process, or None where it cannot be read.
        reserved_bytes: what CUDA's allocator reserved for it, None on a CPU.
        watts: mean power of the device during the training steps, or None where it reports none.
        clock_mhz: of the device after the steps, or None where it reports none.
        throttle: what held the device back, empty if nothing is known to.
        spent_seconds: what the measurement itself took.
        measured_at: UTC time, ISO 8601.
    """

    network: str
    task: Task
    batch: int
    fingerprint: Fingerprint
    processes: int = 1
    fits: bool = True
    forward_seconds: float
    backward_seconds: float
    optimizer_seconds: float
    step_seconds: float
    step_iqr_seconds: float
    inference_seconds: float
    layers: tuple[LayerTime, ...] = ()
    reference_seconds: float | None = None
    peak_bytes: int | None
    reserved_bytes: int | None = None
    watts: float | None = None
    clock_mhz: int | None = None
    throttle: str = ""
    spent_seconds: float
    measured_at: str

    def __post_init__(self) -> None:
        times = (self.forward_seconds, self.backward_seconds, self.optimizer_seconds, self.step_seconds)
        if not all(0 <= seconds < float("inf") for seconds in (*times, self.inference_seconds)):
            raise UsageError(f"a measurement of {self.network} has a time that is negative or not finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedEpochs:
    """What the real epochs of one training step of a run took; they are measurements as well.

    Attributes:
        network: short name.
        task: what the network was built for.
        batch: images in a step.
        train_images, validation_images: of an epoch.
        processes: networks of the run that trained at the same time.
        augmentation: of the batches, as in a fingerprint.
        epochs: how many were looked at.
        seconds: median of an epoch, evaluation included.
    """

    network: str
    task: Task
    batch: int
    train_images: int
    validation_images: int
    processes: int
    augmentation: str = ""
    epochs: int
    seconds: float
