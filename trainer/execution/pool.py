"""Worker processes that execute the steps of a plan.

Every worker has the data in its own memory and, on CUDA, a GPU of its own. Workers put their events into a
mailbox, and only the parent process tells them.

Signals may reach the workers as well as the parent (`trainer.execution.child`). While a run is being stopped,
the loss of a worker is not a failure.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import synchronize
from multiprocessing.queues import Queue

import torch

from advisor.errors import DataError, RunError
from advisor.plans.placement import devices_of, slots
from advisor.plans.plan import Step, TrainingPlan
from advisor.plans.records import StepRecord, StepStatus
from advisor.spawning import apart_from_caller
from trainer.data.loading import Data, load_data
from trainer.events import Event, Notice, Tell, TrainingStarted
from trainer.execution.child import POLL_SECONDS, TERMINATION_SECONDS, TRANSFER_SECONDS, begin, busy
from trainer.execution.mailbox import Mailbox
from trainer.execution.plan_step import run_step
from trainer.execution.preloading import worker_context
from trainer.execution.ready_steps import ReadySteps, failed_record, stopped_record
from trainer.run_files import RunFiles
from trainer.training.parallel import Rendezvous, choose_gpu, make_rendezvous

# Folder in the folder of a run in which processes that share a batch find each other.
RENDEZVOUS = "rendezvous"


class Pool:
    """Worker processes for the steps of a plan, and the mailbox for their events.

    Args:
        plan: plan to execute.
        files: folders of the run and of data sets.
        tell: receiver of the events, called in this process and thread.
        stop: question whether to stop; after the first yes, running steps write checkpoints and end.
    """

    def __init__(self, plan: TrainingPlan, files: RunFiles, tell: Tell, stop: Callable[[], bool]) -> None:
        self.plan, self.tell, self.stop = plan, tell, stop
        context = worker_context()
        self.mailbox = Mailbox(context)
        self.halt = context.Event()
        self.slots = count = slots(plan)
        # Every worker waits for the others at the barrier, so that the pool starts all of them at once.
        arguments = (dict(os.environ), plan, files, self.mailbox.inbox, self.halt, context.Barrier(count))
        self.executor = ProcessPoolExecutor(count, context, _start_worker, arguments)
        # In the folder of the run, whose one user this process is: whatever a killed one left is removed.
        self.rendezvous = files.folder / RENDEZVOUS
        shutil.rmtree(self.rendezvous, ignore_errors=True)
        self.others = set(multiprocessing.active_children())
        # Event that was taken from the mailbox, and whose receiver failed, for instance on a full disk.
        self.pending: Event | None = None

    def run(self) -> dict[str, StepRecord]:
        """Execute the steps of the plan that have not ended yet.

        Returns:
            Record of every step that ended, by the id of the step.

        Raises:
            StorageError: a checkpoint could not be written.
            RunError: a worker process died while it started.
        """
        steps = ReadySteps(self.plan, self.tell)
        running: dict[Future[StepRecord], Step] = {}
        try:
            self._warm_up()
            self.tell(TrainingStarted())
            while True:
                self._submit_ready(steps, running)
                if not running:
                    return steps.ended
                finished, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
                self._tell_arrived()
                for future in finished:
                    step = running.pop(future)
                    steps.finish(self._result(future, step))
        finally:
            self.halt.set()
            self.executor.shutdown(wait=True, cancel_futures=True)
            shutil.rmtree(self.rendezvous, ignore_errors=True)
            self.mailbox.close()
            self._tell_arrived()

    def _warm_up(self) -> None:
        """Start all processes and load the data in each of them before any step is timed.

        Raises:
            RunError: a worker process died.
        """
        try:
            with apart_from_caller():
                starting = [self.executor.submit(_worker_ready) for _ in range(self.slots)]
            for ready in starting:
                ready.result()
        except BrokenProcessPool:
            self._kill_later()
            if self.stop():
                return
            raise RunError("a worker process died while it started; is there enough memory?") from None

    def _submit_ready(self, steps: ReadySteps, running: dict[Future[StepRecord], Step]) -> None:
        if self.stop():
            self.halt.set()
            return
        while (step := steps.next_ready(self._free(running))) is not None:
            try:
                running[self._submitted(step)] = step
            except BrokenProcessPool:
                self._kill_later()
                steps.finish(self._lost(step))

    def _free(self, running: dict[Future[StepRecord], Step]) -> int:
        return self.slots - sum(devices_of(step) for step in running.values())

    def _submitted(self, step: Step) -> Future[StepRecord]:
        """Submit a step to as many workers as it has devices, and return the future record of rank 0."""
        ranks = make_rendezvous(devices_of(step), self.rendezvous)
        return [self.executor.submit(_run_in_worker, step, rank) for rank in ranks][0]

    def _result(self, future: Future[StepRecord], step: Step) -> StepRecord:
        try:
            record = future.result()
        except BrokenProcessPool:
            self._kill_later()
            return self._lost(step)
        # A worker may be terminated although the run goes on.
        return self._lost(step) if record.status is StepStatus.STOPPED else record

    def _kill_later(self) -> None:
        """Kill the workers of a broken pool after a while.

        A worker that waits for its device does not react to SIGTERM. By then this process may have another
        pool, so the workers to kill are listed now.
        """
        workers = set(multiprocessing.active_children()) - self.others

        def kill() -> None:
            for worker in workers:
                worker.kill()

        timer = threading.Timer(TERMINATION_SECONDS + 2 * TRANSFER_SECONDS, kill)
        timer.daemon = True
        timer.start()

    def _lost(self, step: Step) -> StepRecord:
        """Return the record of a step whose worker ended before it.

        The signal that stops a run may also have reached its workers; then the step counts as stopped.
        """
        if self.stop():
            return stopped_record(step)
        return failed_record(
            step, "its worker process was killed, perhaps for want of memory; resume the run"
        )

    def _tell_arrived(self) -> None:
        """Tell all events that have arrived; an event whose receiver fails is repeated the next time."""
        while (event := self.pending or self.mailbox.take()) is not None:
            self.pending = event
            self.tell(event)
            self.pending = None


@dataclass(frozen=True, slots=True)
class _Worker:
    """State of a worker process between steps."""

    plan: TrainingPlan
    files: RunFiles
    data: Data
    tell: Tell
    stop: Callable[[], bool]
    barrier: synchronize.Barrier


_worker: list[_Worker] = []


def _start_worker(
    environment: dict[str, str],
    plan: TrainingPlan,
    files: RunFiles,
    inbox: Queue[Event | None],
    halt: synchronize.Event,
    barrier: synchronize.Barrier,
) -> None:
    terminated = begin(environment)
    torch.set_num_threads(plan.execution.threads)
    choose_gpu(plan.execution.device, barrier)
    try:
        data = load_data(plan.dataset, files.data_root).to(plan.execution.device)
    except DataError as error:
        inbox.put(Notice(str(error)))
        raise
    files.watch(plan.execution.device)

    def stop() -> bool:
        return halt.is_set() or terminated.is_set()

    _worker.append(_Worker(plan, files, data, inbox.put, stop, barrier))


def _worker_ready() -> None:
    _worker[0].barrier.wait()


def _run_in_worker(step: Step, rendezvous: Rendezvous | None) -> StepRecord:
    worker = _worker[0]
    with busy():
        return run_step(worker.plan, step, worker.files, worker.data, worker.tell, worker.stop, rendezvous)
