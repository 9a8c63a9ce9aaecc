"""`advisor profile`: time and memory of one network, layer by layer and as a whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from advisor.design import parse_design
from advisor.errors import RunError, UsageError
from advisor.layers import Task
from advisor.measurement import Execution
from cli.workflows.home import SCHEMA_VERSION, Home, Say
from cli.workflows.machine import chosen_execution, measurement_of
from cli.workflows.spaces import facts_of
from db.session import open_store
from profiler.device import choose_device, fingerprint
from profiler.isolate import MeasuringProcess
from profiler.layers import LayerProfile
from profiler.steps import StepTimes
from trainer.workload import StepWorkload

SECONDS = 5.0
LONGEST_SECONDS = 600.0


def profile(
    design: str, dataset: str, batch: int | None, device: str | None, home: Home, say: Say
) -> dict[str, Any]:
    """Measure a network in a fresh process, store the step's figures and return everything.

    Raises:
        UsageError: the design has members of several shapes, or the batch is too small.
        RunError: it does not fit into memory, or the measuring process died.
    """
    facts = facts_of(dataset)
    parsed = parse_design(design)
    if not parsed.homogeneous:
        raise UsageError(f"{design} has members of several shapes: profile them one by one")
    size = facts.batch if batch is None else batch
    if size < 2:
        raise UsageError(f"--batch must be at least 2, got {size}")
    network = parsed.members[0].name
    where = choose_device(device)
    with open_store(home.database) as store:
        execution = chosen_execution(store, where, facts.task)
        workload = StepWorkload(
            network=network, task=facts.task, batch=size, augmentation=facts.augmentation, execution=execution
        )
        say(f"measuring {network} at batch {size}")
        times, layers = _measure(workload, execution)
        mark = fingerprint(execution)
        store.add_measurement(measurement_of(network, facts.task, size, mark, times))
    return _described(network, facts.task, size, times, layers) | {"device": asdict(mark)}


def _measure(workload: StepWorkload, execution: Execution) -> tuple[StepTimes, list[LayerProfile]]:
    with MeasuringProcess(execution.device, execution.threads) as process:
        if not process.wait_until_ready():
            raise RunError("the measuring process did not start")
        process.begin(workload, SECONDS)
        times = process.finish(LONGEST_SECONDS)
        if times is None:
            raise RunError(f"measuring {workload.network} ended without a result, perhaps for want of memory")
        if not times.fits:
            raise RunError(
                f"{workload.network} at batch {workload.batch} does not fit into memory: lower --batch"
            )
        return times, process.layers(workload, LONGEST_SECONDS)


def _described(
    network: str, task: Task, batch: int, times: StepTimes, layers: list[LayerProfile]
) -> dict[str, Any]:
    in_layers = sum(layer.forward_seconds + layer.backward_seconds for layer in layers)
    return {
        "schema_version": SCHEMA_VERSION,
        "network": network,
        "input": task.text,
        "classes": task.classes,
        "batch": batch,
        "step": {
            "forward_seconds": times.forward,
            "backward_seconds": times.backward,
            "optimizer_seconds": times.optimizer,
            "step_seconds": times.step,
            "step_iqr_seconds": times.step_iqr,
            "inference_ms_per_image": 1000 * times.inference / batch,
            "train_peak_bytes": times.peak_bytes,
            "repetitions": times.repetitions,
        },
        "layers": [asdict(layer) for layer in layers],
        "remainder_seconds": times.step - in_layers,
        "parameters": sum(layer.parameters for layer in layers),
        "macs": sum(layer.macs for layer in layers),
    }
