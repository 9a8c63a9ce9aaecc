"""Locks on folders: of a run for one process alone, or for several that train its networks step by step."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from advisor.errors import RunError, StorageError
from cli.workflows.clock import now

LOCK = "lock"
# Folder in the folder of a run, with a folder for each network that processes train step by step.
STEPS = "steps"
# Most names of networks in a message.
MOST_NAMES = 3
# A query takes a lock for a moment, to see whether it is free. Who needs the lock tries again for this long.
LOCK_SECONDS = 0.2
# Most bytes of a lock file that are read: who has the lock.
LONGEST_HOLDER = 200
# A younger folder may belong to a process that has not locked it yet.
ABANDONED_SECONDS = 60.0


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        StorageError: the operating system refuses, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}") from None


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Lock a folder for this process alone.

    Args:
        folder: folder to lock; it is created if it is missing.
        what: name of its content in an error.

    Raises:
        RunError: another process has the lock; the message names it.
        StorageError: the folder cannot be written or locked.
    """
    make_folder(folder)
    with _lock_file(folder) as descriptor:
        _lock(descriptor, folder, what, alone=True)
        with contextlib.suppress(OSError, AttributeError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} on {os.uname().nodename}, since {now()}".encode(), 0)
        yield


@contextmanager
def shared(folder: Path, what: str) -> Iterator[None]:
    """Keep other processes from locking a folder for themselves; several may do so at the same time.

    Args:
        folder: folder that exists.
        what: name of its content in an error.

    Raises:
        RunError: another process has it alone, or has deleted it.
        StorageError: the folder cannot be written or locked.
    """
    with _lock_file(folder) as descriptor:
        _lock(descriptor, folder, what, alone=False)
        # The process that had it alone may have deleted it.
        if not os.path.exists(folder / LOCK) or not os.path.samestat(
            os.fstat(descriptor), os.stat(folder / LOCK)
        ):
            raise RunError(
                f"{what} was deleted by another process: `advisor runs list` shows those there are"
            )
        yield


@contextmanager
def _lock_file(folder: Path) -> Iterator[int]:
    """Open the lock file of a folder; the lock ends with it."""
    try:
        # The mode lets others write where the umask does: a home may belong to a group.
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path, what: str, *, alone: bool) -> None:
    if os.name != "posix":
        return
    import fcntl

    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise RunError(
                    f"{what} is in use by {_holder(descriptor, folder)}: wait for it or stop it"
                ) from None
        except OSError as error:
            raise StorageError(f"cannot lock {folder}: {error.strerror}") from None
        time.sleep(LOCK_SECONDS / 10)


def _holder(descriptor: int, folder: Path) -> str:
    """Return who has the lock of a folder, as far as it is known."""
    if networks := _networks_in_training(folder):
        names = ", ".join(networks[:MOST_NAMES]) + ", …" * (len(networks) > MOST_NAMES)
        return f"`advisor step` for {names}"
    try:
        text = os.pread(descriptor, LONGEST_HOLDER, 0).decode("ascii", "replace").strip()
    except OSError:
        text = ""
    # An older program does not say it.
    return f"another process ({text})" if text.isprintable() and text else "another process"


def step_folder(run: Path, network: str) -> Path:
    """Return the folder that a process locks while it executes a step of a network by itself."""
    return run / STEPS / network


def _networks_in_training(run: Path) -> list[str]:
    """Return the networks of a run that processes train step by step now."""
    try:
        folders = sorted(each for each in (run / STEPS).iterdir() if each.is_dir())
    except OSError:
        return []
    return [each.name for each in folders if is_locked(each)]


def is_trained(run: Path) -> bool:
    """Return whether living processes train the run in a folder, as a whole or step by step."""
    return is_locked(run) or bool(_networks_in_training(run))


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for a while, and remove those that killed processes left.

    Args:
        parent: folder of such folders and of nothing else; it is created if it is missing.

    Raises:
        StorageError: the operating system refuses.
    """
    # `runs list`, which imports this module, needs neither.
    import shutil
    import tempfile

    make_folder(parent)
    for left in filter(_is_abandoned, parent.iterdir()):
        shutil.rmtree(left, ignore_errors=True)
    try:
        folder = Path(tempfile.mkdtemp(dir=parent))
    except OSError as error:
        raise StorageError(f"cannot write to {parent}: {error.strerror}") from None
    try:
        with locked(folder, str(folder)):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            # Another process may have a folder there.
            parent.rmdir()


def _is_abandoned(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > ABANDONED_SECONDS and not is_locked(folder)
    except FileNotFoundError:
        return False


def is_locked(folder: Path) -> bool:
    """Return whether a living process has locked a folder; nothing is written.

    Where there are no POSIX locks, every folder counts as locked.
    """
    if os.name != "posix":
        return True
    import fcntl

    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
