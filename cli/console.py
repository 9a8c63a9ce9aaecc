"""Consoles of rich for standard output and error, and cells that give way where a row is too long for one.

Nothing that the reader of a stream does is a traceback.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

# Cells of the least that is shown of a shortened text.
LEAST_SHOWN = 9
GAP = "…"


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


@dataclass(frozen=True, slots=True)
class Shortened:
    """A text of one line that loses its middle where it has not enough room; both ends tell most of a path.

    Attributes:
        text: the whole text.
    """

    text: str

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the least and the largest width, in cells."""
        whole = cell_len(self.text)
        return Measurement(min(whole, LEAST_SHOWN), whole).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the text in the room there is."""
        yield Text(shortened(self.text, options.max_width), no_wrap=True, overflow="crop")


def shortened(text: str, width: int) -> str:
    """Return a text that has at most a width, without its middle if it must be.

    Args:
        text: text of one line.
        width: largest width, in cells of a terminal.
    """
    if cell_len(text) <= width:
        return text
    # A path ends with its name, so its end gets the larger half.
    left = (width - 1) // 2
    right = max(width - 1 - left, 0)
    reversed_end = set_cell_size(text[::-1], right).rstrip()
    return set_cell_size(text, left).rstrip() + GAP + reversed_end[::-1]
