"""A process that trains for another one: its environment, its signals, and its end.

Signals may reach it as well as its parent. It ignores Ctrl-C and SIGHUP, which a terminal sends to all of its
processes: the parent decides. On SIGTERM it ends after the checkpoint of its step. It ends with its parent,
since no other process would receive what it reports.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from advisor.library_messages import take_over_as_parent
from advisor.spawning import OF_TERMINALS

POLL_SECONDS = 0.1
# Time that a terminated child has for its batch and its checkpoint,
TERMINATION_SECONDS = 30.0
# and then for the transfer of its events to the parent.
TRANSFER_SECONDS = 1.0

# Set while this process trains.
_busy = threading.Event()


def begin(environment: Mapping[str, str]) -> threading.Event:
    """Make this process a child that is asked to stop by SIGTERM.

    Args:
        environment: environment variables of the parent; those of the process that this one is a copy of may
            be older.

    Returns:
        Event that is set when SIGTERM arrives.
    """
    os.environ.clear()
    os.environ.update(environment)
    take_over_as_parent()
    for number in OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    terminated = _exit_on_sigterm()
    threading.Thread(target=exit_with_parent, daemon=True).start()
    return terminated


@contextmanager
def busy() -> Iterator[None]:
    """Let SIGTERM wait for the end of this context, if it comes soon."""
    _busy.set()
    try:
        yield
    finally:
        _busy.clear()


def exit_with_parent() -> None:
    """Wait for the end of the parent, and end this process then."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _exit_on_sigterm() -> threading.Event:
    """On SIGTERM, end this process as soon as its step has written its checkpoint.

    Returns:
        Event that is set when the signal arrives.
    """
    terminated, (received, sender) = threading.Event(), socket.socketpair()

    def wait_and_exit(received: socket.socket, sender: socket.socket) -> None:
        # `sender` is an argument so that it stays open.
        while received.recv(1) != bytes([signal.SIGTERM]):
            continue
        terminated.set()
        latest = time.monotonic() + TERMINATION_SECONDS
        while _busy.is_set() and time.monotonic() < latest:
            time.sleep(POLL_SECONDS)
        time.sleep(TRANSFER_SECONDS)
        os._exit(128 + signal.SIGTERM)

    # A Python handler would wait for the end of an operation of torch. The wakeup descriptor does not.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=wait_and_exit, args=(received, sender), daemon=True).start()
    return terminated
