"""Waiting for a database that another program has locked, where a training would be lost otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from advisor.errors import LockedError
from cli.workflows.views import Say

# A locked database is tried again for so long, with pauses of so long. Each attempt waits for seconds itself.
PATIENCE_SECONDS, PAUSE_SECONDS = 300.0, 1.0

Result = TypeVar("Result")


def patiently(store: Callable[[], Result], say: Say, stop: Callable[[], bool]) -> Result:
    """Return the result of storing something, as soon as the database takes it.

    Args:
        store: function that stores it; after a `LockedError` it is called again.
        say: receiver of one line if there is something to wait for.
        stop: question whether the program was asked to stop; then nothing is waited for.

    Raises:
        LockedError: the lock outlasts `PATIENCE_SECONDS`.
        StorageError: the database refuses for another reason.
    """
    until, said = time.monotonic() + PATIENCE_SECONDS, False
    while True:
        try:
            return store()
        except LockedError as error:
            if stop() or time.monotonic() >= until:
                raise
            if not said:
                say(f"waiting for up to {PATIENCE_SECONDS / 60:.0f} minutes: {error}")
                said = True
        time.sleep(PAUSE_SECONDS)
