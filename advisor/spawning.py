"""Processes that start without the program that asked for them.

A process that Python spawns imports the caller's main module again. A script or notebook that uses this
program would then run a second time inside a measuring process, and fail there. Our processes need none of
it: what they execute stands in modules of their own.

A spawned process would also search the working folder for modules, before anything else. A file `signal.py`
or `types.py` there would take the place of Python's own, and the process would die while it starts. Our
processes search where the caller does, but for the working folder.

Importing torch takes seconds. On Linux, workers are therefore copies of one process that has imported what
they need and nothing else (`forked_context`): it has no threads and no data, and it ends with this process.
This process reaches it through a socket in the temporary folder. Where that has too long a name for one,
workers are spawned.

Ctrl-C and the end of a terminal reach all of its processes. Only the caller decides what follows, so ours do
not hear them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from tempfile import gettempdir

# What `multiprocessing.spawn` reads of the main module to find it again.
_TRACES = ("__spec__", "__file__")
# PYTHONSAFEPATH keeps the working folder out of the search. Warnings that come before a process takes them
# over (`advisor.library_messages`) would be shown raw.
_ENVIRONMENT = {"PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "ignore"}

# What the process imports first that others are copies of; those do not end by it.
QUICK_END = "advisor.quick_end"

# Characters that the path of a socket may have on Linux, and those that Python adds to the temporary folder.
LONGEST_SOCKET, ADDED_TO_FOLDER = 107, len("/pymp-12345678/listener-12345678")

# Signals of a terminal to all processes that belong to it; Windows has no SIGHUP.
OF_TERMINALS = tuple(number for number in signal.Signals if number.name in ("SIGINT", "SIGHUP"))


def spawn_context() -> SpawnContext:
    """Return the context of fresh processes; they are started inside `apart_from_caller`.

    The process in which Python keeps track of semaphores starts here, by the same rules.
    """
    if os.name == "posix":
        with apart_from_caller():
            resource_tracker.ensure_running()
    return multiprocessing.get_context("spawn")


def forked_context(modules: Sequence[str]) -> ForkServerContext | SpawnContext:
    """Return the context of processes that begin with modules imported; start them in `apart_from_caller`.

    The first call starts the process that they are copies of, which imports the modules meanwhile. SIGTERM is
    blocked in it and in its copies: a system that stops this program may send it to all of them, and the end
    of that one process would look like the end of all. A copy unblocks it when it knows what to do then.

    Args:
        modules: names of modules without side effects; those of the first call count.
    """
    context = spawn_context()
    if sys.platform != "linux" or len(os.fsencode(gettempdir())) + ADDED_TO_FOLDER > LONGEST_SOCKET:
        return context
    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload([QUICK_END, *modules])
    with apart_from_caller(), _deaf_to((signal.SIGTERM,)):
        forkserver.ensure_running()
    return forked


@contextmanager
def apart_from_caller() -> Iterator[None]:
    """Let processes that are spawned meanwhile leave alone the main module, working folder and terminal."""
    with ExitStack() as stack:
        for each in (_without_main_module, _with_own_search, _deaf_to_terminals):
            stack.enter_context(each())
        yield


@contextmanager
def _without_main_module() -> Iterator[None]:
    main = sys.modules["__main__"]
    before = {name: getattr(main, name) for name in _TRACES if hasattr(main, name)}
    try:
        for name in before:
            setattr(main, name, None)
        yield
    finally:
        for name, value in before.items():
            setattr(main, name, value)


@contextmanager
def _with_own_search() -> Iterator[None]:
    path, environment = list(sys.path), {name: os.environ.get(name) for name in _ENVIRONMENT}
    try:
        sys.path[:] = searched_folders()
        os.environ.update(_ENVIRONMENT)
        yield
    finally:
        sys.path[:] = path
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def searched_folders() -> list[str]:
    """Return where our processes search for modules: as here, but not in the working folder.

    The working folder stays if the user names it in PYTHONPATH, or if this program lies in it.
    """
    try:
        working = os.path.realpath(os.getcwd())
    except OSError:
        # The working folder was deleted.
        return [folder for folder in sys.path if folder]
    named = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if working in map(os.path.realpath, (own, *named)):
        return list(sys.path)
    return [folder for folder in sys.path if os.path.realpath(folder or working) != working]


@contextmanager
def _deaf_to_terminals() -> Iterator[None]:
    with _deaf_to(OF_TERMINALS):
        yield


@contextmanager
def _deaf_to(signals: Sequence[signal.Signals]) -> Iterator[None]:
    """Block signals, which a new process inherits; one that arrives here meanwhile waits."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
