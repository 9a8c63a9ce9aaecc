"""Measuring in a process of its own, with the plan's threads, its own cores and a time limit."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType

import torch

from advisor.library_messages import take_over_as_parent
from advisor.spawning import apart_from_caller, spawn_context
from profiler.device import pin_to
from profiler.layers import LayerFacts, layer_facts
from profiler.memory import watch_peak
from profiler.steps import StepTimes, measure_step
from profiler.workload import Workload

START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class _Request:
    """A workload and the kind of measurement: whole steps, or facts about the layers."""

    workload: Workload
    seconds: float
    longest: float
    layers: bool


class MeasuringProcess:
    """A fresh process that measures one workload after another.

    Args:
        device: ``cpu`` or ``cuda``.
        threads: intra-operator threads of the process.
        cores: cores that it is pinned to; empty: not pinned.
    """

    def __init__(self, device: str, threads: int, cores: Sequence[int] = ()) -> None:
        context = spawn_context()
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, device, threads, list(cores)), daemon=True
        )
        with apart_from_caller():
            self._process.start()
        theirs.close()

    def __enter__(self) -> MeasuringProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_until_ready(self, timeout: float = START_SECONDS) -> bool:
        """Return whether the process started in time.

        Args:
            timeout: seconds to wait, at most `START_SECONDS`.
        """
        return self._receive(min(timeout, START_SECONDS)) == "ready"

    def begin(self, workload: Workload, seconds: float, longest: float = math.inf) -> None:
        """Start a measurement; arguments as for `profiler.steps.measure_step`."""
        self._send(_Request(workload, seconds, longest, layers=False))

    def finish(self, timeout: float) -> StepTimes | None:
        """Return the result of a measurement.

        Args:
            timeout: seconds to wait.

        Returns:
            The result; None if it takes longer or the process died. The process is ended then.
        """
        result = self._receive(timeout)
        if isinstance(result, StepTimes):
            return result
        self.close()
        return None

    def layers(self, workload: Workload, timeout: float) -> list[LayerFacts]:
        """Return facts about every layer of a workload.

        Args:
            workload: workload to examine.
            timeout: seconds to wait.

        Returns:
            One record a layer; none if it takes longer or the process died. The process is ended then.
        """
        self._send(_Request(workload, timeout, timeout, layers=True))
        result = self._receive(timeout)
        if isinstance(result, list):
            return result
        self.close()
        return []

    @property
    def alive(self) -> bool:
        """Whether further workloads can be measured."""
        return self._process.is_alive()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _send(self, request: _Request) -> None:
        # Sending to a process that died fails; the next `_receive` reports it.
        with contextlib.suppress(OSError):
            self._connection.send(request)

    def _receive(self, timeout: float) -> object:
        """Return the answer of the process; None if it takes too long or the process died."""
        try:
            return self._connection.recv() if self._connection.poll(max(timeout, 0.0)) else None
        except (EOFError, OSError):
            return None


def _serve(connection: Connection, device: str, threads: int, cores: list[int]) -> None:
    take_over_as_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Sending fails when the parent is gone; there is nobody to report it to.
    with contextlib.suppress(OSError):
        _answer(connection, device, threads, cores)


def _end_with_parent() -> None:
    """End this process when its parent ends: a parent that is killed cannot end it itself."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _answer(connection: Connection, device: str, threads: int, cores: list[int]) -> None:
    pin_to(cores)
    torch.set_num_threads(threads)
    # The first watch of a process loads libraries, which would count as memory of the first step.
    watch_peak(device)
    connection.send("ready")
    while True:
        try:
            request = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if request.layers:
            connection.send(layer_facts(request.workload.prepare()))
        else:
            connection.send(measure_step(request.workload, device, request.seconds, request.longest))
