"""How the time for measuring is kept and divided; most tests have processes and a clock that only pretend."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from types import SimpleNamespace

import pytest

from advisor.cost.measurement import Measurement
from advisor.cost.memory.peak import training_bytes
from advisor.cost.predictor import CostPredictor
from advisor.cost.reference import REFERENCES
from advisor.designs.space import enumerate_candidates
from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation, dataset_named
from cli.workflows.forecast import measurer, measuring, measuring_session
from cli.workflows.forecast.machine import all_settings
from cli.workflows.forecast.measuring_session import MeasuringSession
from db.queries import Store
from db.session import open_store
from profiler.steps import StepTimes
from trainer.training.workload import StepWorkload

DIGITS = dataset_named("digits")
CANDIDATES = enumerate_candidates(60_000, ["resnet"], DIGITS.task, [1, 2])
START, FIT = 5.0, 0.25
REFERENCE = REFERENCES[0].network


@dataclass
class Machine:
    """A clock, and what was measured when.

    Attributes:
        start: seconds that a process takes to come up.
        slowness: by which measuring takes longer than it was asked to.
        begun: network, seconds asked for, and when.
        stuck: networks whose steps take for ever.
        step: seconds of a step.
    """

    start: float = START
    slowness: float = 1.0
    now: float = 100.0
    begun: list[tuple[str, float, float]] = field(default_factory=list)
    stuck: tuple[str, ...] = ()
    step: Callable[[StepWorkload], float] = lambda workload: 0.035

    def of(self, *, reference: bool) -> list[tuple[str, float, float]]:
        return [each for each in self.begun if (each[0] == REFERENCE) == reference]


def process_on(machine: Machine):
    class Process:
        def __init__(self, device, threads, cores=()) -> None:
            self.alive, self.ready_at, self.done_at = True, machine.now + machine.start, 0.0

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def _wait(self, until: float, seconds: float) -> bool:
            there = until <= machine.now + seconds
            machine.now = max(machine.now, min(until, machine.now + max(seconds, 0.0)))
            return there

        def wait_until_ready(self, timeout: float) -> bool:
            return self._wait(self.ready_at, timeout)

        def begin(self, workload, seconds: float, longest: float) -> None:
            machine.begun.append((workload.network, seconds, machine.now))
            self.spent = 1e9 if workload.network in machine.stuck else seconds * machine.slowness
            self.done_at = machine.now + self.spent
            self.workload = workload

        def finish(self, timeout: float) -> StepTimes | None:
            if self.alive and self._wait(self.done_at, timeout):
                return StepTimes(
                    forward=0.01,
                    backward=0.02,
                    optimizer=0.001,
                    step=machine.step(self.workload),
                    inference=0.01,
                    spent=self.spent,
                )
            self.close()
            return None

        def close(self) -> None:
            self.alive = False

    return Process


@pytest.fixture
def machine(monkeypatch) -> Machine:
    """Two cores; starting and fitting take their time."""
    machine = Machine()

    def fitted(*arguments: object) -> CostPredictor:
        machine.now += FIT
        return CostPredictor(*arguments)

    for module in (measurer, measuring_session):
        monkeypatch.setattr(module, "MeasuringProcess", process_on(machine))
    monkeypatch.setattr(measuring_session, "CostPredictor", fitted)
    for module in (measuring, measuring_session, measurer):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: machine.now))
    monkeypatch.setattr(measurer, "cores_to_pin", lambda execution: [])
    monkeypatch.setattr("cli.workflows.forecast.machine.usable_cores", lambda: 2)
    return machine


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "advisor.sqlite") as opened:
        yield opened


def profiled(store: Store, seconds: float, candidates=CANDIDATES, facts=DIGITS) -> measuring.Profiled:
    return measuring.profile_candidates(
        store, candidates, facts, batch=32, device="cpu", seconds=seconds, say=lambda text: None
    )


def references(stored: list[Measurement]) -> list[Measurement]:
    return [m for m in stored if m.network == REFERENCE]


@pytest.mark.parametrize("slowness", [1.0, 3.0, 1000.0])
@pytest.mark.parametrize("seconds", [10.0, 20.0, 60.0])
def test_the_time_is_kept_with_starting_and_fitting(machine, store, seconds, slowness):
    machine.slowness = slowness
    result = profiled(store, seconds)
    assert result.seconds == pytest.approx(machine.now - 100)
    assert result.seconds <= 1.1 * seconds


def test_a_process_that_does_not_come_up_is_not_waited_for_beyond_the_time(machine, store):
    machine.start = 1000.0
    result = profiled(store, 10.0)
    assert result.seconds <= 11
    assert result.new == 0
    assert result.predictor.basis == "nominal"


@pytest.mark.parametrize("seconds", [12.0, 20.0, 60.0])
def test_half_of_the_time_is_for_candidates(machine, store, seconds):
    profiled(store, seconds)
    assert machine.of(reference=False)[0][2] - 100 <= seconds / 2 + FIT
    assert all(asked <= min(seconds / 20, 1.0) + 1e-9 for _, asked, _ in machine.of(reference=True))


def test_where_starting_takes_half_of_the_time_only_the_plain_settings_are_measured(machine, store):
    profiled(store, 10.0)
    (only,) = references(store.measurements())
    assert (only.fingerprint.dtype, only.fingerprint.memory_format) == ("float32", "channels_last")
    assert machine.of(reference=False)


def test_references_that_take_longer_than_asked_make_room(machine, store):
    machine.slowness = 4.0
    profiled(store, 20.0)
    # 5 s of starting and 4 s of the first; a second would end after the first half.
    assert len(references(store.measurements())) == 1


def test_contention_is_measured_once_a_setting_and_only_if_there_is_time(machine, store):
    profiled(store, 20.0)
    assert [m.processes for m in references(store.measurements())] == [1, 1, 1, 1]
    for _ in range(2):
        profiled(store, 200.0)
    assert sorted(m.processes for m in references(store.measurements())) == [1, 1, 1, 1, 2, 2, 2]


def test_a_step_side_by_side_is_stored_with_the_time_of_the_step_alone(machine, store, monkeypatch):
    def together(session, processes, workload):
        step = 1.0 if len(processes) == 1 else 1.5
        return [StepTimes(step=step + 0.5 * n, reference=0.25, spent=0.5) for n in range(len(processes))]

    monkeypatch.setattr(MeasuringSession, "_together", together)
    profiled(store, 60.0)
    crowd = [m for m in references(store.measurements()) if m.processes == 2]
    # 1.5 s and 2 s side by side.
    assert [(m.step_seconds, m.reference_seconds) for m in crowd] == [(1.75, 1.0)] * 3


def test_on_one_gpu_graphs_and_networks_on_streams_are_measured_and_chosen(machine, store, monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")
    for name in ("_cuda_driver", "_cuda_kernels"):
        monkeypatch.setattr(f"profiler.device.{name}", lambda: "")
    monkeypatch.setattr(measuring_session, "free_bytes", lambda device: 16e9)
    # Eager steps start kernel after kernel. Beyond four graphs the device is full.
    slower = {1: 1.0, 2: 1.1, 4: 1.3, 8: 3.0}
    machine.step = lambda workload: (
        (0.01 if workload.execution.step_mode == "graph" else 0.035) * slower[workload.copies]
    )
    result = measuring.profile_candidates(
        store, CANDIDATES, DIGITS, batch=32, device="cuda", seconds=60.0, say=lambda text: None
    )
    assert (result.execution.step_mode, result.execution.streams) == ("graph", 4)
    crowds = {m.processes: m for m in references(store.measurements()) if m.processes > 1}
    assert {n: m.step_seconds / m.reference_seconds for n, m in crowds.items()} == pytest.approx(
        {2: 1.1, 4: 1.3, 8: 3.0}
    )
    assert {m.fingerprint.step_mode for m in crowds.values()} == {"graph"}


def test_another_augmentation_is_measured_although_the_time_was_spent_before(machine, store):
    profiled(store, 20.0)
    facts = replace(DIGITS, augmentation=Augmentation.RANDAUGMENT)
    result = measuring.profile_candidates(
        store, CANDIDATES, facts, batch=32, device="cpu", seconds=20.0, say=lambda text: None
    )
    assert result.new > 0
    augmentations = [m.fingerprint.augmentation for m in store.measurements()]
    assert augmentations[-result.new :] == [facts.augmentation.key] * result.new
    assert not any(augmentations[: -result.new])


def measured_again(store, seconds, candidates=CANDIDATES):
    said = []
    result = measuring.profile_candidates(
        store, candidates, DIGITS, batch=32, device="cpu", seconds=seconds, say=said.append, remeasure=True
    )
    return result, said


def test_measuring_again_takes_its_time_anew_and_replaces_what_was_measured_before(
    machine, store, monkeypatch
):
    moments = count()
    monkeypatch.setattr("cli.workflows.forecast.machine.now", lambda: f"moment {next(moments)}")
    profiled(store, 40.0)
    before = store.measurements()
    elsewhere = replace(before[0], task=Task(channels=1, height=28, width=28, classes=10))
    other_family = replace(before[0], network="mlp-1-8")
    for each in (elsewhere, other_family):
        store.add_measurement(each)
    assert profiled(store, 40.0).new == 0
    result, said = measured_again(store, 40.0)
    after = store.measurements()
    assert result.new > 4
    assert result.reused == 2
    assert after[:2] == [elsewhere, other_family]
    # The same networks are the most informative ones again.
    assert {m.network for m in before} & {m.network for m in after[2:]} > {REFERENCE}
    assert len(after) == 2 + result.new
    assert said[-1] == f"{result.new} new measurements are in the place of {len(before)} earlier ones"
    assert result.predictor.count == sum(
        m.fingerprint == result.fingerprint and m.processes == 1 for m in after
    )


@pytest.mark.parametrize(("seconds", "slowness"), [(0.0, 1.0), (20.0, 1000.0)])
def test_without_enough_new_measurements_the_earlier_ones_stay(machine, store, seconds, slowness):
    profiled(store, 20.0)
    before = store.measurements()
    machine.slowness = slowness
    result, said = measured_again(store, seconds)
    assert store.measurements()[: len(before)] == before
    assert "earlier measurements stay, for want of new ones: raise --profile-seconds" in said[-1]
    assert result.predictor.count


def test_measuring_again_what_was_never_measured_is_measuring(machine, store):
    result, said = measured_again(store, 20.0)
    assert result.new > 0
    assert not any("earlier" in line for line in said)


def test_before_measuring_a_busy_machine_is_said_once_and_only_if_something_is_measured(
    machine, store, monkeypatch
):
    monkeypatch.setattr("cli.workflows.forecast.pace.pace_side_by_side", lambda copies: 1.0)
    assert not profiled(store, 20.0).busy
    for m in store.measurements():
        store.delete_measurements([m])
        store.add_measurement(replace(m, reference_seconds=0.5))
    said = []
    result = measuring.profile_candidates(
        store, CANDIDATES, DIGITS, batch=32, device="cpu", seconds=40.0, say=said.append
    )
    assert result.busy
    assert ["50 % of its usual speed" in line for line in said].count(True) == 1
    assert "`recommend --remeasure` measures again when it is quiet" in said[0]
    assert not profiled(store, 0.0).busy


def test_stored_measurements_are_read_once_a_setting(machine, store, monkeypatch):
    reads = []
    read = Store.measurements
    monkeypatch.setattr(Store, "measurements", lambda *a: (reads.append(a), read(*a))[1])
    result = profiled(store, 60.0)
    assert result.new > 8
    assert len(reads) == len(all_settings("cpu"))
    assert result.predictor.count == sum(
        m.fingerprint == result.fingerprint and m.processes == 1 for m in read(store)
    )


# Large images, and what does not fit.

PHOTOGRAPHS = replace(DIGITS, name="photographs", task=Task(channels=3, height=224, width=224, classes=2))
LARGE = enumerate_candidates(100_000, ["resnet", "vgg"], PHOTOGRAPHS.task, [1, 2])


def test_what_is_measured_of_large_images_fits_into_the_memory_before_it_is_started(machine, store):
    result = profiled(store, 60.0, LARGE, PHOTOGRAPHS)
    assert result.new > 8
    measured = store.measurements()
    for m in measured:
        assert training_bytes(m.network, m.task, m.batch, "float32") < 350e6
    first = measured[0]
    assert (first.network, first.batch) == ("resnet-20-16", 2)
    names = {f"{c.family}-{c.depth}-{c.width}" for c in LARGE}
    assert sum(m.network in names for m in measured) >= 4
    # One process only: several would take too much memory.
    assert {m.processes for m in measured} == {1}


def test_where_hardly_any_memory_is_free_the_reference_and_the_candidates_are_smaller(
    machine, store, monkeypatch
):
    # Half of it, less that of an idle process, is left for a network.
    monkeypatch.setattr(measuring_session, "free_bytes", lambda device: 2 * (700e6 + 100e6))
    profiled(store, 60.0, LARGE, PHOTOGRAPHS)
    measured = store.measurements()
    assert (measured[0].network, measured[0].batch) == ("resnet-20-4", 2)
    assert all(training_bytes(m.network, m.task, m.batch, "float32") < 100e6 for m in measured)
    machine.begun.clear()
    monkeypatch.setattr(measuring_session, "free_bytes", lambda device: 1e6)
    assert profiled(store, 600.0, LARGE, PHOTOGRAPHS).new == 0
    assert not machine.begun


def test_a_reference_that_takes_too_long_is_replaced_by_the_next_smaller_one(machine, store):
    machine.stuck = (REFERENCE,)
    result = profiled(store, 200.0)
    stored = store.measurements()
    assert [(m.network, m.batch) for m in stored if m.given_up] == [
        (r.network, r.batch) for r in REFERENCES if r.network == REFERENCE
    ]
    measured = [m for m in stored if not m.given_up]
    assert (measured[0].network, measured[0].batch) == ("resnet-20-4", 2)
    assert result.new == len(measured) > 8


def test_what_was_given_up_is_not_tried_again_by_the_next_call(machine, store):
    machine.stuck = (REFERENCE, *(f"{c.family}-{c.depth}-{c.width}" for c in CANDIDATES))
    first = profiled(store, 100.0)
    tried = [name for name, _, _ in machine.begun]
    machine.begun.clear()
    machine.now += 1000
    profiled(store, 100.0)
    # The longest that any measurement may take had passed for the first ones.
    given_up = {(m.network, m.batch) for m in store.measurements() if m.given_up and m.spent_seconds >= 30}
    assert given_up
    assert tried[0] == REFERENCE
    assert REFERENCE not in [name for name, _, _ in machine.begun]
    assert first.predictor.basis != "measurements"


def test_a_measurement_that_was_given_up_is_no_measurement(machine, store):
    machine.stuck = ("resnet-8-4",)
    candidates = [c for c in CANDIDATES if c.depth == 8]
    result = profiled(store, 60.0, candidates)
    given_up = [m for m in store.measurements() if m.given_up]
    assert {m.network for m in given_up} <= {"resnet-8-4"}
    assert result.new == len(store.measurements()) - len(given_up)
    again = profiled(store, 0.0, candidates)
    assert again.reused == result.new
    assert again.predictor.count == result.predictor.count


@pytest.mark.slow
def test_a_real_session_of_ten_seconds_takes_ten_seconds(store):
    began = time.perf_counter()
    result = profiled(store, 10.0)
    assert time.perf_counter() - began <= 11
    assert result.seconds <= 11
