"""Events from worker processes, collected by a thread of their parent.

A worker may be killed in the middle of a message. The reader then waits for the rest as long as any other
process could still write it. The thread that detects the death of a worker must therefore not be the reader.
"""

from __future__ import annotations

import queue
import threading
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.queues import Queue

from trainer.events import Event

# Longest wait for messages under way after all workers ended. It is used up only if a message was cut off.
COLLECT_SECONDS = 10.0


class Mailbox:
    """Events from other processes; events of one process keep their order.

    Args:
        context: way in which the worker processes are started.

    Attributes:
        inbox: queue into which the worker processes put events.
    """

    def __init__(self, context: ForkServerContext | SpawnContext) -> None:
        self.inbox: Queue[Event | None] = context.Queue()
        self._arrived: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._collector = threading.Thread(target=self._collect, daemon=True)
        self._collector.start()

    def take(self) -> Event | None:
        """Return the next event, None if none has arrived."""
        try:
            return self._arrived.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        """Collect the remaining events of the worker processes, all of which have ended."""
        self.inbox.put(None)
        self._collector.join(COLLECT_SECONDS)
        # A process that was killed while it wrote keeps all others from writing.
        self.inbox.cancel_join_thread()
        if not self._collector.is_alive():
            self.inbox.close()

    def _collect(self) -> None:
        while (event := self.inbox.get()) is not None:
            self._arrived.put(event)
