"""Standard input, output and error as the program uses them.

No character makes output fail: what a stream cannot encode is written in plain letters or as an escape. A
full disk behind standard output is an error of one line, and a reader that went away ends the program
quietly.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from advisor.errors import StorageError

# Name of the way in which characters are written that an encoding lacks.
REPLACING = "advisor-replacing"
# Characters of our tables, and of rich's, in the letters of ASCII.
PLAIN = {
    "–": "-",
    "—": "-",
    "−": "-",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "±": "+-",
    "×": "x",
    "·": ".",
    "…": "...",
    "→": "->",
    "─": "-",
    "━": "-",
    "│": "|",
    "█": "#",
    "\u00a0": " ",
    "\u202f": " ",
}


class ReaderGoneError(Exception):
    """The reader of standard output went away, as `head` does; Typer would end the program with code 1."""


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Return what is written for characters that an encoding lacks, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(character: str) -> str:
    if character in PLAIN:
        return PLAIN[character]
    if "\udc80" <= character <= "\udcff":
        # A byte of a file's name that is not Unicode.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode("ascii")


def prepare() -> None:
    """Let every stream exist, and take every character."""
    # A file that got the number of a closed stream, such as the database, would receive what is printed.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    codecs.register_error(REPLACING, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=REPLACING)


@contextmanager
def writing() -> Iterator[None]:
    """Turn a refusal of the disk behind standard output into an error of one line.

    Raises:
        StorageError: standard output cannot be written.
        ReaderGoneError: nobody reads it any more.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise StorageError(f"cannot write to standard output: {error.strerror or error}") from None


def write_out(text: str) -> None:
    """Write a text to standard output, at once.

    Raises:
        StorageError, ReaderGoneError: as `writing`.
    """
    with writing():
        sys.stdout.write(text)


def write_file_content(text: str) -> None:
    """Write to standard output the bytes that a file would have: UTF-8, and names of files as they are.

    Raises:
        StorageError, ReaderGoneError: as `writing`.
    """
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        write_out(text)
        return
    with writing():
        sys.stdout.flush()
        binary.write(text.encode("utf-8", "surrogateescape"))


def complain(text: str) -> None:
    """Write a line to standard error; nobody is told if that fails."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def finish() -> None:
    """Send to nowhere what a stream still holds and cannot write, so that Python does not fail on it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def refused_by_system(error: OSError) -> str | None:
    """Return the words of the operating system's refusal, or None for an error of another kind.

    Args:
        error: error that no workflow expected.
    """
    if error.errno not in REFUSALS:
        return None
    named = f": {error.filename}" if error.filename is not None else ""
    return f"the operating system refuses: {error.strerror}{named}"


# Refusals that can meet any file of any command: no room, no permission, a name that no file can have.
REFUSALS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EIO,
        errno.EACCES,
        errno.EPERM,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EMFILE,
        errno.ENFILE,
    }
)
