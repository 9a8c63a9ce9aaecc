"""Endless loops that keep cores busy beside a test or a benchmark."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds after which a loop that is forgotten ends by itself, and seconds until all run.
LONGEST, STARTING = 60, 1.0


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Let endless loops run beside, and end them."""
    loop = f"import time\nend = time.monotonic() + {LONGEST}\nwhile time.monotonic() < end: pass"
    started = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(count)]
    try:
        time.sleep(STARTING)
        yield
    finally:
        for each in started:
            each.kill()
        for each in started:
            each.wait()
