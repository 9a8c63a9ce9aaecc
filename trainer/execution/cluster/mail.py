"""The mail actor: what workers of a cluster report, and what they are told in reply.

It lives on the node of the driver, the process that keeps the run. A worker waits for the answer to a report,
so whatever it reported before it ended is here when its end is noticed. An *assignment* is one step on one
team of workers, with a number. Letters of an assignment that is no longer under way are thrown away: while a
part of the cluster is cut off, two workers may believe that they train the same network.
"""

from __future__ import annotations

from collections import deque
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
        self.halted = False

    def put(self, assignment: int, event: str, files: dict[str, bytes]) -> bool:
        """Take a letter, and return whether its writer should stop."""
        if assignment in self.under_way:
            self.letters.append(Letter(assignment, event, files))
        return self.must_stop(assignment)

    def must_stop(self, assignment: int) -> bool:
        """Return whether the workers of an assignment should stop."""
        return self.halted or assignment not in self.under_way

    def take(self) -> list[tuple[int, str, dict[str, bytes]]]:
        """Hand out all letters, field by field."""
        taken = [(letter.assignment, letter.event, letter.files) for letter in self.letters]
        self.letters.clear()
        return taken

    def begin(self, assignment: int) -> None:
        """Accept letters of an assignment from now on."""
        self.under_way.add(assignment)

    def end(self, assignment: int) -> None:
        """Accept no further letter of an assignment."""
        self.under_way.discard(assignment)

    def halt(self) -> None:
        """Ask everybody to stop."""
        self.halted = True
