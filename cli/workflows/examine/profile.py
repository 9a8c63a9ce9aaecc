"""`advisor profile`: time and memory of one network, layer by layer and as a whole.

A step is the sum of its parts: batch preparation, the layers and the loss, the optimizer, and a remainder,
which is the part of the uncut forward and backward pass that the layers do not account for.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.conformal import Quantity
from advisor.cost.measurement import LayerTime, Measurement
from advisor.cost.memory.peak import inference_bytes, training_bytes
from advisor.designs.design import parse_design
from advisor.errors import RunError, StepModeError, UsageError
from advisor.estimate import Estimate
from advisor.networks.architecture import parse_network
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import check_choice
from advisor.plans.recipes.choice import usual_batch
from cli.workflows.answers.examine.layers import OtherParts
from cli.workflows.answers.examine.parts import Deviation, fields_of
from cli.workflows.answers.examine.profile import (
    ComparedStep,
    Conditions,
    MeasuredStep,
    Profile,
    ProfiledLayer,
    ProfiledMemory,
)
from cli.workflows.examine.profile_csv import layers_as_csv
from cli.workflows.files import check_csv, csv_file, write_file
from cli.workflows.forecast.machine import chosen_execution, measurement_of, predictor_for
from cli.workflows.forecast.pace import UsualPace, say_if_busy
from cli.workflows.home import Home
from cli.workflows.names import facts_of
from cli.workflows.views import Say
from db.queries import Store
from db.session import open_store
from profiler.capacity import free_bytes
from profiler.device import choose_device, cores_to_pin, fingerprint
from profiler.isolate import MeasuringProcess
from profiler.layers import LOSS, LayerFacts
from profiler.simulation import simulate_training_bytes
from profiler.steps import StepTimes
from trainer.training.workload import StepWorkload

SECONDS = 5.0
LONGEST_SECONDS = 600.0
# Content of the CSV file, as errors name it.
CONTENT = "the layers"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRequest:
    """The options of `advisor profile`.

    Attributes:
        design: a network, or several of one shape.
        dataset: name of the data set; only the shape of its images is needed.
        augmentation: augmentation of the batches, None for that of the data set.
        batch: images in a step, None for that of the data set.
        device: ``cpu`` or ``cuda``, None for CUDA if there is a GPU.
        csv: file for a row per layer, ``-`` for stdout, None for none.
        as_json: whether stdout is taken by JSON.
        resize: size that the images of a folder are scaled to cover and cropped to, None for none.
        skip_damaged: whether damaged files of a folder are left out.
        remeasure: whether earlier measurements of the same step are deleted once there is a new one.
        step_mode: ``eager``, ``compiled`` or ``graph``; None for the one that measured fastest.
    """

    design: str
    dataset: str
    augmentation: str | None = None
    batch: int | None = None
    device: str | None = None
    csv: str | None = None
    as_json: bool = False
    resize: str | None = None
    skip_damaged: bool = False
    remeasure: bool = False
    step_mode: str | None = None


def profile(request: ProfileRequest, home: Home, say: Say) -> Profile:
    """Measure a network in a fresh process, store the step's figures and return everything.

    Args:
        request: options of the command.
        home: folder of the database.
        say: receiver of progress messages.

    Raises:
        UsageError: the design has members of several shapes, the batch is too small, or both kinds of
            output are wanted.
        RunError: it does not fit into memory, as predicted or as measured, or the measuring process died.
        StorageError: the CSV file or the database cannot be written.
    """
    check_csv(request.csv, CONTENT, as_json=request.as_json)
    if request.step_mode is not None:
        check_choice("step_mode", request.step_mode)
    facts = facts_of(
        request.dataset,
        request.augmentation,
        resize=request.resize,
        skip_damaged=request.skip_damaged,
        home=home,
        say=say,
    )
    network = _network_of(request.design)
    batch = _batch_of(request, facts, parse_network(network).family)
    device = choose_device(request.device)
    with open_store(home.database) as store:
        workload = StepWorkload(
            network=network,
            task=facts.task,
            batch=batch,
            augmentation=facts.augmentation,
            execution=chosen_execution(store, device, facts.task, facts.augmentation.key, request.step_mode),
        )
        _check_memory(workload, store)
        # The forecast comes first: once the measurement is stored, the predictor knows the outcome.
        predicted = _predicted(workload, store)
        key = facts.augmentation.key
        say_if_busy(UsualPace.of(store, device, key), 1, "--remeasure", say)
        say(f"measuring {network} at batch {batch}")
        earlier = _earlier(workload, store) if request.remeasure else []
        times, layers = _measured(workload, store)
        store.delete_measurements(earlier)
    answer = _answer(workload, predicted, times, layers)
    file = csv_file(request.csv)
    if file is not None:
        write_file(file, CONTENT, layers_as_csv(answer))
    return answer


def _network_of(design: str) -> str:
    parsed = parse_design(design)
    if not parsed.homogeneous:
        raise UsageError(f"{design} has members of several shapes: profile them one by one")
    return parsed.members[0].name


def _batch_of(request: ProfileRequest, facts: DatasetFacts, family: str) -> int:
    batch = usual_batch([family], facts) if request.batch is None else request.batch
    if batch < 2:
        raise UsageError(f"--batch must be at least 2, got {batch}")
    return batch


def _check_memory(workload: StepWorkload, store: Store) -> None:
    """Refuse a step that is expected not to fit into memory, before a process tries and the system ends it.

    Raises:
        RunError: even the lower end of the predicted peak is above the free memory.
    """
    predictor = predictor_for(store, workload.execution, workload.augmentation.key)
    peak = predictor.training_peak_bytes(workload.network, workload.task, workload.batch)
    free = free_bytes(workload.execution.device)
    if peak.low > free:
        raise RunError(
            f"{workload.network} at batch {workload.batch} is expected to need {peak.mean / 1e9:.3g} GB of "
            f"memory, and {free / 1e9:.3g} GB are free: lower --batch"
        )


def _earlier(workload: StepWorkload, store: Store) -> list[Measurement]:
    """Return the stored measurements of a step by a single process."""
    machine = fingerprint(workload.execution, workload.augmentation.key)
    what = (workload.network, workload.task, workload.batch)
    stored = store.measurements(machine.digest)
    return [m for m in stored if (m.network, m.task, m.batch) == what and m.processes <= 1]


def _predicted(workload: StepWorkload, store: Store) -> Estimate | None:
    """Return the predicted seconds of a step, None where nothing was measured."""
    predictor = predictor_for(store, workload.execution, workload.augmentation.key)
    if predictor.basis == "nominal":
        return None
    seconds = predictor.step_seconds(workload.network, workload.task, workload.batch)
    return predictor.correction(Quantity.TIME).applied(seconds)


def _measured(workload: StepWorkload, store: Store) -> tuple[StepTimes, list[LayerFacts]]:
    """Measure and store the step; one that does not fit into memory is stored as such."""
    execution = workload.execution
    with MeasuringProcess(execution.device, execution.threads, cores_to_pin(execution)) as process:
        if not process.wait_until_ready():
            raise RunError("the measuring process did not start")
        times = _times(process, workload)
        machine = fingerprint(execution, workload.augmentation.key)
        store.add_measurement(measurement_of(workload.network, workload.task, workload.batch, machine, times))
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
    if times is not None and times.refusal:
        raise StepModeError(times.refusal)
    if times is None:
        raise RunError(f"measuring {workload.network} ended without a result, perhaps for want of memory")
    return times


def _answer(
    workload: StepWorkload, predicted: Estimate | None, times: StepTimes, facts: list[LayerFacts]
) -> Profile:
    in_layers = sum(layer.forward_seconds + layer.backward_seconds for layer in times.layers)
    remainder = times.forward + times.backward - in_layers
    return Profile(
        network=workload.network,
        input=workload.task.text,
        classes=workload.task.classes,
        batch=workload.batch,
        step=_step(workload, times),
        layers=_layers(times.layers, facts),
        parts=OtherParts(
            data_seconds=times.step - times.forward - times.backward - times.optimizer,
            optimizer_seconds=times.optimizer,
        ),
        remainder_seconds=remainder,
        remainder_share=remainder / times.step,
        memory=_memory(workload, times),
        conditions=Conditions(
            disturbed=times.disturbed,
            reference_seconds=times.reference,
            watts=times.watts,
            clock_mhz=times.clock_mhz,
            throttle=times.throttle,
        ),
        parameters=sum(layer.parameters for layer in facts),
        macs=sum(layer.macs for layer in facts),
        device=fingerprint(workload.execution, workload.augmentation.key),
        predicted_step_seconds=_compared(predicted, times),
    )


def _compared(predicted: Estimate | None, times: StepTimes) -> ComparedStep | None:
    if predicted is None:
        return None
    return ComparedStep(**fields_of(predicted), deviation=Deviation.of(predicted, times.step))


def _step(workload: StepWorkload, times: StepTimes) -> MeasuredStep:
    return MeasuredStep(
        forward_seconds=times.forward,
        backward_seconds=times.backward,
        optimizer_seconds=times.optimizer,
        step_seconds=times.step,
        step_iqr_seconds=times.step_iqr,
        inference_ms_per_image=1000 * times.inference / workload.batch,
        train_peak_bytes=times.peak_bytes,
        repetitions=times.repetitions,
    )


def _layers(times: tuple[LayerTime, ...], facts: list[LayerFacts]) -> tuple[ProfiledLayer, ...]:
    """Return times and facts of every layer; the loss is not a module, so its bytes are unknown."""
    loss = {"kind": LOSS, "output_bytes": None, "saved_bytes": None, "parameters": 0, "macs": 0}
    known = {layer.name: fields_of(layer) for layer in facts}
    return tuple(ProfiledLayer(**(fields_of(time) | known.get(time.name, loss))) for time in times)


def _memory(workload: StepWorkload, times: StepTimes) -> ProfiledMemory:
    settings = workload.execution
    shape = (workload.network, workload.task, workload.batch, settings.dtype, settings.memory_format)
    return ProfiledMemory(
        measured_peak_bytes=times.peak_bytes,
        formula_bytes=training_bytes(*shape),
        simulated_bytes=simulate_training_bytes(workload),
        inference_formula_bytes=inference_bytes(*shape),
        reserved_bytes=times.reserved_bytes,
    )
