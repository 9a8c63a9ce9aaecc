"""Files that a user wants beside the answer: checked before the work, written after it.

An error names the content of its file: cannot write *the answers* to answers.csv.
"""

from __future__ import annotations

import os
from pathlib import Path

from advisor.errors import StorageError, UsageError

STDOUT = "-"


def csv_file(csv: str | None) -> Path | None:
    """Return the file that ``--csv`` names, or None where the option is missing or stands for stdout."""
    return None if csv in (None, STDOUT) else Path(str(csv))


def check_csv(csv: str | None, content: str, *, as_json: bool) -> None:
    """Refuse, before the work, a CSV file that could not be written after it.

    Args:
        csv: name of the file, ``-`` for stdout, None for none.
        content: content of the file, as errors name it.
        as_json: whether JSON goes to stdout.

    Raises:
        UsageError: both CSV and JSON are wanted.
        StorageError: the file cannot be written.
    """
    if csv is not None and as_json:
        raise UsageError("--csv and --json are two forms of one result: choose one of them")
    path = csv_file(csv)
    if path is not None:
        check_writable(path, content)


def check_writable(path: Path, content: str) -> None:
    """Refuse, before the work, a file that could not be written after it.

    Args:
        path: file to write.
        content: content of the file, as errors name it.

    Raises:
        StorageError: the file cannot be written.
    """
    reason = None
    if path.is_dir():
        reason = "it is a folder"
    elif not path.parent.is_dir():
        reason = f"there is no folder {path.parent}"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        reason = "permission denied"
    if reason:
        raise StorageError(f"cannot write {content} to {path}: {reason}")


def write_file(path: Path, content: str, text: str) -> None:
    """Write a text file.

    Args:
        path: file to write.
        content: content of the file, as errors name it.
        text: text to write.

    Raises:
        StorageError: the operating system refuses.
    """
    try:
        # Names of files need not be Unicode.
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise StorageError(f"cannot write {content} to {path}: {error.strerror}") from None
