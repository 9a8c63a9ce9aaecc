"""Ctrl-C, SIGTERM and SIGHUP at any moment: no traceback, and the exit code that shells give.

An interrupt is an exception that may arise between any two instructions. Where it arises inside a callback of
Python's own, such as the end of an import, Python prints and forgets it; elsewhere a library may turn it into
another exception. So the program also notes that it was interrupted. Training handles signals itself
(`cli.workflows.stopping`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from cli.workflows.stopping import STOPPING, heeded

INTERRUPTED = 128 + signal.SIGINT


class Interrupts:
    """Interrupts that arrived.

    Attributes:
        code: exit code that the first of them asks for, None before.
    """

    def __init__(self) -> None:
        self.code: int | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Raise an exception for every interrupt meanwhile, and note it."""
        hook = sys.unraisablehook
        before: dict[signal.Signals, Any] = {}
        # Only the main thread may take over signals.
        with contextlib.suppress(ValueError):
            for number in heeded(STOPPING):
                before[number] = signal.signal(
                    number, self._interrupt if number is signal.SIGINT else self._terminate
                )
        sys.unraisablehook = self._unraisable(hook)
        try:
            yield
        finally:
            sys.unraisablehook = hook
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, number: int, frame: object) -> NoReturn:
        self.code = self.code or INTERRUPTED
        raise KeyboardInterrupt

    def _terminate(self, number: int, frame: object) -> NoReturn:
        self.code = self.code or 128 + number
        raise SystemExit(self.code)

    def _unraisable(self, hook: Any) -> Any:
        def end_if_interrupted(unraisable: Any) -> None:
            if self.code is not None and issubclass(unraisable.exc_type, KeyboardInterrupt | SystemExit):
                os._exit(self.code)
            hook(unraisable)

        return end_if_interrupted
