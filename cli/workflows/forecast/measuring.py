"""Measuring before advice: in fresh processes, what is known least, until the clock says stop.

First the reference network under the settings to choose from, and with one copy a core, which gives the
contention of networks that train side by side; then networks of the request. What comes first may not use up
the time: it is left out as far as it would end after the first half. The start of the measuring process and
the fitting between measurements count as well.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from advisor.cost.acquisition import MEASUREMENT_SECONDS, Wanted, measurement_pool, next_measurement
from advisor.cost.measurement import Fingerprint, Measurement, TrainedEpochs
from advisor.cost.predictor import CostPredictor
from advisor.designs.space import Candidate
from advisor.networks.architecture import family_of
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
    stored_measurements,
    trained_epochs,
)
from cli.workflows.views import Say
from db.queries import Store
from profiler.device import cores_to_pin, fingerprint
from profiler.isolate import MeasuringProcess
from profiler.steps import StepTimes
from trainer.training.workload import StepWorkload

# Of one measurement of the reference: seconds, and share of the time that there is.
REFERENCE_SECONDS = 1.0
REFERENCE_SHARE = 1 / 20
# Contention: alone and side by side in turn, so often, for this share of the seconds of a reference each.
CONTENTION_ROUNDS, CONTENTION_SHARE = 3, 1 / 2
# References and contention end before this share of the time.
PREPARING_SHARE = 1 / 2
# Longer than this for one measurement and it is given up.
LONGEST_SECONDS = 30.0
# Fewer measurements of a family than this and it is measured even if the time was spent before.
LEAST_PER_FAMILY = 2
# Share of the time asked for: with less left of it, another sitting, which first starts a process again and
# refits what is known, would add little, and a repeated request should answer at once. Chosen, not measured.
WORTHWHILE = 0.5


@dataclass(frozen=True, slots=True)
class Profiled:
    """What measuring came to: the predictor, its settings, and the work it took."""

    predictor: CostPredictor
    execution: Execution
    fingerprint: Fingerprint
    seconds: float
    new: int
    reused: int


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
    mark = facts.augmentation.key
    known = stored_measurements(store, device, mark)
    reused = len(known)
    families = sorted({c.family for c in candidates})
    own = [m for m in known if m.task == facts.task and m.fingerprint.augmentation == mark]
    left = _seconds_left(own, families, seconds)
    session = MeasuringSession(store, facts, device, known, say)
    if left > 0:
        session.measure(candidates, batch, began, left)
    return Profiled(
        predictor=session.predictor or session.fitted(),
        execution=session.execution,
        fingerprint=fingerprint(session.execution, mark),
        seconds=time.perf_counter() - began,
        new=len(known) - reused,
        reused=reused,
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


class MeasuringSession:
    """One sitting of measuring, ended by the clock.

    Args:
        store: that measurements are added to.
        facts: of the data.
        device: to measure on.
        known: what was measured on this machine; what is measured now is appended.
        say: told what is measured.

    Attributes:
        execution: the settings that measured fastest so far.
        predictor: fitted on all that is known, None before the first fit.
    """

    def __init__(
        self, store: Store, facts: DatasetFacts, device: str, known: list[Measurement], say: Say
    ) -> None:
        self.store, self.facts, self.device, self.known, self.say = store, facts, device, known, say
        self.execution = fastest_execution(known, device, facts.task)
        self.predictor: CostPredictor | None = None
        self._epochs: dict[Execution, list[TrainedEpochs]] = {}
        self._thinking = 0.0

    def fitted(self) -> CostPredictor:
        """Return the predictor of what is known."""
        if self.execution not in self._epochs:
            mark = self.facts.augmentation.key
            self._epochs[self.execution] = trained_epochs(self.store, self.execution, mark)
        return CostPredictor(self.known, self.execution, self._epochs[self.execution])

    def measure(self, candidates: Sequence[Candidate], batch: int, began: float, seconds: float) -> None:
        """Measure until the time is up.

        Args:
            candidates: of the request.
            batch: of the request.
            began: when the time began to run.
            seconds: that there are from then on.
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
        """Time for measuring: what is left without one more look at what to measure."""
        return self._deadline - self._thinking - time.perf_counter()

    def _ends_in_time(self, expected: float) -> bool:
        """Whether what is no candidate leaves them their share of the time."""
        return time.perf_counter() + expected <= self._halfway

    def _measure_references(self, process: MeasuringProcess) -> float:
        """Measure the plain settings in any case, others if they leave enough time; return what one takes."""
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
        """Measure one copy a core, if that ends in time; further processes have to start first.

        Neighbours come and go, so a step side by side is kept with what it took alone right before. On CUDA
        each network of a plan has a GPU of its own, while measuring processes share one.
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
                    usual = float(np.median([times.step for times in crowd]))
                    kept = replace(crowd[0], step=usual, reference=alone[0].step)
                    self._keep(REFERENCE, REFERENCE_BATCH, execution, kept, count)
        finally:
            for other in others:
                other.close()

    def _together(self, processes: Sequence[MeasuringProcess]) -> list[StepTimes]:
        """Measure the reference in all processes at once; empty if one of them does not come to an end."""
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
        """Fit what is known and return what to measure next, None if nothing is left or the time is up."""
        began, task = time.perf_counter(), self.facts.task
        self.predictor = self.fitted()
        pool = measurement_pool(candidates, task, batch, self.predictor)
        pool = [wanted for wanted in pool if wanted not in refused]
        mark = fingerprint(self.execution, self.facts.augmentation.key)
        own = [m for m in self.known if m.fingerprint == mark]
        # After that measurement comes one more look like this one.
        self._thinking = time.perf_counter() - began
        wanted = next_measurement(pool, own, task, self.predictor, batch=batch, seconds=self._left())
        self._thinking = time.perf_counter() - began
        return wanted

    def _measure(
        self, process: MeasuringProcess, network: str, batch: int, execution: Execution, seconds: float
    ) -> bool:
        """Measure and keep one workload; false if the time is up or it does not fit into memory."""
        left = self._left()
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
        mark = fingerprint(execution, self.facts.augmentation.key)
        kept = measurement_of(network, self.facts.task, batch, mark, times, processes)
        self.store.add_measurement(kept)
        self.known.append(kept)


def _workload(network: str, batch: int, facts: DatasetFacts, execution: Execution) -> StepWorkload:
    return StepWorkload(
        network=network,
        task=facts.task,
        batch=batch,
        augmentation=facts.augmentation,
        execution=execution,
    )
