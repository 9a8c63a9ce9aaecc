"""A small answer as lines for a person."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from cli.workflows.answers.answer import Answer


def facts(answer: Answer) -> RenderableType:
    """Return a line for every key of an answer."""
    lines = (f"{key}: {value}" for key, value in answer.to_json().items() if key != "schema_version")
    return Group(*map(Text, lines))
