"""Steps of a plan in worker processes, each with the data in its memory and, on CUDA, a GPU of its own.

The parent alone speaks to the listener. Signals may reach workers as well as the parent: Ctrl-C they
ignore, and one that is asked to terminate ends after the checkpoint of the step that it executes. When a
run is being stopped, a lost worker is no failure.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import torch

from advisor.errors import DataError, RunError
from advisor.plans.placement import devices_of, slots
from advisor.plans.plan import Step, TrainingPlan
from advisor.plans.records import EpochRecord, StepRecord
from trainer.data.loading import Data, load_data
from trainer.execution.frontier import Frontier, Listener
from trainer.execution.mailbox import Letter, Mailbox
from trainer.execution.plan_step import FAILED, STOPPED, Channel, run_step, stopped
from trainer.run_files import RunFiles
from trainer.training.parallel import Seat, seats, take_device

POLL_SECONDS = 0.1
# A worker that was asked to terminate has so long for its batch and its checkpoint,
LEAVING_SECONDS = 30.0
# and then for handing over what it has told.
LINGER_SECONDS = 1.0


class Pool:
    """Steps in worker processes; their epochs come back through one mailbox."""

    def __init__(
        self, plan: TrainingPlan, files: RunFiles, listener: Listener, stop: Callable[[], bool]
    ) -> None:
        self.plan, self.listener, self.stop = plan, listener, stop
        context = multiprocessing.get_context("spawn")
        self.mail = Mailbox(context)
        self.halt = context.Event()
        self.slots = count = slots(plan)
        self.meetings = tempfile.TemporaryDirectory(prefix="advisor-", ignore_cleanup_errors=True)
        # Every worker waits for the others at the barrier, so that the pool starts them all at once.
        arguments = (plan, files, self.mail.slot, self.halt, context.Barrier(count))
        self.executor = ProcessPoolExecutor(count, context, _start_worker, arguments)
        self.others = set(multiprocessing.active_children())
        # An epoch that was taken out and is not stored yet.
        self.unheard: Letter | None = None

    def run(self) -> dict[str, StepRecord]:
        """Execute what is left of the plan; return the records of the steps that ended."""
        frontier = Frontier(self.plan, self.listener)
        running: dict[Future[StepRecord], Step] = {}
        try:
            self._warm_up()
            self.listener.started()
            while True:
                self._submit_ready(frontier, running)
                if not running:
                    return frontier.ended
                finished, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
                self._drain()
                for future in finished:
                    step = running.pop(future)
                    frontier.finish(step, self._result(future, step))
        finally:
            self.halt.set()
            self.executor.shutdown(wait=True, cancel_futures=True)
            self.meetings.cleanup()
            self.mail.close()
            self._drain()

    def _warm_up(self) -> None:
        """Start all processes and load the data in each, before any step is timed."""
        try:
            with _deaf_to_interrupts():
                starting = [self.executor.submit(_worker_ready) for _ in range(self.slots)]
            for ready in starting:
                ready.result()
        except BrokenProcessPool:
            self._kill_later()
            if self.stop():
                return
            raise RunError("a worker process died while it started; is there enough memory?") from None

    def _submit_ready(self, frontier: Frontier, running: dict[Future[StepRecord], Step]) -> None:
        if self.stop():
            self.halt.set()
            return
        while (step := frontier.next_ready(self._free(running))) is not None:
            try:
                running[self._submitted(step)] = step
            except BrokenProcessPool:
                self._kill_later()
                frontier.finish(step, self._lost(step))

    def _free(self, running: dict[Future[StepRecord], Step]) -> int:
        return self.slots - sum(devices_of(step) for step in running.values())

    def _submitted(self, step: Step) -> Future[StepRecord]:
        """Seat as many workers as the step has devices; return the record of the one that leads."""
        taken = seats(devices_of(step), Path(self.meetings.name))
        return [self.executor.submit(_run_in_worker, step, seat) for seat in taken][0]

    def _result(self, future: Future[StepRecord], step: Step) -> StepRecord:
        try:
            record = future.result()
        except BrokenProcessPool:
            self._kill_later()
            return self._lost(step)
        # A worker may be asked to end when the run is not.
        return self._lost(step) if record.status == STOPPED else record

    def _kill_later(self) -> None:
        """See that the workers of a broken pool end, even one that waits for a device and hears no signal."""
        timer = threading.Timer(LEAVING_SECONDS + 2 * LINGER_SECONDS, self._kill)
        timer.daemon = True
        timer.start()

    def _kill(self) -> None:
        for worker in set(multiprocessing.active_children()) - self.others:
            worker.kill()

    def _lost(self, step: Step) -> StepRecord:
        """Return the record of a step whose worker ended; who stops a run may stop its workers as well."""
        if self.stop():
            return stopped(step)
        message = "its worker process was killed, perhaps for want of memory; resume the run"
        return StepRecord(step=step.id, network=step.network, status=FAILED, seconds=0.0, message=message)

    def _drain(self) -> None:
        # What a listener could not store it is told again.
        while (letter := self.unheard or self.mail.take()) is not None:
            self.unheard = letter
            if isinstance(letter, EpochRecord):
                self.listener.epoch(letter)
            else:
                self.listener.notice(letter)
            self.unheard = None


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C from their first moment on, which is long before `_start_worker`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(frozen=True, slots=True)
class _Worker:
    """What a worker process holds between steps."""

    plan: TrainingPlan
    files: RunFiles
    data: Data
    channel: Channel
    barrier: Barrier


_worker: list[_Worker] = []
# Whether this process executes a step.
_busy = threading.Event()


def _start_worker(
    plan: TrainingPlan, files: RunFiles, slot: Queue[Letter | None], halt: Event, barrier: Barrier
) -> None:
    # Signals may reach the whole group; the parent decides and tells the workers through `halt`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leaving = _leave_when_asked()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch.set_num_threads(plan.execution.threads)
    take_device(plan.execution.device, barrier)
    try:
        data = load_data(plan.dataset, files.data_root).to(plan.execution.device)
    except DataError as error:
        slot.put(str(error))
        raise
    files.watch(plan.execution.device)
    channel = Channel(slot.put, slot.put, lambda: halt.is_set() or leaving.is_set())
    _worker.append(_Worker(plan, files, data, channel, barrier))


def _leave_when_asked() -> threading.Event:
    """On SIGTERM, end this process when the step that runs has written its checkpoint, or if none runs.

    Returns:
        Set when that was asked.
    """
    leaving, (asked, asking) = threading.Event(), socket.socketpair()

    def leave(asked: socket.socket, asking: socket.socket) -> None:
        # `asking` is there to stay open.
        while asked.recv(1) != bytes([signal.SIGTERM]):
            continue
        leaving.set()
        latest = time.monotonic() + LEAVING_SECONDS
        while _busy.is_set() and time.monotonic() < latest:
            time.sleep(POLL_SECONDS)
        time.sleep(LINGER_SECONDS)
        os._exit(128 + signal.SIGTERM)

    # A handler in Python would wait for the end of an operation of torch; what wakes a thread does not.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    asking.setblocking(False)
    signal.set_wakeup_fd(asking.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=leave, args=(asked, asking), daemon=True).start()
    return leaving


def _die_with_parent() -> None:
    """End the process when its parent was killed, since nobody would hear of its work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _worker_ready() -> None:
    _worker[0].barrier.wait()


def _run_in_worker(step: Step, seat: Seat | None) -> StepRecord:
    worker = _worker[0]
    channel = replace(worker.channel, seat=seat)
    _busy.set()
    try:
        return run_step(worker.plan, step, worker.files, worker.data, channel)
    finally:
        _busy.clear()
