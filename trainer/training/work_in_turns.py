"""Work that is done in turns, so that one process can train several networks at the same time."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")
# Work that gives others a turn whenever it yields.
Turns = Generator[None, None, Result]


def drained(turns: Turns[Result]) -> Result:
    """Do all turns of some work one after the other, and return its result."""
    while True:
        try:
            next(turns)
        except StopIteration as end:
            result: Result = end.value
            return result
