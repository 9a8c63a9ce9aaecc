"""The outputs of the tutorial: every Python block of docs/tutorial.md is run and its output written below it.

    python benchmarks/tutorial.py     # about two minutes on two cores

The blocks run one after the other in an empty folder. The output below each is the one of a notebook. Device,
versions and date stand at the end. A test runs the blocks as well, without comparing outputs.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import platform
import re
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from pprint import pformat

from rich.console import Console

from cli.render.notebook import RENDERERS

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial.md"
COLUMNS = 100
# A block, and the output that an earlier run has written below it.
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n.*?```\n)?", re.DOTALL)
WHERE = re.compile(r"\n\*Outputs: [^\n]*\*\n")


def shown(code: str, names: dict) -> str:
    """Run a block and return its printed text, followed by the value of its last line."""
    *body, last = ast.parse(code).body
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "tutorial", "exec"), names)
        if not isinstance(last, ast.Expr):
            exec(compile(ast.Module([last], []), "tutorial", "exec"), names)
            return printed.getvalue()
        value = eval(compile(ast.Expression(last.value), "tutorial", "eval"), names)
    return printed.getvalue() + ("" if value is None else in_words(value))


def in_words(value: object) -> str:
    """Return a value as a notebook shows it; an answer becomes its table."""
    render = RENDERERS.get(type(value))
    if render is None:
        return pformat(value, width=COLUMNS)
    console = Console(width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(render(value))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def main() -> None:
    names: dict = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):

        def written(found: re.Match) -> str:
            output = shown(found[1], names).rstrip()
            below = f"\n```text\n{output}\n```\n" if output else ""
            return f"```python\n{found[1]}```\n{below}"

        text = BLOCK.sub(written, WHERE.sub("", TUTORIAL.read_text()))
    where = (
        f"\n*Outputs: {platform.machine()} CPU, {os.cpu_count()} cores, torch {version('torch')}, "
        f"{datetime.now(UTC).date().isoformat()}.*\n"
    )
    TUTORIAL.write_text(text.rstrip() + "\n" + where)


if __name__ == "__main__":
    main()
