"""Files that a user asks for beside the answer: refused before the work, written after it.

What a file holds is named as its errors tell it: cannot write *the answers* to answers.csv.
"""

from __future__ import annotations

import os
from pathlib import Path

from advisor.errors import StorageError, UsageError

STDOUT = "-"


def csv_file(csv: str | None) -> Path | None:
    """Return the file that ``--csv`` names: none where it is left out or stands for stdout."""
    return None if csv in (None, STDOUT) else Path(str(csv))


def check_csv(csv: str | None, content: str, *, as_json: bool) -> None:
    """Refuse before the work a CSV that could not be written after it.

    Args:
        csv: file, ``-`` for stdout, None for none.
        content: of the file.
        as_json: whether stdout is taken by JSON.

    Raises:
        UsageError: both kinds of output are wanted.
        StorageError: the file cannot be written.
    """
    if csv is not None and as_json:
        raise UsageError("--csv and --json are two forms of one result: choose one of them")
    path = csv_file(csv)
    if path is not None:
        check_writable(path, content)


def check_writable(path: Path, content: str) -> None:
    """Refuse before the work a file that could not be written after it.

    Raises:
        StorageError: as said.
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
    """Write `text`, which is the `content` that errors name.

    Raises:
        StorageError: the disk refuses.
    """
    try:
        # Names of files need not be Unicode.
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise StorageError(f"cannot write {content} to {path}: {error.strerror}") from None
