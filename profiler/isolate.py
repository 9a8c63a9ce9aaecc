"""Measuring in a process of its own: the plan's threads, no neighbours, and an end when the clock says so."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType

import torch

from profiler.device import hold_to
from profiler.layers import LayerFacts, layer_facts
from profiler.memory import watch_peak
from profiler.steps import StepTimes, measure_step
from profiler.workload import Workload

START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class _Request:
    """A workload with what is wanted of it."""

    workload: Workload
    seconds: float
    layers: bool


class MeasuringProcess:
    """A fresh process that measures one workload after another.

    Args:
        device: ``cpu`` or ``cuda``.
        threads: intra-operator threads of the process.
        cores: that it is held to; none: any.
    """

    def __init__(self, device: str, threads: int, cores: Sequence[int] = ()) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, device, threads, list(cores)), daemon=True
        )
        self._process.start()
        theirs.close()

    def __enter__(self) -> MeasuringProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_until_ready(self, timeout: float = START_SECONDS) -> bool:
        """Return whether the process came up in time.

        Args:
            timeout: seconds to wait, at most `START_SECONDS`.
        """
        return self._receive(min(timeout, START_SECONDS)) == "ready"

    def begin(self, workload: Workload, seconds: float) -> None:
        """Start measuring; see `measure_step` for the meaning of `seconds`."""
        self._send(_Request(workload, seconds, layers=False))

    def finish(self, timeout: float) -> StepTimes | None:
        """Return the result; None if it is not there in time or the process died, which ends it.

        Args:
            timeout: seconds to wait.
        """
        result = self._receive(timeout)
        if isinstance(result, StepTimes):
            return result
        self.close()
        return None

    def layers(self, workload: Workload, timeout: float) -> list[LayerFacts]:
        """Return what every layer is and holds; empty if it is not there in time, which ends the process.

        Args:
            workload: what to measure.
            timeout: seconds to wait.
        """
        self._send(_Request(workload, timeout, layers=True))
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
        # A process that is gone cannot be sent to; receiving from it says so.
        with contextlib.suppress(OSError):
            self._connection.send(request)

    def _receive(self, timeout: float) -> object:
        """Return what the process answers; None if that takes too long or the process is gone."""
        try:
            return self._connection.recv() if self._connection.poll(max(timeout, 0.0)) else None
        except (EOFError, OSError):
            return None


def _serve(connection: Connection, device: str, threads: int, cores: list[int]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # When the parent is gone there is nobody to send to, and nothing to say about it.
    with contextlib.suppress(OSError):
        _answer(connection, device, threads, cores)


def _end_with_parent() -> None:
    """End at once when the parent does; one that was killed cannot end its measuring processes itself."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _answer(connection: Connection, device: str, threads: int, cores: list[int]) -> None:
    hold_to(cores)
    torch.set_num_threads(threads)
    # The first watch of a process loads libraries, which belong to its start.
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
            connection.send(measure_step(request.workload, device, request.seconds))
