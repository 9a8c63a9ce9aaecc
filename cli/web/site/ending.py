"""The end of the server: at most a moment after Ctrl-C, even while a search runs in a thread."""

from __future__ import annotations

import os
import threading
from types import FrameType

import uvicorn

# Time that answers under way have to be sent, seconds.
GRACE_SECONDS = 1.0


class EndingServer(uvicorn.Server):
    """A server that ends the process where threads would keep it; a page only reads, so nothing is lost."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, and let a timer end what is left."""
        super().handle_exit(sig, frame)
        # A thread cannot be stopped, and Python would wait for it.
        timer = threading.Timer(GRACE_SECONDS, os._exit, [128 + sig])
        timer.daemon = True
        timer.start()
