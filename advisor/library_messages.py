"""Warnings and log lines of libraries: one plain line each, or none.

Python prints a warning with the line of source code that it came from, and a library's logger writes in a
form of its own. A user can do nothing with either. The program takes both over. Its own process says how
much is shown, and the processes that it starts learn it from their environment. Without a word from the
program, as under the Python face, its processes show nothing.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

# Variable that tells started processes how much is shown.
VARIABLE = "ADVISOR_LIBRARY_MESSAGES"
# Folders below which a library's folder is named as the library.
LIBRARIES = ("site-packages", "dist-packages")


class Shown(Enum):
    """How much of the messages of libraries is shown."""

    NOTHING = "nothing"
    WARNINGS = "warnings"
    EVERYTHING = "everything"


_LEVELS = {
    Shown.NOTHING: logging.CRITICAL + 1,
    Shown.WARNINGS: logging.WARNING,
    Shown.EVERYTHING: logging.INFO,
}
# Messages that were shown already: a warning in a loop is one line.
_said: set[str] = set()


class _Lines(logging.Handler):
    """Shows every record of a library as one line."""

    def emit(self, record: logging.LogRecord) -> None:
        # A library's message may not fit its arguments.
        with suppress(Exception):
            _say(record.name.partition(".")[0], record.getMessage())


@contextmanager
def taken_over() -> Iterator[None]:
    """Show warnings and log lines as plain lines meanwhile, as many as `show` says."""
    before = warnings.showwarning, os.environ.get(VARIABLE), logging.lastResort
    factory = logging.getLogRecordFactory()
    handler = _take_over()
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        logging.setLogRecordFactory(factory)
        warnings.showwarning, variable, logging.lastResort = before
        _said.clear()
        os.environ.pop(VARIABLE, None)
        if variable is not None:
            os.environ[VARIABLE] = variable


def take_over_as_parent() -> None:
    """Show in this process, which the program started, what its parent shows."""
    _take_over()


def show(shown: Shown) -> None:
    """Set how much is shown, here and in processes that are started later.

    Args:
        shown: amount of messages.
    """
    os.environ[VARIABLE] = shown.value
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Lines):
            handler.setLevel(_LEVELS[shown])


def _take_over() -> logging.Handler:
    handler = _Lines(_LEVELS[_shown()])
    logging.getLogger().addHandler(handler)
    # For loggers that do not pass their lines on.
    logging.lastResort = handler
    logging.setLogRecordFactory(_record)
    warnings.showwarning = _show_warning
    return handler


def _record(name: str, *arguments: Any, **options: Any) -> logging.LogRecord:
    """Make a record; from then on its logger does not show its lines itself.

    Libraries get such loggers when they are imported, which may be at any time.
    """
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None and logger.parent is not None:
        for handler in list(logger.handlers):
            if not isinstance(handler, logging.FileHandler | logging.NullHandler):
                logger.removeHandler(handler)
                # Without any handler Python itself would show a warning after this program's time.
                logger.addHandler(logging.NullHandler())
                logger.propagate = True
        logger = logger.parent
    return logging.LogRecord(name, *arguments, **options)


def _shown() -> Shown:
    try:
        return Shown(os.environ.get(VARIABLE, ""))
    except ValueError:
        return Shown.NOTHING


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if _shown() is not Shown.NOTHING:
        _say(_library_of(Path(filename)), str(message))


def _library_of(source: Path) -> str:
    """Return the name of the library whose file a warning comes from."""
    parts = source.parts
    for folder in LIBRARIES:
        if folder in parts[:-1]:
            return Path(parts[parts.index(folder) + 1]).stem
    return "advisor" if source.is_relative_to(Path(__file__).parents[1]) else source.stem


def _say(library: str, text: str) -> None:
    line = f"advisor: {library} says: {' '.join(text.split())}"
    if line not in _said and sys.stderr is not None:
        _said.add(line)
        # A full disk behind stderr must not end the work.
        with suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)
