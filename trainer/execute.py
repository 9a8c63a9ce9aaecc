"""Execution of a plan: its steps in the order of their dependencies, several networks at a time.

A step depends on nothing but the plan, the data and the checkpoints of the run's folder, so executing a
plan again continues where it stopped: finished steps are recognised by their checkpoints. With more than
one process in the plan every network trains in a process of its own pool with the plan's threads, on CUDA on
a GPU of its own; idle ones share its batches where the plan says so (`trainer.parallel`). The parent alone
speaks to the listener.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
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
from typing import Protocol

import torch
from torch import Tensor

from advisor.errors import AdvisorError, DataError, RunError, StorageError
from advisor.joint import parse_joint
from advisor.placement import devices_of, slots
from advisor.plan import HatchStep, Role, Step, TrainingPlan, TrainStep
from advisor.records import EpochRecord, StepRecord
from trainer.batches import derived_seed, epoch_order, normalised
from trainer.checkpoint import Checkpoint, Progress, load_checkpoint, save_checkpoint
from trainer.data import Data, load_data
from trainer.hatching import hatch, hatch_difference, hatch_drift, hatch_jointly, perturb
from trainer.loop import (
    DivergedError,
    Reporter,
    StoppedError,
    load_network,
)
from trainer.parallel import Seat, check_devices, seats, take_device, train

# Images that new normalisations are calibrated on; the mean of 256 is known to 6 % of the deviation.
CALIBRATION_IMAGES = 256
# How many of them the exactness of a hatching is recorded on.
PROBE_IMAGES = 64
# Drift in train mode that a record mentions; growth that is exact stays below by far.
TOLD_DRIFT = 1e-6
POLL_SECONDS = 0.1
# A worker that was asked to terminate has so long for its batch and its checkpoint,
LEAVING_SECONDS = 30.0
# and then for handing over what it has told.
LINGER_SECONDS = 1.0

# Folder of checkpoints in a run's folder, with a folder a network.
NETWORKS = "networks"

DONE, STOPPED, FAILED, DIVERGED = "done", "stopped", "failed", "diverged"


# Starts watching the peak memory of this process; the function it returns reads the growth in bytes.
MemoryWatch = Callable[[str], Callable[[], int | None]]


class Listener(Protocol):
    """Told of what happens, in the parent process."""

    def started(self) -> None:
        """All processes are up and hold the data; the first step begins."""

    def epoch(self, record: EpochRecord) -> None:
        """A network finished an epoch."""

    def step(self, record: StepRecord) -> None:
        """A step ended."""

    def notice(self, text: str) -> None:
        """Something went another way than planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """Where a run finds and leaves its files.

    Attributes:
        folder: checkpoints of the run.
        data_root: downloaded data sets.
        watch: reads peak memory.
    """

    folder: Path
    data_root: Path
    watch: MemoryWatch

    def of_network(self, name: str) -> Path:
        """Folder of a network's checkpoints."""
        return self.folder / NETWORKS / name


@dataclass(frozen=True, slots=True)
class Channel:
    """How a step speaks while it runs: finished epochs, notices, whether to stop, and with whom it shares."""

    epoch: Callable[[EpochRecord], None]
    notice: Callable[[str], None]
    stop: Callable[[], bool]
    seat: Seat | None = None


def execute(
    plan: TrainingPlan, files: RunFiles, data: Data, listener: Listener, stop: Callable[[], bool]
) -> dict[str, StepRecord]:
    """Execute what is left of a plan.

    Args:
        plan: what to do.
        files: where checkpoints are.
        data: in the parent's memory, for a plan of one process.
        listener: told of every epoch and step.
        stop: polled; once true, running steps write checkpoints and end.

    Returns:
        The record of every step that ended; steps that were stopped or not begun are missing.

    Raises:
        StorageError: a checkpoint could not be written.
        RunError: the plan shares batches among more GPUs than there are.
    """
    check_devices(plan)
    torch.set_num_threads(plan.execution.threads)
    if slots(plan) > 1:
        return _Pool(plan, files, listener, stop).run()
    channel = Channel(listener.epoch, listener.notice, stop)
    on_device = data.to(plan.execution.device)
    frontier = _Frontier(plan, listener)
    # The first watch of a process loads libraries for seconds, which belong to its start.
    files.watch(plan.execution.device)
    listener.started()
    while (step := frontier.next_ready()) is not None and not stop():
        frontier.finish(step, run_step(plan, step, files, on_device, channel))
    return frontier.ended


