"""The mail actor: what workers of a cluster report, and what they are told in reply.

It lives on the node of the driver, the process that keeps the run. A worker waits for the answer to a report,
so whatever it reported before it ended is here when its end is noticed. An *assignment* is one step on one
team of workers, with a number. Letters of an assignment that is no longer under way are thrown away: while a
part of the cluster is cut off, two workers may believe that they train the same network.

Nobody asks again and again: a call that has nothing to answer yet waits here until it has. All calls take
turns in one thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Letter:
    """A report of a worker.

    Attributes:
        assignment: number of the assignment.
        event: event as JSON, empty for none.
        files: content of the files of a checkpoint by their names, from a worker that cannot write them to
            the folder of the run.
    """

    assignment: int
    event: str
    files: dict[str, bytes]


class Mail:
    """Letters in their order, and who is asked to stop; every method is a remote call."""

    def __init__(self) -> None:
        self.letters: deque[Letter] = deque()
        self.under_way: set[int] = set()
        self.halted = self.hurried = self.awaited = False
        self.changed = asyncio.Condition()

    async def put(self, assignment: int, event: str, files: dict[str, bytes]) -> bool:
        """Take a letter, and return whether its writer should stop."""
        if assignment in self.under_way:
            self.letters.append(Letter(assignment, event, files))
            await self._tell()
        return self._must_stop(assignment)

    async def stopping(self, assignment: int, seconds: float) -> bool:
        """Return whether the workers of an assignment should stop: as soon as they should, or after a while.

        Args:
            assignment: number of the assignment.
            seconds: how long to wait for a yes.
        """
        await self._until(lambda: self._must_stop(assignment), seconds)
        return self._must_stop(assignment)

    async def take(self, seconds: float) -> list[tuple[int, str, dict[str, bytes]]]:
        """Hand out all letters, field by field, as soon as there are some, or in a hurry, or after a while.

        Args:
            seconds: how long to wait for the first letter.
        """
        self.awaited = True
        await self._until(lambda: bool(self.letters) or self.hurried, seconds)
        self.awaited = self.hurried = False
        taken = [(letter.assignment, letter.event, letter.files) for letter in self.letters]
        self.letters.clear()
        return taken

    async def hurry(self) -> bool:
        """Let `take` hand out at once what is here, if only nothing.

        Returns:
            Whether the last one had ended already: then it is the next one that does so.
        """
        self.hurried, ended = True, not self.awaited
        await self._tell()
        return ended

    async def begin(self, assignment: int) -> None:
        """Accept letters of an assignment from now on."""
        self.under_way.add(assignment)

    async def end(self, assignment: int) -> None:
        """Accept no further letter of an assignment."""
        self.under_way.discard(assignment)
        await self._tell()

    async def halt(self) -> None:
        """Ask everybody to stop."""
        self.halted = True
        await self._tell()

    def _must_stop(self, assignment: int) -> bool:
        return self.halted or assignment not in self.under_way

    async def _until(self, true: Callable[[], bool], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.changed:
                await self.changed.wait_for(true)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()
