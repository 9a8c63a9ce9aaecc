"""What worker processes tell their parent, collected by a thread.

A worker may be killed in the middle of a message. Whoever reads it then waits for the rest for as long as
anybody else could write it, which is why that is not the thread that sees that the worker is gone.
"""

from __future__ import annotations

import queue
import threading
from multiprocessing.context import SpawnContext
from multiprocessing.queues import Queue

from advisor.plans.records import EpochRecord

# Finished epochs and notices.
Letter = EpochRecord | str
# So long is waited for what is under way when all workers are gone; more only if a message was cut off.
COLLECT_SECONDS = 10.0


class Mailbox:
    """Letters from other processes, in the order in which each of them wrote them.

    Attributes:
        slot: where processes put them.
    """

    def __init__(self, context: SpawnContext) -> None:
        self.slot: Queue[Letter | None] = context.Queue()
        self._arrived: queue.SimpleQueue[Letter] = queue.SimpleQueue()
        self._collector = threading.Thread(target=self._collect, daemon=True)
        self._collector.start()

    def take(self) -> Letter | None:
        """Return the next letter; None if none has arrived."""
        try:
            return self._arrived.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        """Collect what the processes, which have ended, have put in."""
        self.slot.put(None)
        self._collector.join(COLLECT_SECONDS)
        # One that was killed while it wrote keeps everybody else from writing.
        self.slot.cancel_join_thread()
        if not self._collector.is_alive():
            self.slot.close()

    def _collect(self) -> None:
        while (letter := self.slot.get()) is not None:
            self._arrived.put(letter)
