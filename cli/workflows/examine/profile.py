"""`advisor profile`: time and memory of one network, layer by layer and as a whole.

A step is the sum of its parts: batch preparation, the layers and the loss, the optimizer, and a remainder,
which is what the layers leave of the forward and backward pass that were timed without cutting them.
"""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import Any

from advisor.cost.measurement import LayerTime
from advisor.cost.memory import inference_bytes, training_bytes
from advisor.designs.design import parse_design
from advisor.errors import RunError, UsageError
from advisor.estimate import Estimate
from advisor.plans.dataset import DatasetFacts
from cli.workflows.examine.explain import deviation
from cli.workflows.files import check_csv, csv_file, write_file
from cli.workflows.forecast.machine import chosen_execution, measurement_of, predictor_for
from cli.workflows.home import SCHEMA_VERSION, Home
from cli.workflows.names import facts_of
from cli.workflows.views import Say
from db.queries import Store
from db.session import open_store
from profiler.device import choose_device, cores_to_pin, fingerprint
from profiler.isolate import MeasuringProcess
from profiler.layers import LOSS, LayerFacts
from profiler.simulation import simulate_training_bytes
from profiler.steps import StepTimes
from trainer.training.workload import StepWorkload

SECONDS = 5.0
LONGEST_SECONDS = 600.0
# Of the CSV file, as errors name it.
CONTENT = "the layers"
CSV_COLUMNS = (
    "name",
    "kind",
    "forward_seconds",
    "backward_seconds",
    "total_seconds",
    "inference_seconds",
    "output_bytes",
    "saved_bytes",
    "parameters",
    "macs",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRequest:
    """What to measure, and how the result is wanted.

    Attributes:
        design: a network, or several of one shape.
        dataset: its name; only the shape of the images is needed.
        augmentation: of the batches, None for that of the data set.
        batch: images in a step, None for that of the data set.
        device: ``cpu`` or ``cuda``, None for what there is.
        csv: file for a row a layer, ``-`` for stdout, None for none.
        as_json: whether stdout is taken by JSON.
    """

    design: str
    dataset: str
    augmentation: str | None = None
    batch: int | None = None
    device: str | None = None
    csv: str | None = None
    as_json: bool = False


def profile(request: ProfileRequest, home: Home, say: Say) -> dict[str, Any]:
    """Measure a network in a fresh process, store the step's figures and return everything.

    Raises:
        UsageError: the design has members of several shapes, the batch is too small, or both kinds of
            output are wanted.
        RunError: it does not fit into memory, or the measuring process died.
        StorageError: the CSV file or the database cannot be written.
    """
    check_csv(request.csv, CONTENT, as_json=request.as_json)
    facts = facts_of(request.dataset, request.augmentation)
    network, batch = _network_of(request.design), _batch_of(request, facts)
    device = choose_device(request.device)
    with open_store(home.database) as store:
        workload = StepWorkload(
            network=network,
            task=facts.task,
            batch=batch,
            augmentation=facts.augmentation,
            execution=chosen_execution(store, device, facts.task, facts.augmentation.key),
        )
        # Before this measurement is stored: afterwards the predictor would know the outcome.
        predicted = _predicted(workload, store)
        say(f"measuring {network} at batch {batch}")
        times, layers = _measured(workload, store)
    payload = _described(workload, times, layers)
    payload["predicted_step_seconds"] = predicted and asdict(predicted) | {
        "deviation": deviation(predicted, times.step)
    }
    file = csv_file(request.csv)
    if file is not None:
        write_file(file, CONTENT, layers_as_csv(payload))
    return payload


def layers_as_csv(payload: dict[str, Any]) -> str:
    """Return a row a layer and one for each other part of the step; an empty cell is not known."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for layer in payload["layers"]:
        writer.writerow(layer | {"total_seconds": layer["forward_seconds"] + layer["backward_seconds"]})
    for name, seconds in (
        ("batch preparation", payload["parts"]["data_seconds"]),
        ("optimizer", payload["parts"]["optimizer_seconds"]),
        ("remainder", payload["remainder_seconds"]),
    ):
        writer.writerow({"name": name, "kind": "part", "total_seconds": seconds})
    return text.getvalue()


def _network_of(design: str) -> str:
    parsed = parse_design(design)
    if not parsed.homogeneous:
        raise UsageError(f"{design} has members of several shapes: profile them one by one")
    return parsed.members[0].name


def _batch_of(request: ProfileRequest, facts: DatasetFacts) -> int:
    batch = facts.batch if request.batch is None else request.batch
    if batch < 2:
        raise UsageError(f"--batch must be at least 2, got {batch}")
    return batch


def _predicted(workload: StepWorkload, store: Store) -> Estimate | None:
    """What is foretold of the step, None where nothing was measured."""
    predictor = predictor_for(store, workload.execution, workload.augmentation.key)
    if predictor.basis == "nominal":
        return None
    return predictor.step_seconds(workload.network, workload.task, workload.batch)


def _measured(workload: StepWorkload, store: Store) -> tuple[StepTimes, list[LayerFacts]]:
    """Measure, and store the step, also when it is known now that it does not fit into memory."""
    execution = workload.execution
    with MeasuringProcess(execution.device, execution.threads, cores_to_pin(execution)) as process:
        if not process.wait_until_ready():
            raise RunError("the measuring process did not start")
        times = _times(process, workload)
        mark = fingerprint(execution, workload.augmentation.key)
        store.add_measurement(measurement_of(workload.network, workload.task, workload.batch, mark, times))
        if not times.fits:
            raise RunError(
                f"{workload.network} at batch {workload.batch} does not fit into memory: lower --batch"
            )
        layers = process.layers(workload, LONGEST_SECONDS)
    if not layers:
        raise RunError(f"looking at the layers of {workload.network} ended without a result")
    return times, layers


def _times(process: MeasuringProcess, workload: StepWorkload) -> StepTimes:
    process.begin(workload, SECONDS)
    times = process.finish(LONGEST_SECONDS)
    if times is None:
        raise RunError(f"measuring {workload.network} ended without a result, perhaps for want of memory")
    return times


def _described(workload: StepWorkload, times: StepTimes, facts: list[LayerFacts]) -> dict[str, Any]:
    in_layers = sum(layer.forward_seconds + layer.backward_seconds for layer in times.layers)
    remainder = times.forward + times.backward - in_layers
    return {
        "schema_version": SCHEMA_VERSION,
        "network": workload.network,
        "input": workload.task.text,
        "classes": workload.task.classes,
        "batch": workload.batch,
        "step": {
            "forward_seconds": times.forward,
            "backward_seconds": times.backward,
            "optimizer_seconds": times.optimizer,
            "step_seconds": times.step,
            "step_iqr_seconds": times.step_iqr,
            "inference_ms_per_image": 1000 * times.inference / workload.batch,
            "train_peak_bytes": times.peak_bytes,
            "repetitions": times.repetitions,
        },
        "layers": _layers(times.layers, facts),
        "parts": {
            "data_seconds": times.step - times.forward - times.backward - times.optimizer,
            "optimizer_seconds": times.optimizer,
        },
        "remainder_seconds": remainder,
        "remainder_share": remainder / times.step,
        "memory": _memory(workload, times),
        "conditions": {
            "disturbed": times.disturbed,
            "reference_seconds": times.reference,
            "watts": times.watts,
            "clock_mhz": times.clock_mhz,
            "throttle": times.throttle,
        },
        "parameters": sum(layer.parameters for layer in facts),
        "macs": sum(layer.macs for layer in facts),
        "device": asdict(fingerprint(workload.execution, workload.augmentation.key)),
    }


def _layers(times: tuple[LayerTime, ...], facts: list[LayerFacts]) -> list[dict[str, Any]]:
    """Times and facts of every layer; the loss is no module, so that its bytes are not known."""
    loss = {"kind": LOSS, "output_bytes": None, "saved_bytes": None, "parameters": 0, "macs": 0}
    known = {layer.name: asdict(layer) for layer in facts}
    return [asdict(time) | known.get(time.name, loss) for time in times]


def _memory(workload: StepWorkload, times: StepTimes) -> dict[str, int | None]:
    settings = workload.execution
    shape = (workload.network, workload.task, workload.batch, settings.dtype, settings.memory_format)
    return {
        "measured_peak_bytes": times.peak_bytes,
        "formula_bytes": training_bytes(*shape),
        "simulated_bytes": simulate_training_bytes(workload),
        "inference_formula_bytes": inference_bytes(*shape),
        "reserved_bytes": times.reserved_bytes,
    }
