"""Steps of a plan in this process: one after the other, or several that take turns batch by batch.

On CUDA every network that takes turns has a stream. Python only starts kernels or replays a graph, so the
kernels of several thin networks run side by side on one GPU, with one copy of the data. On a CPU turns gain
nothing; the results are those of any other execution.

The peak memory of a step that takes turns is not known, because the networks share the memory of the process.
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
from trainer.training.work_in_turns import Turns


@dataclass(frozen=True, slots=True)
class _Running:
    """A step under way.

    Attributes:
        turns: its work.
        place: context of the stream that it works on.
    """

    turns: Turns[StepRecord]
    place: AbstractContextManager[object]


class Crew:
    """The steps of a plan that have not ended yet, as many at once as the plan has processes.

    Args:
        plan: plan to execute, none of whose steps has several devices.
        files: folders of the run and of data sets.
        data: images of all splits in the memory of this process.
        tell: receiver of the events.
        stop: question whether to stop; after the first yes, running steps write checkpoints and end.
    """

    def __init__(
        self, plan: TrainingPlan, files: RunFiles, data: Data, tell: Tell, stop: Callable[[], bool]
    ) -> None:
        self._plan, self._tell, self._asked = plan, tell, stop
        device, count = plan.execution.device, plan.execution.processes
        self._files = files if count == 1 else replace(files, watch=_unwatched)
        self._data = data.to(device)
        self._steps = ReadySteps(plan, tell)
        self._running: list[_Running] = []
        # Kept for the whole run: memory that a network gives back in a place serves the next one there.
        self._places = [_place(device, count) for _ in range(count)]
        self._halted = False

    def run(self) -> dict[str, StepRecord]:
        """Execute the steps.

        Returns:
            Record of every step that ended, by the id of the step; stopped and waiting steps are missing.

        Raises:
            StorageError: a checkpoint could not be written; other steps have written theirs.
        """
        if self._plan.execution.device == "cuda":
            # Streams do not wait for the copy of the data.
            torch.cuda.synchronize()
        # The first watch in a process loads libraries for seconds, which must not count as training.
        self._files.watch(self._plan.execution.device)
        self._tell(TrainingStarted())
        try:
            self._take_turns()
        except BaseException:
            # Those that are under way stop at their next batch.
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
        while self._places and not self._halted:
            step = self._steps.next_ready(len(self._places))
            if step is None or self._stop():
                return
            turns = step_turns(self._plan, step, self._files, self._data, self._tell, self._stop)
            self._running.append(_Running(turns, self._places.pop()))

    def _turn(self, each: _Running) -> None:
        try:
            with each.place:
                next(each.turns)
        except StopIteration as end:
            self._leave(each)
            self._steps.finish(end.value)
        except BaseException:
            self._leave(each)
            raise

    def _leave(self, each: _Running) -> None:
        self._running.remove(each)
        self._places.append(each.place)

    def _stop(self) -> bool:
        return self._halted or self._asked()


def _unwatched(device: str) -> Callable[[], int | None]:
    return lambda: None


def _place(device: str, count: int) -> AbstractContextManager[object]:
    """Return the context of a stream, which can be entered again and again; one network needs none."""
    if device == "cuda" and count > 1:
        return torch.cuda.stream(torch.cuda.Stream())
    return nullcontext()
