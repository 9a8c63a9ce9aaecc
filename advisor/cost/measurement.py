"""A measurement of a training step, and the fingerprint of the machine that it is valid for.

Time depends on the device, its driver, torch's version, the threads and cores of a process, the arithmetic
and the memory format. These are the fields of a fingerprint. Only measurements of one machine are compared.
Measurements with another arithmetic are used only where there are too few with the plan's own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields

from advisor.errors import UsageError
from advisor.networks.layers import Task
from advisor.plans.execution import EAGER, text_of

# Version of the way of measuring. A change of it keeps older measurements apart from newer ones.
PROTOCOL = 5
# Arithmetic of float32 on CUDA: convolutions and matrix products in TF32, kernels chosen by cuDNN's
# autotuning. The trainer sets both, and they are part of the fingerprint.
CUDA_PRECISION = "tf32"
CUDNN_BENCHMARK = True
# Number of processes in the record of a measurement that was given up. Records are selected by the number of
# processes, so no fit takes such a record for a measurement.
GIVEN_UP = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The machine and the settings that a measurement is valid for.

    Attributes:
        device: ``cpu`` or ``cuda``.
        device_name: name of the processor or GPU.
        driver: operating system and architecture of a CPU; versions of driver and CUDA of a GPU.
        torch: version of torch.
        threads: intra-operator threads of a process.
        cores: number of cores that a measuring process is pinned to; 0 where it is not pinned.
        kernels: choice of kernels: TF32, autotuning and cuDNN's version on CUDA; the instruction set on a
            CPU.
        dtype: ``float32`` or ``bfloat16``.
        memory_format: ``contiguous`` or ``channels_last``.
        protocol: version of the way of measuring.
        augmentation: augmentation of the batches; empty if it hardly changes the time of a step.
        step_mode: ``eager``, ``compiled`` or ``graph``.
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
    step_mode: str = EAGER

    @property
    def arithmetic(self) -> tuple[str, str, str]:
        """Settings as in `Execution.arithmetic`."""
        return self.dtype, self.memory_format, self.step_mode

    @property
    def arithmetic_text(self) -> str:
        """The arithmetic in words."""
        return text_of(self.arithmetic)

    @property
    def digest(self) -> str:
        """Short hash of all fields; later fields leave older digests valid as long as they say nothing."""
        # A subclass may have more fields, which are not part of the fingerprint.
        own = {f.name: getattr(self, f.name) for f in fields(Fingerprint)}
        silent = {"augmentation": "", "step_mode": EAGER}
        said = {name: value for name, value in own.items() if silent.get(name) != value}
        text = json.dumps(said, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTime:
    """Median seconds of one layer for the whole batch.

    Attributes:
        name: name of the node in the network's graph, or ``loss``.
        forward_seconds: seconds of the forward pass in training.
        backward_seconds: seconds of the backward pass, the gradients of the weights included.
        inference_seconds: seconds of the forward pass in evaluation mode, without gradients.
    """

    name: str
    forward_seconds: float
    backward_seconds: float
    inference_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Times of one training step and one inference step of a network.

    Attributes:
        network: short name of the network.
        task: images and classes that it was built for.
        batch: images in a step.
        fingerprint: machine and settings.
        processes: number of copies that ran at the same time; 1 unless contention was measured. 0
            (`GIVEN_UP`) if the measurement was given up, because it would have taken too long: the step takes
            at least about `step_seconds` then, and all other times are 0.
        fits: false if memory ran out; all times are 0 then.
        forward_seconds, backward_seconds, optimizer_seconds: median seconds of the phases of a step.
        step_seconds: median seconds of a whole step, batch preparation included.
        step_iqr_seconds: interquartile range of the seconds of whole steps.
        inference_seconds: median seconds of a forward pass of a batch without gradients.
        layers: times of the layers in the order of execution, the loss last.
        reference_seconds: seconds of the reference convolution during the measurement, None on CUDA. If
            several copies ran, the seconds of the same step alone right before.
        peak_bytes: peak memory of training beyond the idle process; None where it cannot be read.
        reserved_bytes: bytes that CUDA's allocator reserved; None on a CPU.
        watts: mean power of the device during the training steps; None where it reports none.
        clock_mhz: clock of the device after the steps; None where it reports none.
        throttle: reason for a lowered clock; empty if none is known.
        spent_seconds: duration of the measurement itself.
        measured_at: time in UTC, ISO 8601.
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

    @property
    def given_up(self) -> bool:
        """Whether the measurement was given up."""
        return self.processes == GIVEN_UP

    @property
    def least_seconds(self) -> float:
        """Seconds that a measurement which was given up takes at least: one forward pass more than it had."""
        return self.spent_seconds + self.step_seconds / 3

    def __post_init__(self) -> None:
        times = (self.forward_seconds, self.backward_seconds, self.optimizer_seconds, self.step_seconds)
        if not all(0 <= seconds < float("inf") for seconds in (*times, self.inference_seconds)):
            raise UsageError(f"a measurement of {self.network} has a time that is negative or not finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedEpochs:
    """Duration of the real epochs of one training step of a run, which count as measurements too.

    Attributes:
        network: short name of the network.
        task: images and classes that it was built for.
        batch: images in a step.
        train_images, validation_images: number of images of an epoch's training and evaluation.
        processes: number of networks of the run that trained at the same time.
        augmentation: augmentation of the batches, as in a fingerprint.
        epochs: number of epochs in the median.
        seconds: median seconds of an epoch, evaluation included.
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
