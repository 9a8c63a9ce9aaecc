"""A session of measuring in fresh processes, where predictions are least certain, until its time is up.

The order is: the reference network under the settings to choose from; the reference with one copy per core,
which gives the contention of networks that train side by side; then networks of the request. The first two
prepare for the third and may take half of the time: a measurement that would end later is left out. Starting
the measuring process and fitting between measurements count as well.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from advisor.cost.acquisition import MEASUREMENT_SECONDS, Wanted, measurement_pool, next_measurement
from advisor.cost.measurement import Measurement, TrainedEpochs
from advisor.cost.predictor import CostPredictor
from advisor.designs.space import Candidate
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from cli.workflows.forecast.machine import (
    REFERENCE,
    REFERENCE_BATCH,
    executions,
    fastest_execution,
    is_reference,
    measurement_of,
    plain_execution,
    trained_epochs,
)
from cli.workflows.views import Say
from db.queries import Store
from profiler.device import cores_to_pin, fingerprint
from profiler.isolate import MeasuringProcess
from profiler.steps import StepTimes
from trainer.training.workload import StepWorkload

# Length of one measurement of the reference: seconds at most, and share of the session at most.
REFERENCE_SECONDS = 1.0
REFERENCE_SHARE = 1 / 20
# Contention: rounds of measuring alone and then side by side, each for this share of a reference's seconds.
CONTENTION_ROUNDS, CONTENTION_SHARE = 3, 1 / 2
# References and contention end before this share of the session.
PREPARING_SHARE = 1 / 2
# A measurement that takes longer is given up.
LONGEST_SECONDS = 30.0


class MeasuringSession:
    """One session of measuring, which ends when its time is up.

    Args:
        store: database that measurements are added to.
        facts: data set of the request.
        device: ``cpu`` or ``cuda``.
        known: earlier measurements of this machine; new ones are appended.
        say: receiver of progress messages.

    Attributes:
        execution: settings that measured fastest so far.
        predictor: predictor fitted to all measurements, None before the first fit.
    """

    def __init__(
        self, store: Store, facts: DatasetFacts, device: str, known: list[Measurement], say: Say
    ) -> None:
        self.store, self.facts, self.device, self.known, self.say = store, facts, device, known, say
        self.execution = fastest_execution(known, device, facts.task)
        self.predictor: CostPredictor | None = None
        self._epochs: dict[Execution, list[TrainedEpochs]] = {}
        self._choosing_seconds = 0.0

    def fitted(self) -> CostPredictor:
        """Return a predictor that is fitted to all measurements so far."""
        if self.execution not in self._epochs:
            augmentation = self.facts.augmentation.key
            self._epochs[self.execution] = trained_epochs(self.store, self.execution, augmentation)
        return CostPredictor(self.known, self.execution, self._epochs[self.execution])

    def run(self, candidates: Sequence[Candidate], batch: int, began: float, seconds: float) -> None:
        """Measure until the time is up.

        Args:
            candidates: designs of the request.
            batch: images in a step of the request.
            began: time at which the session began, by `time.perf_counter`.
            seconds: length of the session from then on, in seconds.
        """
        self._deadline, self._halfway = began + seconds, began + PREPARING_SHARE * seconds
        self._reference_seconds = min(REFERENCE_SECONDS, REFERENCE_SHARE * seconds)
        plain, start = plain_execution(self.device), time.perf_counter()
        process = MeasuringProcess(self.device, plain.threads, cores_to_pin(plain))
        with process:
            if not process.wait_until_ready(self._left()):
                return
            starting = time.perf_counter() - start
            measuring = self._measure_references(process)
            self.execution = fastest_execution(self.known, self.device, self.facts.task)
            self._measure_contention(process, starting + measuring)
            self._measure_candidates(process, candidates, batch)

    def _left(self) -> float:
        """Return the seconds left for measuring: those until the deadline without one more choice."""
        return self._deadline - self._choosing_seconds - time.perf_counter()

    def _ends_in_time(self, expected: float) -> bool:
        """Whether a measurement that prepares for the candidates leaves them their share of the time."""
        return time.perf_counter() + expected <= self._halfway

    def _measure_references(self, process: MeasuringProcess) -> float:
        """Measure the reference under the plain settings, and under others if they leave enough time.

        Returns:
            Seconds of the longest measurement of the reference.
        """
        expected = self._reference_seconds
        for execution in executions(self.device):
            plain = execution == plain_execution(self.device)
            if self._has_reference(execution, 1) or not (plain or self._ends_in_time(expected)):
                continue
            began = time.perf_counter()
            self._measure(process, REFERENCE, REFERENCE_BATCH, execution, self._reference_seconds)
            expected = max(expected, time.perf_counter() - began)
        return expected

    def _has_reference(self, execution: Execution, processes: int) -> bool:
        return any(is_reference(m, execution, self.facts.task, processes) for m in self.known)

    def _measure_contention(self, process: MeasuringProcess, expected: float) -> None:
        """Measure one copy per core, if that ends in time; further processes have to start first.

        The load of a machine changes, so a step side by side is stored with the time of the same step alone
        right before. On CUDA this is left out: each network of a plan has a GPU of its own, while measuring
        processes share one.
        """
        execution = self.execution
        count = execution.processes if self.device == "cpu" else 1
        expected += 2 * CONTENTION_ROUNDS * CONTENTION_SHARE * self._reference_seconds
        if count < 2 or self._has_reference(execution, count) or not self._ends_in_time(expected):
            return
        others = [MeasuringProcess(self.device, execution.threads) for _ in range(count - 1)]
        try:
            if all(other.wait_until_ready(self._left()) for other in others):
                for _ in range(CONTENTION_ROUNDS):
                    alone, crowd = self._together([process]), self._together([process, *others])
                    if not (alone and crowd):
                        return
                    usual = float(np.median([each.step for each in crowd]))
                    times = replace(crowd[0], step=usual, reference=alone[0].step)
                    self._store(REFERENCE, REFERENCE_BATCH, execution, times, count)
        finally:
            for other in others:
                other.close()

    def _together(self, processes: Sequence[MeasuringProcess]) -> list[StepTimes]:
        """Measure the reference in all processes at once; empty if one of them does not finish."""
        workload = _workload(REFERENCE, REFERENCE_BATCH, self.facts, self.execution)
        for each in processes:
            each.begin(workload, CONTENTION_SHARE * self._reference_seconds)
        results = [each.finish(min(LONGEST_SECONDS, self._left())) for each in processes]
        fitting = [r for r in results if r is not None and r.fits]
        return fitting if len(fitting) == len(processes) else []

    def _measure_candidates(
        self, process: MeasuringProcess, candidates: Sequence[Candidate], batch: int
    ) -> None:
        refused: set[Wanted] = set()
        while process.alive:
            wanted = self._next(candidates, batch, refused)
            if wanted is None:
                return
            if not self._measure(process, wanted.network, wanted.batch, self.execution, MEASUREMENT_SECONDS):
                refused.add(wanted)

    def _next(self, candidates: Sequence[Candidate], batch: int, refused: set[Wanted]) -> Wanted | None:
        """Return what to measure next by a new fit; None if nothing is left or the time is up."""
        began, task = time.perf_counter(), self.facts.task
        self.predictor = self.fitted()
        pool = measurement_pool(candidates, task, batch, self.predictor)
        pool = [wanted for wanted in pool if wanted not in refused]
        machine = fingerprint(self.execution, self.facts.augmentation.key)
        own = [m for m in self.known if m.fingerprint == machine]
        # After the next measurement, one more choice takes as long as this one.
        self._choosing_seconds = time.perf_counter() - began
        wanted = next_measurement(pool, own, task, self.predictor, batch=batch, seconds=self._left())
        self._choosing_seconds = time.perf_counter() - began
        return wanted

    def _measure(
        self, process: MeasuringProcess, network: str, batch: int, execution: Execution, seconds: float
    ) -> bool:
        """Measure and store one workload; false if the time is up or it does not fit into memory."""
        left = self._left()
        if left <= 0:
            return False
        self.say(f"measuring {network} at batch {batch}, {execution.dtype}, {execution.memory_format}")
        process.begin(_workload(network, batch, self.facts, execution), min(seconds, left))
        result = process.finish(min(LONGEST_SECONDS, left))
        if result is None:
            return False
        # A network that does not fit into memory is a measurement too.
        self._store(network, batch, execution, result, 1)
        return result.fits

    def _store(
        self, network: str, batch: int, execution: Execution, times: StepTimes, processes: int
    ) -> None:
        machine = fingerprint(execution, self.facts.augmentation.key)
        measurement = measurement_of(network, self.facts.task, batch, machine, times, processes)
        self.store.add_measurement(measurement)
        self.known.append(measurement)


def _workload(network: str, batch: int, facts: DatasetFacts, execution: Execution) -> StepWorkload:
    return StepWorkload(
        network=network,
        task=facts.task,
        batch=batch,
        augmentation=facts.augmentation,
        execution=execution,
    )
