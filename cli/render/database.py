"""The check of the database for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.workflows.answers.database import DatabaseCheck


def checked(answer: DatabaseCheck) -> str:
    """Return what was checked, and a line for each problem; Rich would cut or break a long one."""
    runs = [] if answer.runs is None else [f"runs: {answer.runs}"]
    count = f"problems: {len(answer.problems)}"
    return "\n".join([f"database: {answer.database}", *runs, count, *answer.problems])
