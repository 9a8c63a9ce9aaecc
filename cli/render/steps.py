"""An executed step as one line."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from cli.render.formats import duration
from cli.workflows.answers.runs.executed_step import ExecutedStep


def executed_step(answer: ExecutedStep) -> RenderableType:
    """Return the line of a step that is done."""
    name = f"{answer.step} of run {answer.run}"
    if answer.already_done:
        return Text(f"{name} is done already")
    took = "" if answer.seconds is None else f" in {duration(answer.seconds)}"
    return Text(f"{name} is done{took}" + (f": {answer.message}" if answer.message else ""))
