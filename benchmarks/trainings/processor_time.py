"""Execution of the benchmarks on two cores, and the processor time of a training's steps.

Other programs hardly affect processor time, so trainings beside other work can be compared.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from advisor.cost.timeline import timeline
from advisor.files import write_whole
from advisor.plans.execution import Execution
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from trainer.events import CheckpointWritten, Event, Notice, TrainingStarted

EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="channels_last")


class Clock:
    """Receiver of events that records the processor seconds of every step, and the time of the first step."""

    def __init__(self) -> None:
        self.began = 0.0
        self.steps: dict[str, float] = {}
        self.networks: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case TrainingStarted():
                self.began = time.perf_counter()
            case EpochRecord():
                self.epoch(event)
            case StepRecord():
                assert event.status is StepStatus.DONE, event
                self.steps[event.step] = seconds = (event.peak_bytes or 0) / 1e9
                self.networks[event.network] = self.networks.get(event.network, 0.0) + seconds
            case Notice(text):
                print(text)

    def epoch(self, record: EpochRecord) -> None:
        """Ignore the record of an epoch; a subclass may keep it."""

    def makespan(self, plan: TrainingPlan) -> float:
        """Return the seconds of the plan on otherwise idle cores, one for each process."""
        return makespan(plan, self.steps)


def makespan(plan: TrainingPlan, seconds: Mapping[str, float]) -> float:
    """Return the seconds of a plan on otherwise idle cores, one for each process.

    Args:
        plan: the plan.
        seconds: processor seconds of every step, by its id.
    """
    names, after = [s.id for s in plan.steps], [s.after for s in plan.steps]
    each = [seconds[name] for name in names]
    return max(s.end for s in timeline(names, after, each, plan.execution.processes, 1.0).values())


def processor_watch(device: str) -> Callable[[], int]:
    """Return a clock that stands in for the watch of memory: processor time of a step, ns.

    Other programs hardly affect processor time.
    """
    began = time.process_time_ns()
    return lambda: time.process_time_ns() - began


class EpochClock:
    """Receiver of events that keeps processor seconds in a file, a line for each event of a network.

    Work that no checkpoint keeps is done again and counts once: of an epoch that is told twice the first
    time counts, and so it does of the end of a step.

    Args:
        file: file of the seconds so far.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.kept = list(_whole_lines(file))
        if self.kept:
            write_whole(file, "".join(json.dumps(line) + "\n" for line in self.kept).encode())
        self.told = {(line["network"], line["event"]) for line in self.kept if line["event"]}
        self.wall: dict[str, float] = {}
        self.mark = time.process_time()

    def __call__(self, event: Event) -> None:
        match event:
            case TrainingStarted():
                self.mark = time.process_time()
            case EpochRecord():
                self._add(event.network, f"{event.step} {event.epoch}")
            case CheckpointWritten():
                self._add(event.network, "")
            case StepRecord():
                if event.status is not StepStatus.DONE:
                    raise RuntimeError(f"{event.step} {event.status}: {event.message}")
                self._add(event.network, f"{event.step} end")
                self.wall[event.step] = event.seconds
            case Notice(text):
                print(text, flush=True)

    def _add(self, network: str, event: str) -> None:
        now = time.process_time()
        seconds, self.mark = now - self.mark, now
        if (network, event) in self.told:
            return
        line = {"network": network, "event": event, "seconds": seconds}
        if event:
            self.told.add((network, event))
        self.kept.append(line)
        with self.file.open("a") as opened:
            opened.write(json.dumps(line) + "\n")

    def seconds(self, network: str) -> float:
        """Return the processor seconds of a network's steps."""
        return sum(line["seconds"] for line in self.kept if line["network"] == network)


def _whole_lines(file: Path) -> Iterator[dict]:
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            yield json.loads(line)
        except ValueError:
            # A kill cut it short.
            continue
