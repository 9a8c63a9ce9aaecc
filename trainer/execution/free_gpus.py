"""GPUs for a step that a process executes by itself, beside other such processes on the machine.

Processes of a pool agree on their GPUs at the start. Processes that know nothing of each other, as those of
`make -j4`, take a lock on each GPU instead. The locks are files of this user in the folder of temporary
files, and they end with their process. A scheduler that gives every job its GPUs leaves nothing to choose.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from advisor.errors import RunError


@contextmanager
def free_gpus(device: str, count: int) -> Iterator[list[int]]:
    """Give as many GPUs as a step needs: those that no other process has taken, else the first ones.

    Args:
        device: device of the plan, ``cpu`` or ``cuda``.
        count: number of devices of the step.

    Yields:
        Numbers of the GPUs, as torch counts them; none on a CPU.

    Raises:
        RunError: this process sees fewer GPUs.
    """
    if device != "cuda":
        yield []
        return
    visible = torch.cuda.device_count()
    if visible < count:
        raise RunError(f"the step needs {count} GPUs and torch finds {visible}: give it more, or plan again")
    if os.name != "posix":
        yield list(range(count))
        return
    with ExitStack() as stack:
        names = [str(torch.cuda.get_device_properties(number).uuid) for number in range(visible)]
        yield taken(names, count, stack, Path(tempfile.gettempdir()))


def taken(names: list[str], count: int, stack: ExitStack, folder: Path) -> list[int]:
    """Return the numbers of GPUs for this process, locked as far as others have left them.

    Args:
        names: name of every GPU, the same in all processes of the machine.
        count: number of wanted GPUs.
        stack: owner of the locks; they end with it.
        folder: folder of the locks.
    """
    free: list[int] = []
    for number, name in enumerate(names):
        if len(free) < count and _took(folder / f"advisor-{os.getuid()}-{name}.lock", stack):
            free.append(number)
    others = [number for number in range(len(names)) if number not in free]
    return sorted([*free, *others[: count - len(free)]])


def _took(path: Path, stack: ExitStack) -> bool:
    """Return whether this process has the lock of a file now."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return False
    stack.callback(os.close, descriptor)
    return True
