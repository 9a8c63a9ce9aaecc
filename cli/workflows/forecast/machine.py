"""The machine at hand: which settings to train with, and what was measured on it.

The settings of a plan (arithmetic and memory format) are chosen once a machine and input shape, by the
time of a reference network; bfloat16 has to win clearly, so that noise does not decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from advisor.cost.augmentation_transfer import transferred
from advisor.cost.measurement import Fingerprint, Measurement, TrainedEpochs
from advisor.cost.predictor import CostPredictor
from advisor.networks.layers import Task
from advisor.plans.execution import Execution
from cli.workflows.home import now
from db.queries import Store
from profiler.device import fingerprint, usable_cores, visible_gpus
from profiler.steps import StepTimes

REFERENCE = "resnet-20-16"
REFERENCE_BATCH = 32
BFLOAT16_ADVANTAGE = 1.15


def plain_execution(device: str) -> Execution:
    """Settings that nothing was measured for: float32, one process a core on a CPU or a GPU on CUDA."""
    processes = usable_cores() if device == "cpu" else visible_gpus()
    return Execution(
        device=device, processes=processes, threads=1, dtype="float32", memory_format="channels_last"
    )


def executions(device: str) -> list[Execution]:
    """Settings to choose from, the plain ones first."""
    plain = plain_execution(device)
    return [
        replace(plain, dtype=dtype, memory_format=layout)
        for dtype in ("float32", "bfloat16")
        for layout in ("channels_last", "contiguous")
    ]


def stored_measurements(store: Store, device: str, augmentation: str = "") -> list[Measurement]:
    """Return what was measured on this machine under all settings to choose from.

    Args:
        store: of measurements.
        device: that they were made on.
        augmentation: of the batches; what was measured without it is brought to it.
    """
    own = [m for e in executions(device) for m in store.measurements(fingerprint(e, augmentation).digest)]
    return [*transferred(own, stored_measurements(store, device)), *own] if augmentation else own


def trained_epochs(store: Store, execution: Execution, augmentation: str = "") -> list[TrainedEpochs]:
    """Return the real epochs of this machine under given settings and augmentation."""
    epochs = store.trained_epochs(fingerprint(execution).digest)
    return [e for e in epochs if e.augmentation == augmentation]


def is_reference(m: Measurement, execution: Execution, task: Task, processes: int = 1) -> bool:
    """Whether a measurement is that of the reference network under given settings, however augmented."""
    what = (REFERENCE, REFERENCE_BATCH, task, processes)
    mark = fingerprint(execution, m.fingerprint.augmentation)
    return (m.network, m.batch, m.task, m.processes) == what and m.fingerprint == mark


def fastest_execution(measured: Sequence[Measurement], device: str, task: Task) -> Execution:
    """Return the settings under which the reference measured fastest, or the plain ones.

    Where all of them came with the time of the reference convolution, as on a CPU, they are compared by how
    many of it a step takes: the machine may have been slower when one of them was measured.
    """
    found: dict[Execution, Measurement] = {}
    for execution in executions(device):
        for m in measured:
            if m.fits and is_reference(m, execution, task):
                found[execution] = m
    if not found:
        return plain_execution(device)
    references = [m.reference_seconds or 0.0 for m in found.values()]
    units = references if all(references) else [1.0] * len(references)

    def handicapped(execution: Execution, unit: float) -> float:
        penalty = BFLOAT16_ADVANTAGE if execution.dtype == "bfloat16" else 1.0
        return penalty * found[execution].step_seconds / unit

    times = {execution: handicapped(execution, unit) for execution, unit in zip(found, units, strict=True)}
    return min(times, key=times.__getitem__)


def chosen_execution(store: Store, device: str, task: Task, augmentation: str = "") -> Execution:
    """Return the settings that measured fastest on this machine, or the plain ones."""
    return fastest_execution(stored_measurements(store, device, augmentation), device, task)


def predictor_for(store: Store, execution: Execution, augmentation: str = "") -> CostPredictor:
    """Return the predictor of this machine under given settings and augmentation (`Augmentation.key`)."""
    measured = stored_measurements(store, execution.device, augmentation)
    return CostPredictor(measured, execution, trained_epochs(store, execution, augmentation))


def measurement_of(
    network: str, task: Task, batch: int, mark: Fingerprint, times: StepTimes, processes: int = 1
) -> Measurement:
    """Return what is stored of measured times."""
    return Measurement(
        network=network,
        task=task,
        batch=batch,
        fingerprint=mark,
        processes=processes,
        forward_seconds=times.forward,
        backward_seconds=times.backward,
        optimizer_seconds=times.optimizer,
        step_seconds=times.step,
        step_iqr_seconds=times.step_iqr,
        inference_seconds=times.inference,
        fits=times.fits,
        layers=times.layers,
        reference_seconds=times.reference,
        reserved_bytes=times.reserved_bytes,
        watts=times.watts,
        clock_mhz=times.clock_mhz,
        throttle=times.throttle,
        peak_bytes=times.peak_bytes,
        spent_seconds=times.spent,
        measured_at=now(),
    )
