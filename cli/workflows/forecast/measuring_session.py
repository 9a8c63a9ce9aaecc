"""A session of measuring in fresh processes, where predictions are least certain, until its time is up.

The order is: the reference network under the settings to choose from; the reference with one copy per core,
which gives the contention of networks that train side by side; then networks of the request. The first two
prepare for the third and may take half of the time: a measurement that would end later is left out. Starting
the measuring process and fitting between measurements count as well.

Whether a measurement fits into memory is predicted before it is started. A reference that fits neither memory
nor time is replaced by the next smaller one (`advisor.cost.reference`), a network of the request by a smaller
batch or a smaller network (`advisor.cost.acquisition`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from advisor.cost.acquisition import (
    MEASUREMENT_SECONDS,
    Room,
    Wanted,
    measurement_pool,
    next_measurement,
)
from advisor.cost.measurement import Measurement, TrainedEpochs
from advisor.cost.memory.fit import MemoryFit
from advisor.cost.predictor import CostPredictor
from advisor.cost.reference import REFERENCES, references
from advisor.designs.space import Candidate
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from cli.workflows.forecast.coverage import corrections_of
from cli.workflows.forecast.machine import (
    digests_of,
    executions,
    fastest_execution,
    is_reference,
    measured_reference,
    plain_execution,
    trained_epochs,
)
from cli.workflows.forecast.measurer import LONGEST_SECONDS, Measurer
from cli.workflows.views import Say
from db.queries import Store
from profiler.capacity import free_bytes
from profiler.device import fingerprint, visible_gpus
from profiler.isolate import MeasuringProcess
from profiler.steps import StepTimes
from trainer.training.workload import StepWorkload

# Length of one measurement of the reference: seconds at most, and share of the session at most.
REFERENCE_SECONDS = 1.0
REFERENCE_SHARE = 1 / 20
# Contention: rounds of measuring alone and then side by side, each for this share of a reference's seconds.
CONTENTION_ROUNDS, CONTENTION_SHARE = 3, 1 / 2
# Numbers of networks that are measured on one GPU at the same time.
STREAMS = (2, 4, 8)
# References and contention end before this share of the session.
PREPARING_SHARE = 1 / 2
# A measurement of a candidate is expected to take at most this share of the session.
CANDIDATE_SHARE = 1 / 10
# Share of the free memory that measuring may take.
MEMORY_SHARE = 1 / 2
# Memory of one measured candidate at most, in bytes; references have a limit of their own. On a CPU the
# command and one idle measuring process have 1.5 GB of resident memory, mostly libraries, and all together
# are meant to stay below 2 GB.
LARGEST_BYTES = {"cpu": 250e6, "cuda": float("inf")}
# Resident memory of a measuring process before it measures.
PROCESS_BYTES = 700e6


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
        self._corrections = corrections_of(store, digests_of(device))
        self._choosing_seconds = 0.0
        free = MEMORY_SHARE * free_bytes(device)
        self._free_bytes = free if device == "cuda" else free - PROCESS_BYTES
        self._largest_bytes = min(self._free_bytes, LARGEST_BYTES[device])

    def fitted(self) -> CostPredictor:
        """Return a predictor that is fitted to all measurements so far."""
        if self.execution not in self._epochs:
            augmentation = self.facts.augmentation.key
            self._epochs[self.execution] = trained_epochs(self.store, self.execution, augmentation)
        return CostPredictor(self.known, self.execution, self._epochs[self.execution], self._corrections)

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
        self._candidate_seconds = max(CANDIDATE_SHARE * seconds, MEASUREMENT_SECONDS)
        with Measurer(self.store, self.facts, self.device, self.known, self._left, self.say) as measurer:
            with self._started_neighbours() as neighbours:
                measuring = self._measure_references(measurer, neighbours)
                self.execution = fastest_execution(self.known, self.device, self.facts.task)
                self._measure_contention(measurer, measuring, neighbours)
            self.execution = fastest_execution(self.known, self.device, self.facts.task)
            self._measure_candidates(measurer, candidates, batch)

    @contextmanager
    def _started_neighbours(self) -> Iterator[list[MeasuringProcess]]:
        """Start the processes that a CPU's cores are measured with beside the first one, all at once with it.

        None are started where a reference was measured side by side before, or where memory is short. The
        context ends them.
        """
        reference, count = REFERENCES[0], self.execution.processes
        wanted = (
            self.device == "cpu"
            and references(self.facts.task)[0] == reference
            and not self._has_reference(reference, self.execution, count)
            and self._holds(reference, count, count)
        )
        threads = self.execution.threads
        started = [MeasuringProcess(self.device, threads) for _ in range(count - 1 if wanted else 0)]
        try:
            yield started
        finally:
            for each in started:
                each.close()

    def _left(self) -> float:
        """Return the seconds left for measuring: those until the deadline without one more choice."""
        return self._deadline - self._choosing_seconds - time.perf_counter()

    def _ends_in_time(self, expected: float) -> bool:
        """Whether a measurement that prepares for the candidates leaves them their share of the time."""
        return time.perf_counter() + expected <= self._halfway

    def _measure_references(self, measurer: Measurer, neighbours: Sequence[MeasuringProcess]) -> float:
        """Measure a reference under the plain settings, and under others if they leave enough time.

        Args:
            measurer: what measures.
            neighbours: processes that start meanwhile; they are ready before anything is measured.

        Returns:
            Seconds of the longest measurement of the reference.
        """
        if self._reference(measurer, plain_execution(self.device)) is not None:
            measurer.process()
        for each in neighbours:
            each.wait_until_ready(self._left())
        expected = self._reference_seconds
        plain = plain_execution(self.device)
        for execution in executions(self.device):
            while (reference := self._reference(measurer, execution)) is not None:
                in_time = execution == plain or self._ends_in_time(expected)
                if not in_time or measurer.process() is None:
                    break
                began = time.perf_counter()
                measured = measurer.measure(reference, execution, self._reference_seconds)
                expected = max(expected, time.perf_counter() - began)
                # Other settings are compared on the reference of the plain ones, or not at all.
                if measured or execution != plain:
                    break
        return expected

    def _reference(self, measurer: Measurer, execution: Execution) -> Wanted | None:
        """Return the reference to measure under some settings; None if there is none, or no more time."""
        task, plain = self.facts.task, plain_execution(self.device)
        if self._left() <= 0:
            return None
        chosen = measured_reference(self.known, self.device, task)
        if chosen is None and execution != plain:
            return None
        if chosen is not None and self._has_reference(chosen, execution, 1):
            return None
        refused = measurer.refused(execution)
        options = references(task) if chosen is None else (chosen,)
        for reference in options:
            tried = reference in refused or self._has_reference(reference, execution, 1)
            if not tried and self._peak_bytes(reference) <= self._free_bytes:
                return reference
        return None

    def _has_reference(self, reference: Wanted, execution: Execution, processes: int) -> bool:
        task = self.facts.task
        return any(is_reference(m, reference, execution, task, processes) for m in self.known)

    def _measure_contention(
        self, measurer: Measurer, expected: float, neighbours: Sequence[MeasuringProcess]
    ) -> None:
        """Measure networks side by side: on a CPU one process per core, on a GPU several on streams.

        The load of a machine changes, so a step side by side is stored with the time of the same step alone
        right before. With several GPUs this is left out, because each network has one of its own. It is left
        out for large images too, whose reference is not the usual one. There it would take too much memory
        and time, and the contention of small images stands in.

        Args:
            measurer: what measures.
            expected: seconds that measuring a reference took.
            neighbours: processes for the other cores, ready to measure.
        """
        if measured_reference(self.known, self.device, self.facts.task) != REFERENCES[0]:
            return
        if neighbours:
            self._measure_side_by_side(measurer, neighbours)
        elif self.device == "cuda" and visible_gpus() == 1:
            for count in STREAMS:
                self._measure_on_streams(measurer, expected, count)

    def _measure_on_streams(self, measurer: Measurer, expected: float, count: int) -> None:
        """Measure a reference by several networks in one process, each on a stream."""
        reference, execution = REFERENCES[0], self.execution
        done = self._has_reference(reference, execution, count)
        if done or not self._ends_in_time(2 * expected) or not self._holds(reference, count, 1):
            return
        if (process := measurer.process()) is None:
            return
        alone, crowd = (
            self._together([process], measurer.workload(reference, execution, copies))
            for copies in (1, count)
        )
        if alone and crowd:
            measurer.keep(reference, execution, replace(crowd[0], reference=alone[0].step), count)

    def _measure_side_by_side(self, measurer: Measurer, neighbours: Sequence[MeasuringProcess]) -> None:
        """Measure a reference by one process per core."""
        reference, execution, count = REFERENCES[0], self.execution, 1 + len(neighbours)
        expected = 2 * CONTENTION_ROUNDS * CONTENTION_SHARE * self._reference_seconds
        if self._has_reference(reference, execution, count) or not self._ends_in_time(expected):
            return
        if (process := measurer.process()) is None:
            return
        for _ in range(CONTENTION_ROUNDS):
            workload = measurer.workload(reference, execution)
            alone = self._together([process], workload)
            crowd = self._together([process, *neighbours], workload)
            if not (alone and crowd):
                return
            usual = float(np.median([each.step for each in crowd]))
            times = replace(crowd[0], step=usual, reference=alone[0].step)
            measurer.keep(reference, execution, times, count)

    def _holds(self, reference: Wanted, copies: int, processes: int) -> bool:
        """Whether copies of the reference in so many processes are expected to fit into memory together."""
        needed = (processes - 1) * PROCESS_BYTES + copies * self._peak_bytes(reference)
        return needed <= self._free_bytes

    def _peak_bytes(self, reference: Wanted) -> float:
        """Return the peak of a reference by the formula alone, which takes no time to fit."""
        formula = MemoryFit([], self.execution)
        return formula.training(reference.network, self.facts.task, reference.batch).mean

    def _together(self, processes: Sequence[MeasuringProcess], workload: StepWorkload) -> list[StepTimes]:
        """Measure a step in all processes at once; empty if one of them does not finish."""
        longest = min(LONGEST_SECONDS, self._left())
        for each in processes:
            each.begin(workload, CONTENTION_SHARE * self._reference_seconds, longest)
        results = [each.finish(min(LONGEST_SECONDS, self._left())) for each in processes]
        fitting = [r for r in results if r is not None and r.fits and not r.given_up]
        return fitting if len(fitting) == len(processes) else []

    def _measure_candidates(self, measurer: Measurer, candidates: Sequence[Candidate], batch: int) -> None:
        while (wanted := self._next(measurer, candidates, batch)) is not None:
            if not measurer.measure(wanted, self.execution, MEASUREMENT_SECONDS) and self._left() <= 0:
                return

    def _next(self, measurer: Measurer, candidates: Sequence[Candidate], batch: int) -> Wanted | None:
        """Return what to measure next by a new fit; None if nothing is left or the time is up."""
        began, task = time.perf_counter(), self.facts.task
        self.predictor = self.fitted()
        room = Room(
            bytes=self._largest_bytes,
            seconds=self._candidate_seconds,
            refused=measurer.refused(self.execution),
        )
        pool = measurement_pool(candidates, task, batch, self.predictor, room)
        machine = fingerprint(self.execution, self.facts.augmentation.key)
        own = [m for m in self.known if m.fingerprint == machine]
        # After the next measurement, one more choice takes as long as this one.
        self._choosing_seconds = time.perf_counter() - began
        wanted = next_measurement(pool, own, task, self.predictor, batch=batch, seconds=self._left())
        self._choosing_seconds = time.perf_counter() - began
        return wanted
