"""Measuring on the machine at hand: which settings to train with, and what single steps cost.

The settings of a plan (arithmetic and memory format) are chosen once a machine and input shape, by the
time of a reference network; bfloat16 has to win clearly, so that noise does not decide. The reference is
also timed with one copy a core, which gives the contention of networks that train side by side.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from advisor.acquisition import MEASUREMENT_SECONDS, Wanted, measurement_pool, next_measurement
from advisor.architecture import family_of
from advisor.cost import CostPredictor
from advisor.dataset import DatasetFacts
from advisor.layers import Task
from advisor.measurement import Execution, Fingerprint, Measurement
from advisor.space import Candidate
from cli.workflows.home import Say, now
from db.queries import Store
from profiler.device import fingerprint, quiet_cores, usable_cores
from profiler.isolate import MeasuringProcess
from profiler.steps import StepTimes
from trainer.workload import StepWorkload

REFERENCE = "resnet-20-16"
REFERENCE_BATCH = 32
REFERENCE_SECONDS = 1.0
# Longer than this for one measurement and it is given up.
LONGEST_SECONDS = 30.0
BFLOAT16_ADVANTAGE = 1.15
# Fewer measurements of a family than this and it is measured even if the time was spent before.
LEAST_PER_FAMILY = 2
# A remainder of the time below this share is not worth starting a process for.
WORTHWHILE = 0.25


def plain_execution(device: str) -> Execution:
    """Settings that nothing was measured for: float32, one process a core on a CPU."""
    processes = usable_cores() if device == "cpu" else 1
    return Execution(
        device=device, processes=processes, threads=1, dtype="float32", memory_format="channels_last"
    )


def executions(device: str) -> list[Execution]:
    """Settings to choose from."""
    plain = plain_execution(device)
    return [
        replace(plain, dtype=dtype, memory_format=layout)
        for dtype in ("float32", "bfloat16")
        for layout in ("channels_last", "contiguous")
    ]


def chosen_execution(store: Store, device: str, task: Task) -> Execution:
    """Return the settings that measured fastest on this machine, or the plain ones."""
    times: dict[Execution, float] = {}
    for execution in executions(device):
        for m in store.measurements(fingerprint(execution).digest):
            if m.fits and _is_reference(m, task, 1):
                times[execution] = m.step_seconds
    if not times:
        return plain_execution(device)

    def handicapped(execution: Execution) -> float:
        return times[execution] * (BFLOAT16_ADVANTAGE if execution.dtype == "bfloat16" else 1.0)

    return min(times, key=handicapped)


@dataclass(frozen=True, slots=True)
class Profiled:
    """What measuring came to: the predictor, its settings, and the work it took."""

    predictor: CostPredictor
    execution: Execution
    fingerprint: Fingerprint
    seconds: float
    new: int
    reused: int


def predictor_for(store: Store, execution: Execution) -> CostPredictor:
    """Return the predictor of this machine under given settings."""
    stored = [m for e in executions(execution.device) for m in store.measurements(fingerprint(e).digest)]
    return CostPredictor(stored, execution, store.trained_epochs(fingerprint(execution).digest))


def profile_candidates(
    store: Store,
    candidates: Sequence[Candidate],
    facts: DatasetFacts,
    *,
    batch: int,
    device: str,
    seconds: float,
    say: Say,
) -> Profiled:
    """Measure for at most `seconds` in all, over this and earlier calls, what is known least.

    Args:
        store: of measurements.
        candidates: of the request.
        facts: of its data.
        batch: of the request.
        device: to measure on.
        seconds: of measuring that a task may cost on this machine.
        say: told what is measured.
    """
    began = time.perf_counter()
    known = [m for e in executions(device) for m in store.measurements(fingerprint(e).digest)]
    families = sorted({c.family for c in candidates})
    left = _seconds_left([m for m in known if m.task == facts.task], families, seconds)
    new = 0
    if left > 0:
        session = _Session(store, facts, device, began + left, say)
        new = session.run(candidates, batch)
    execution = chosen_execution(store, device, facts.task)
    mark = fingerprint(execution)
    return Profiled(
        predictor=predictor_for(store, execution),
        execution=execution,
        fingerprint=mark,
        seconds=time.perf_counter() - began,
        new=new,
        reused=len(known),
    )


def _seconds_left(known: list[Measurement], families: list[str], seconds: float) -> float:
    """Time that may still be spent; all of it while a family is all but unmeasured."""
    counts = {family: 0 for family in families}
    for m in known:
        family = family_of(m.network)
        if family in counts:
            counts[family] += 1
    if min(counts.values(), default=0) < LEAST_PER_FAMILY:
        return seconds
    left = seconds - sum(m.spent_seconds for m in known)
    return left if left > WORTHWHILE * seconds else 0.0


class _Session:
    """One sitting of measuring in fresh processes, ended by the clock."""

    def __init__(self, store: Store, facts: DatasetFacts, device: str, deadline: float, say: Say) -> None:
        self.store, self.facts, self.device = store, facts, device
        self.deadline, self.say = deadline, say
        self.count = 0

    def run(self, candidates: Sequence[Candidate], batch: int) -> int:
        threads = plain_execution(self.device).threads
        with MeasuringProcess(self.device, threads, quiet_cores(threads)) as process:
            if not process.wait_until_ready():
                return 0
            self._measure_references(process)
            execution = chosen_execution(self.store, self.device, self.facts.task)
            self._measure_contention(process, execution)
            self._measure_candidates(process, execution, candidates, batch)
        return self.count

    def _measure_references(self, process: MeasuringProcess) -> None:
        for execution in executions(self.device):
            stored = self.store.measurements(fingerprint(execution).digest)
            if not any(_is_reference(m, self.facts.task, 1) for m in stored):
                self._measure(process, REFERENCE, REFERENCE_BATCH, execution, REFERENCE_SECONDS)

    def _measure_contention(self, process: MeasuringProcess, execution: Execution) -> None:
        count = execution.processes
        stored = self.store.measurements(fingerprint(execution).digest)
        if count < 2 or any(_is_reference(m, self.facts.task, count) for m in stored):
            return
        workload = _workload(REFERENCE, REFERENCE_BATCH, self.facts, execution)
        others = [MeasuringProcess(self.device, execution.threads) for _ in range(count - 1)]
        try:
            if not all(other.wait_until_ready() for other in others):
                return
            for each in (process, *others):
                each.begin(workload, REFERENCE_SECONDS)
            results = [each.finish(LONGEST_SECONDS) for each in (process, *others)]
        finally:
            for other in others:
                other.close()
        fitting = [r for r in results if r is not None and r.fits]
        if len(fitting) == count:
            slowest = max(fitting, key=lambda r: r.step)
            self._keep(REFERENCE, REFERENCE_BATCH, execution, slowest, count)

    def _measure_candidates(
        self, process: MeasuringProcess, execution: Execution, candidates: Sequence[Candidate], batch: int
    ) -> None:
        refused: set[Wanted] = set()
        while process.alive:
            stored = self.store.measurements(fingerprint(execution).digest)
            predictor = predictor_for(self.store, execution)
            pool = measurement_pool(candidates, self.facts.task, batch, predictor)
            pool = [wanted for wanted in pool if wanted not in refused]
            left = self.deadline - time.perf_counter()
            wanted = next_measurement(pool, stored, self.facts.task, predictor, batch=batch, seconds=left)
            if wanted is None:
                return
            if not self._measure(process, wanted.network, wanted.batch, execution, MEASUREMENT_SECONDS):
                refused.add(wanted)

    def _measure(
        self, process: MeasuringProcess, network: str, batch: int, execution: Execution, seconds: float
    ) -> bool:
        """Measure and keep one workload; false if the time is up or it does not fit into memory."""
        left = self.deadline - time.perf_counter()
        if left <= 0:
            return False
        self.say(f"measuring {network} at batch {batch}, {execution.dtype}, {execution.memory_format}")
        process.begin(_workload(network, batch, self.facts, execution), min(seconds, left))
        result = process.finish(min(LONGEST_SECONDS, left))
        if result is None:
            return False
        # That it does not fit is worth knowing too.
        self._keep(network, batch, execution, result, 1)
        return result.fits

    def _keep(self, network: str, batch: int, execution: Execution, times: StepTimes, processes: int) -> None:
        self.store.add_measurement(
            measurement_of(network, self.facts.task, batch, fingerprint(execution), times, processes)
        )
        self.count += 1


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


def _workload(network: str, batch: int, facts: DatasetFacts, execution: Execution) -> StepWorkload:
    return StepWorkload(
        network=network,
        task=facts.task,
        batch=batch,
        augmentation=facts.augmentation,
        execution=execution,
    )


def _is_reference(m: Measurement, task: Task, processes: int) -> bool:
    return (m.network, m.batch, m.task, m.processes) == (REFERENCE, REFERENCE_BATCH, task, processes)
