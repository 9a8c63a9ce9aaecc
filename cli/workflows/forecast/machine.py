"""This machine, or a node of a cluster: its workers, its measurements, and the settings to train with.

A machine is given by what returns its fingerprint under settings, by default that of the one at hand.

The settings of a plan (arithmetic, memory format and mode of steps) are chosen per machine and input shape,
by the time of a reference network (`advisor.cost.reference`). bfloat16 and CUDA graphs have to win clearly,
so that noise does not decide. So have several networks at once on streams, which are measured on a machine
with one GPU. Compiled steps are never chosen, because they pay off in long trainings only: a user asks for
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from advisor.cost.acquisition import Wanted
from advisor.cost.augmentation_transfer import transferred
from advisor.cost.measurement import Fingerprint, Measurement, TrainedEpochs
from advisor.cost.parallel.contention import measured_contention
from advisor.cost.predictor import CostPredictor
from advisor.cost.reference import references
from advisor.networks.layers import Task
from advisor.plans.execution import DTYPES, GRAPH, MEMORY_FORMATS, STEP_MODES, Execution
from cli.workflows.clock import now
from cli.workflows.forecast.coverage import corrections_of
from db.queries import Store
from profiler.device import fingerprint, usable_cores, visible_gpus
from profiler.steps import StepTimes

# Least factors by which a setting has to be faster than the plain one.
BFLOAT16_ADVANTAGE, GRAPH_ADVANTAGE, STREAMS_ADVANTAGE = 1.15, 1.05, 1.1
# Fingerprint of a machine under the settings of a plan and the augmentation of its batches.
Machine = Callable[[Execution, str], Fingerprint]


def workers_of(device: str) -> int:
    """Return how many training processes this machine can run at the same time: one per core or GPU."""
    return usable_cores() if device == "cpu" else visible_gpus()


def plain_execution(device: str) -> Execution:
    """Return the settings of a machine on which nothing was measured: float32 on all of its workers."""
    return Execution(
        device=device,
        processes=workers_of(device),
        threads=1,
        dtype="float32",
        memory_format="channels_last",
    )


def executions(device: str) -> list[Execution]:
    """Return the settings to choose from, the plain ones first."""
    plain = plain_execution(device)
    eager = [
        replace(plain, dtype=dtype, memory_format=layout)
        for dtype in DTYPES
        for layout in ("channels_last", "contiguous")
    ]
    if device == "cpu":
        return eager
    return [*eager, *(replace(plain, dtype=dtype, step_mode=GRAPH) for dtype in DTYPES)]


def all_settings(device: str) -> list[Execution]:
    """Return all settings under which something can have been measured or trained."""
    return [
        replace(plain_execution(device), dtype=dtype, memory_format=layout, step_mode=mode)
        for dtype in DTYPES
        for layout in MEMORY_FORMATS
        for mode in STEP_MODES
    ]


def digests_of(device: str, machine: Machine = fingerprint) -> frozenset[str]:
    """Return the digests of a machine under all settings, which runs are stored with."""
    return frozenset(machine(execution, "").digest for execution in all_settings(device))


def stored_measurements(
    store: Store, device: str, augmentation: str = "", machine: Machine = fingerprint
) -> list[Measurement]:
    """Return the measurements of a machine under all settings.

    Args:
        store: database with measurements.
        device: ``cpu`` or ``cuda``.
        augmentation: augmentation of the batches (`Augmentation.key`); measurements without it are converted.
        machine: the machine.
    """
    own = [m for e in all_settings(device) for m in store.measurements(machine(e, augmentation).digest)]
    plain = stored_measurements(store, device, machine=machine) if augmentation else []
    return [*transferred(own, plain), *own] if augmentation else own


def trained_epochs(
    store: Store, execution: Execution, augmentation: str = "", machine: Machine = fingerprint
) -> list[TrainedEpochs]:
    """Return the epochs that were trained on a machine under given settings and augmentation."""
    epochs = store.trained_epochs(machine(execution, "").digest)
    return [e for e in epochs if e.augmentation == augmentation]


def is_reference(
    m: Measurement, reference: Wanted, execution: Execution, task: Task, processes: int = 1
) -> bool:
    """Whether a measurement is that of a reference under given settings, however augmented."""
    what = (reference.network, reference.batch, task, processes)
    machine = fingerprint(execution, m.fingerprint.augmentation)
    return (m.network, m.batch, m.task, m.processes) == what and m.fingerprint == machine


def measured_reference(measured: Sequence[Measurement], device: str, task: Task) -> Wanted | None:
    """Return the reference that was measured under most settings; None if there is none.

    Args:
        measured: measurements of this machine.
        device: ``cpu`` or ``cuda``.
        task: input shape and classes of the plan.
    """
    found = {
        reference: len(_by_execution(measured, reference, device, task)) for reference in references(task)
    }
    most = max(found, key=found.__getitem__)
    return most if found[most] else None


def _by_execution(
    measured: Sequence[Measurement], reference: Wanted, device: str, task: Task
) -> dict[Execution, Measurement]:
    """Return the last measurement of a reference under each of the settings to choose from."""
    own = [m for m in measured if m.fits and (m.network, m.batch) == (reference.network, reference.batch)]
    found = {
        execution: m
        for execution in executions(device)
        for m in own
        if is_reference(m, reference, execution, task)
    }
    return {execution: found[execution] for execution in executions(device) if execution in found}


def fastest_execution(measured: Sequence[Measurement], device: str, task: Task) -> Execution:
    """Return the settings under which the reference network measured fastest, or the plain ones.

    The machine may have been slower when one of them was measured. Where all measurements come with the time
    of the reference convolution, as on a CPU, steps are therefore compared as multiples of it.

    Args:
        measured: measurements of this machine.
        device: ``cpu`` or ``cuda``.
        task: input shape and classes of the plan.
    """
    reference = measured_reference(measured, device, task)
    if reference is None:
        return plain_execution(device)
    found = _by_execution(measured, reference, device, task)
    references = [m.reference_seconds or 0.0 for m in found.values()]
    units = references if all(references) else [1.0] * len(references)

    def handicapped(execution: Execution, unit: float) -> float:
        penalty = BFLOAT16_ADVANTAGE if execution.dtype == "bfloat16" else 1.0
        penalty *= GRAPH_ADVANTAGE if execution.step_mode == GRAPH else 1.0
        return penalty * found[execution].step_seconds / unit

    times = {execution: handicapped(execution, unit) for execution, unit in zip(found, units, strict=True)}
    return _with_streams(min(times, key=times.__getitem__), measured)


def _with_streams(execution: Execution, measured: Sequence[Measurement]) -> Execution:
    """Return the settings with as many networks at once on a GPU as train most steps a second."""
    if execution.device != "cuda" or visible_gpus() > 1:
        return execution
    own = [m for m in measured if m.fingerprint.arithmetic == execution.arithmetic]
    speeds = {count: count / factor for count, factor in measured_contention(own).items()}
    best = max(speeds, key=speeds.__getitem__, default=1)
    return replace(execution, streams=best) if speeds.get(best, 0.0) >= STREAMS_ADVANTAGE else execution


def chosen_execution(
    store: Store, device: str, task: Task, augmentation: str = "", step_mode: str | None = None
) -> Execution:
    """Return the settings that measured fastest on this machine, or the plain ones.

    Args:
        store: database with measurements.
        device: ``cpu`` or ``cuda``.
        task: input shape and classes.
        augmentation: augmentation of the batches (`Augmentation.key`).
        step_mode: mode of steps that is asked for, whatever measured fastest; None for none.
    """
    measured = stored_measurements(store, device, augmentation)
    fastest = fastest_execution(measured, device, task)
    if step_mode in (None, fastest.step_mode):
        return fastest
    return _with_streams(replace(fastest, step_mode=step_mode, streams=1), measured)


def predictor_for(
    store: Store, execution: Execution, augmentation: str = "", machine: Machine = fingerprint
) -> CostPredictor:
    """Return the predictor of a machine under given settings and augmentation (`Augmentation.key`)."""
    measured = stored_measurements(store, execution.device, augmentation, machine)
    epochs = trained_epochs(store, execution, augmentation, machine)
    corrections = corrections_of(store, digests_of(execution.device, machine))
    return CostPredictor(measured, execution, epochs, corrections)


def measurement_of(
    network: str, task: Task, batch: int, machine: Fingerprint, times: StepTimes, processes: int = 1
) -> Measurement:
    """Return measured times as the record that is stored.

    Args:
        network: short name.
        task: input shape and classes.
        batch: images in a step.
        machine: machine and settings of the measurement.
        times: medians of the steps.
        processes: number of copies that ran at the same time.
    """
    return Measurement(
        network=network,
        task=task,
        batch=batch,
        fingerprint=machine,
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