def run_step(plan: TrainingPlan, step: Step, files: RunFiles, data: Data, channel: Channel) -> StepRecord:
    """Execute one step; what goes wrong with a network ends up in the record.

    Raises:
        StorageError: a checkpoint could not be written.
    """
    read_peak = files.watch(plan.execution.device)
    try:
        progress, message = (
            _hatch(plan, step, files, data, channel)
            if isinstance(step, HatchStep)
            else _train(plan, step, files, data, channel)
        )
    except StoppedError:
        return _stopped(step)
    except DivergedError as error:
        return StepRecord(
            step=step.id, network=step.network, status=DIVERGED, seconds=0.0, message=str(error)
        )
    except StorageError:
        raise
    except (AdvisorError, RuntimeError) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        return StepRecord(step=step.id, network=step.network, status=FAILED, seconds=0.0, message=message)
    return StepRecord(
        step=step.id,
        network=step.network,
        status=DONE,
        seconds=progress.seconds,
        hatch_difference=progress.hatch_difference if isinstance(step, HatchStep) else None,
        peak_bytes=read_peak(),
        message=message,
    )


def _train(
    plan: TrainingPlan, step: TrainStep, files: RunFiles, data: Data, channel: Channel
) -> tuple[Progress, str]:
    reporter = Reporter(channel.epoch, channel.notice, channel.stop)
    progress = train(plan, step, data, files.of_network(step.network), reporter, channel.seat)
    small = progress.micro_batch
    return progress, f"{small} images at a time, for want of memory" if small else ""


def _hatch(
    plan: TrainingPlan, step: HatchStep, files: RunFiles, data: Data, channel: Channel
) -> tuple[Progress, str]:
    folder = files.of_network(step.network)
    done = load_checkpoint(folder, channel.notice)
    if done is not None:
        return Progress(step=step.id, hatch_difference=done.progress.hatch_difference), ""
    started = time.perf_counter()
    mother = load_network(plan, step.source, files.of_network(step.source))[0].cpu().double()
    seed = derived_seed(plan.seed, step.id)
    images = _some_images(data, seed)
    spec, grown = plan.network(step.source).spec, plan.network(step.network)
    if grown.role is Role.JOINT:
        member = hatch_jointly(mother, spec, parse_joint(grown.network), plan.dataset.task, images, seed)
    else:
        member = hatch(mother, spec, grown.spec, plan.dataset.task, images, seed)
    probe = images[:PROBE_IMAGES]
    difference, drift = hatch_difference(mother, member, probe), hatch_drift(mother, member, probe)
    perturb(member.float(), step.noise, seed, step.shrink)
    progress = Progress(
        step=step.id, done=True, hatch_difference=difference, seconds=time.perf_counter() - started
    )
    save_checkpoint(folder, Checkpoint(progress, dict(member.state_dict())))
    return progress, _drift_text(drift)


def _drift_text(drift: float) -> str:
    return f"in train mode logits move by {100 * drift:.1f} % of their spread" if drift > TOLD_DRIFT else ""


def _some_images(data: Data, seed: int) -> Tensor:
    """Prepared training images, drawn by the seed since folders are stored class by class."""
    drawn = epoch_order(len(data.train), seed, 0)[:CALIBRATION_IMAGES]
    images = data.train.images[drawn.to(data.train.images.device)]
    return normalised(images, data.mean, data.deviation, "contiguous")


