"""HTML of pages and of the report: Jinja templates, which escape every text, and the files beside them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from cli.web.content import Content

HERE = Path(__file__).parent


@cache
def environment() -> Environment:
    """Return the templates."""
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def static_text(name: str) -> str:
    """Return a file of ours that a page loads.

    Args:
        name: ``page.js`` or ``page.css``.
    """
    return (HERE / "static" / name).read_text(encoding="utf-8")


def rendered(template: str, **values: Any) -> str:
    """Return a template with its values."""
    return environment().get_template(template).render(**values)


def answer_html(content: Content) -> str:
    """Return what lies below the form of a page."""
    return rendered("answer.html", content=content)
