"""The check of the database for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

if TYPE_CHECKING:
    from cli.workflows.answers.database import DatabaseCheck


def checked(answer: DatabaseCheck) -> RenderableType:
    """Return a line for each problem, below what was checked."""
    head = [f"database: {answer.database}"]
    if answer.runs is not None:
        head.append(f"runs: {answer.runs}")
    lines = (*head, f"problems: {len(answer.problems)}", *answer.problems)
    # A line of a problem stays one line, however narrow the terminal.
    return Group(*(Text(line, no_wrap=True, overflow="ignore") for line in lines))