class _Frontier:
    """Which steps are ready, running and done."""

    def __init__(self, plan: TrainingPlan, listener: Listener) -> None:
        self.waiting = list(plan.steps)
        self.listener = listener
        self.ended: dict[str, StepRecord] = {}

    def next_ready(self, free: int = 1) -> Step | None:
        """Take the first step whose dependencies are done and that finds its slots free.

        Steps that depend on a failure fail.
        """
        for step in list(self.waiting):
            before = [self.ended.get(name) for name in step.after]
            failed = next((r for r in before if r is not None and r.status != DONE), None)
            if failed is not None:
                self.waiting.remove(step)
                message = f"{failed.step} {failed.status}"
                self.finish(
                    step,
                    StepRecord(
                        step=step.id, network=step.network, status=FAILED, seconds=0.0, message=message
                    ),
                )
            elif devices_of(step) <= free and all(record is not None for record in before):
                self.waiting.remove(step)
                return step
        return None

    def finish(self, step: Step, record: StepRecord) -> None:
        """Note the end of a step; a stopped step has not ended."""
        if record.status != STOPPED:
            self.ended[step.id] = record
            self.listener.step(record)


class _Pool:
    """Steps in worker processes; their epochs come back through one queue."""

    def __init__(
        self, plan: TrainingPlan, files: RunFiles, listener: Listener, stop: Callable[[], bool]
    ) -> None:
        self.plan, self.listener, self.stop = plan, listener, stop
        context = multiprocessing.get_context("spawn")
        self.events: Queue[EpochRecord | str] = context.Queue()
        self.halt = context.Event()
        self.slots = count = slots(plan)
        self.meetings = tempfile.TemporaryDirectory(prefix="advisor-", ignore_cleanup_errors=True)
        # Every worker waits for the others at the barrier, so that the pool starts them all at once.
        arguments = (plan, files, self.events, self.halt, context.Barrier(count))
        self.executor = ProcessPoolExecutor(count, context, _start_worker, arguments)
        self.others = set(multiprocessing.active_children())
        # An epoch that was taken from the queue and is not stored yet.
        self.unheard: EpochRecord | str | None = None

    def run(self) -> dict[str, StepRecord]:
        frontier = _Frontier(self.plan, self.listener)
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
            try:
                self._drain()
            finally:
                self.events.close()
                self.meetings.cleanup()

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

    def _submit_ready(self, frontier: _Frontier, running: dict[Future[StepRecord], Step]) -> None:
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
            return _stopped(step)
        message = "its worker process was killed, perhaps for want of memory; resume the run"
        return StepRecord(step=step.id, network=step.network, status=FAILED, seconds=0.0, message=message)

    def _drain(self) -> None:
        while True:
            try:
                # What a listener could not store it is told again.
                event = self.unheard = self.unheard or self.events.get_nowait()
            except queue.Empty:
                return
            if isinstance(event, EpochRecord):
                self.listener.epoch(event)
            else:
                self.listener.notice(event)
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


def _stopped(step: Step) -> StepRecord:
    return StepRecord(step=step.id, network=step.network, status=STOPPED, seconds=0.0)


@dataclass(frozen=True, slots=True)
class _Worker:
    """What a worker process holds between steps."""

    plan: TrainingPlan
    files: RunFiles
    data: Data
    channel: Channel
    barrier: Barrier


_worker: list[_Worker] = []


def _start_worker(
    plan: TrainingPlan, files: RunFiles, events: Queue[EpochRecord | str], halt: Event, barrier: Barrier
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
        events.put(str(error))
        raise
    files.watch(plan.execution.device)
    channel = Channel(events.put, events.put, lambda: halt.is_set() or leaving.is_set())
    _worker.append(_Worker(plan, files, data, channel, barrier))


# Whether this process executes a step.
_busy = threading.Event()


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
