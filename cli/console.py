"""Consoles of rich for standard output and error, on which nothing that the reader does is a traceback."""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console


class PlainConsole(Console):
    """A console that leaves a reader who went away to the program; rich would end it with code 1."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise the error of the pipe again."""
        raise


def results() -> Console:
    """Return the console of results, with colour on a terminal unless NO_COLOR is set."""
    return PlainConsole(highlight=False)


def progress() -> Console:
    """Return the console of progress, which is standard error."""
    return PlainConsole(stderr=True, highlight=False)
