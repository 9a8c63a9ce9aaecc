"""What the tests in a browser share: names, runs of their home, and the server as a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advisor.plans.records import Forecast, PredictedStep

# Another name under which a proxy serves the page.
PROXY_HOST = "hub.example"
HOSTILE = "<img src=x onerror=alert(1)>"
CLUSTERED = "3xmlp-1-8@g2"
FORECAST = Forecast(
    train_seconds=(100.0, 80.0, 150.0),
    train_peak_bytes=(4e6, 2e6, 8e6),
    inference_ms_per_image=None,
    test_error=(0.05, 0.04, 0.08),
    steps=tuple(
        PredictedStep(step=f"train {name}", mean=mean, low=mean / 2, high=2 * mean)
        for name, mean in (("mother-1", 40.0), ("member-1", 10.0), ("member-2", 10.0), ("member-3", 40.0))
    ),
)
FINISHED, OF_HOSTILE_DATA, LIVE, KILLED, TWIN = 1, 2, 3, 4, 5
MANY = 10_000


@dataclass
class Watched:
    """What a browser said while a test used it.

    Attributes:
        complaints: errors and warnings of the console, with reports of the policy.
        addresses: addresses that it asked for.
    """

    complaints: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def of(self, page: Any) -> Any:
        """Return a page that is watched."""
        page.on("console", lambda said: self._note(said.type, said.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))
        page.on("dialog", lambda dialog: (self._note("error", dialog.message), dialog.dismiss()))
        return page

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


@contextmanager
def served(home: Path, *options: str) -> Iterator[str]:
    """Serve a home; the value is the address with its token. The server ends on Ctrl-C with its code."""
    command = ["-c", "from cli.__main__ import main; main()", "--home", str(home), "web", "--no-browser"]
    process = subprocess.Popen(
        [sys.executable, *command, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=20)
        assert (process.returncode, complaints) == (130, "")
        assert time.monotonic() - began < 10
    finally:
        process.kill()
        process.wait()
