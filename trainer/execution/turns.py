"""Several steps of a plan in one process, which take turns batch by batch.

On CUDA every network that trains has a stream. Python only starts kernels or replays a graph, so the kernels
of several thin networks run side by side on one GPU, with one copy of the data. On a CPU turns gain nothing;
the results are those of any other execution.

The peak memory of a step is not known, because the networks share the memory of the process.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch

from advisor.plans.plan import TrainingPlan
from advisor.plans.records import StepRecord
from trainer.data.loading import Data
from trainer.events import Tell, TrainingStarted
from trainer.execution.plan_step import step_turns
from trainer.execution.ready_steps import ReadySteps
from trainer.run_files import RunFiles
from trainer.training.loop import Turns


def execute_in_turns(
    plan: TrainingPlan, files: RunFiles, data: Data, tell: Tell, stop: Callable[[], bool]
) -> dict[str, StepRecord]:
    """Execute the steps of a plan that have not ended yet, as many at once as the plan has processes.

    Args:
        plan: plan to execute, none of whose steps has several devices.
        files: folders of the run and of data sets.
        data: images of all splits in the memory of this process.
        tell: receiver of the events.
        stop: question whether to stop; after the first yes, running steps write checkpoints and end.

    Returns:
        Record of every step that ended, by the id of the step; stopped and waiting steps are missing.

    Raises:
        StorageError: a checkpoint could not be written; other steps have written theirs.
    """
    crew = _Crew(plan, replace(files, watch=_unwatched), data, tell, stop)
    return crew.run()


def _unwatched(device: str) -> Callable[[], int | None]:
    return lambda: None


@dataclass(frozen=True, slots=True)
class _Running:
    """A step under way.

    Attributes:
        turns: its work.
        stream: context of its stream.
    """

    turns: Turns[StepRecord]
    stream: AbstractContextManager[object]


class _Crew:
    """Steps that take turns; arguments as `execute_in_turns`."""

    def __init__(
        self, plan: TrainingPlan, files: RunFiles, data: Data, tell: Tell, stop: Callable[[], bool]
    ) -> None:
        self._plan, self._files, self._tell, self._asked = plan, files, tell, stop
        self._data = data.to(plan.execution.device)
        self._steps = ReadySteps(plan, tell)
        self._running: list[_Running] = []
        self._halted = False
        # A stream a place, for the whole run: memory that a network gives back on one serves the next there.
        self._streams = [_stream(plan.execution.device) for _ in range(plan.execution.processes)]

    def run(self) -> dict[str, StepRecord]:
        """Execute the steps; see `execute_in_turns`."""
        if self._plan.execution.device == "cuda":
            # Streams do not wait for the copy of the data.
            torch.cuda.synchronize()
        self._tell(TrainingStarted())
        try:
            self._take_turns()
        except BaseException:
            self._halted = True
            self._take_turns()
            raise
        return self._steps.ended

    def _take_turns(self) -> None:
        """Give every step a turn after the other, until none is under way and none can begin."""
        self._begin_ready()
        while self._running:
            for each in list(self._running):
                self._turn(each)
            self._begin_ready()

    def _begin_ready(self) -> None:
        while self._streams and not self._stop():
            step = self._steps.next_ready(len(self._streams))
            if step is None:
                return
            turns = step_turns(self._plan, step, self._files, self._data, self._tell, self._stop)
            self._running.append(_Running(turns, self._streams.pop()))

    def _turn(self, each: _Running) -> None:
        try:
            with each.stream:
                next(each.turns)
        except StopIteration as end:
            self._leave(each)
            self._steps.finish(end.value)
        except BaseException:
            self._leave(each)
            raise

    def _leave(self, each: _Running) -> None:
        self._running.remove(each)
        self._streams.append(each.stream)

    def _stop(self) -> bool:
        return self._halted or self._asked()


def _stream(device: str) -> AbstractContextManager[object]:
    """Return the context of a new stream, which can be entered again and again; on a CPU there is none."""
    return torch.cuda.stream(torch.cuda.Stream()) if device == "cuda" else nullcontext()
