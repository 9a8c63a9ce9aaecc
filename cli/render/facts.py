"""A small answer as lines for a person."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from cli.workflows.answers.answer import Answer, plain


def facts(answer: Answer) -> RenderableType:
    """Return a line for every key of an answer."""
    lines = (f"{key}: {value}" for key, value in plain(answer).items())
    return Group(*map(Text, lines))
