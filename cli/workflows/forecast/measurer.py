"""One measuring process after another: it starts when something is to be measured, and again if it died.

A measurement that takes too long is given up. That is stored as well, so that it is not tried again for as
little time (`Measurement.given_up`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from advisor.cost.acquisition import Wanted
from advisor.cost.measurement import GIVEN_UP, Measurement
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from cli.workflows.forecast.machine import measurement_of, plain_execution
from cli.workflows.views import Say
from db.queries import Store
from profiler.device import cores_to_pin, fingerprint
from profiler.isolate import MeasuringProcess
from profiler.steps import StepTimes
from trainer.training.workload import StepWorkload

# A measurement that takes longer is given up.
LONGEST_SECONDS = 30.0
# Share of the time until a measurement is given up in which it is meant to end.
MEANT_SHARE = 0.9


class Measurer:
    """Measures networks of one data set and stores what it finds.

    Args:
        store: database that measurements are added to.
        facts: data set of the request.
        device: ``cpu`` or ``cuda``.
        known: earlier measurements of this machine; new ones are appended.
        left: function that returns the seconds left for measuring.
        say: receiver of progress messages.

    Attributes:
        starting_seconds: seconds that the last start of a process took.
    """

    def __init__(
        self,
        store: Store,
        facts: DatasetFacts,
        device: str,
        known: list[Measurement],
        left: Callable[[], float],
        say: Say,
    ) -> None:
        self.store, self.facts, self.device, self.known, self.say = store, facts, device, known, say
        self.starting_seconds = 0.0
        self._left = left
        self._process: MeasuringProcess | None = None
        self._failed: set[tuple[Execution, Wanted]] = set()

    def __enter__(self) -> Measurer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.close()

    def process(self) -> MeasuringProcess | None:
        """Return a process that can measure; None if there is no time to start one."""
        if self._process is not None and self._process.alive:
            return self._process
        if self._left() <= self.starting_seconds:
            return None
        plain, began = plain_execution(self.device), time.perf_counter()
        self._process = MeasuringProcess(self.device, plain.threads, cores_to_pin(plain))
        ready = self._process.wait_until_ready(self._left())
        self.starting_seconds = time.perf_counter() - began
        return self._process if ready else None

    def measure(self, wanted: Wanted, execution: Execution, seconds: float) -> bool:
        """Measure and store one workload; false if the time is up, or if it fits neither time nor memory."""
        if self._left() <= 0 or (process := self.process()) is None:
            return False
        longest = min(LONGEST_SECONDS, self._left())
        if longest <= 0:
            return False
        self.say(f"measuring {wanted.network} at batch {wanted.batch}, {execution.arithmetic_text}")
        process.begin(self.workload(wanted, execution), min(seconds, longest), MEANT_SHARE * longest)
        result = process.finish(longest)
        if result is not None and result.refusal:
            self.say(result.refusal)
        if result is None or result.given_up:
            # Without a result not even one step ended in this time.
            result = result or StepTimes(step=longest, spent=longest)
            self.keep(wanted, execution, result, GIVEN_UP)
            self._failed.add((execution, wanted))
            return False
        # A network that does not fit into memory is a measurement too.
        self.keep(wanted, execution, result, 1)
        if not result.fits:
            self._failed.add((execution, wanted))
        return result.fits

    def workload(self, wanted: Wanted, execution: Execution, copies: int = 1) -> StepWorkload:
        """Return the description of a step by so many networks in one process."""
        return StepWorkload(
            network=wanted.network,
            task=self.facts.task,
            batch=wanted.batch,
            augmentation=self.facts.augmentation,
            execution=execution,
            copies=copies,
        )

    def keep(self, wanted: Wanted, execution: Execution, times: StepTimes, processes: int) -> None:
        """Store a measurement."""
        machine = fingerprint(execution, self.facts.augmentation.key)
        measurement = measurement_of(wanted.network, self.facts.task, wanted.batch, machine, times, processes)
        self.store.add_measurement(measurement)
        self.known.append(measurement)

    def refused(self, execution: Execution) -> set[Wanted]:
        """Return what was given up under given settings and would be given up again in the time left."""
        machine = fingerprint(execution, self.facts.augmentation.key)
        longest = min(LONGEST_SECONDS, self._left())
        found = {wanted for settings, wanted in self._failed if settings == execution}
        for m in self.known:
            own = m.fingerprint == machine and m.task == self.facts.task
            if own and m.given_up and longest <= m.least_seconds:
                found.add(Wanted(m.network, m.batch))
        return found
