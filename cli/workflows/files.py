"""Files that a user wants beside the answer: checked before the work, written after it.

Every output of every command goes this way, or through `advisor.files.replacing` where a library writes it.
An error names the content of its file: cannot write *the answers* to answers.csv.
"""

from __future__ import annotations

from pathlib import Path

from advisor.errors import StorageError, UsageError
from advisor.files import check_replaceable, write_whole

STDOUT = "-"
# Names of standard output that ``--csv`` takes.
NAMES_OF_STDOUT = (STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def is_stdout(csv: str | None) -> bool:
    """Return whether ``--csv`` stands for standard output."""
    return csv in NAMES_OF_STDOUT


def csv_file(csv: str | None) -> Path | None:
    """Return the file that ``--csv`` names, or None where the option is missing or stands for stdout."""
    return None if csv is None or is_stdout(csv) else Path(csv)


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
        path: file to write; absent or a regular file.
        content: content of the file, as errors name it.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        check_replaceable(path)
    except OSError as error:
        raise cannot_write(path, content, error) from None


def write_file(path: Path, content: str, text: str) -> None:
    """Write a text file, which has its old content until all of the new one is on the disk.

    Args:
        path: file to write; absent or a regular file.
        content: content of the file, as errors name it.
        text: text to write.

    Raises:
        StorageError: the operating system refuses.
    """
    try:
        # Names of files need not be Unicode.
        write_whole(path, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise cannot_write(path, content, error) from None


def cannot_write(path: Path, content: str, error: OSError) -> StorageError:
    """Return the error of a file that could not be written.

    Args:
        path: file to write.
        content: content of the file, as the error names it.
        error: reason of the operating system.
    """
    return StorageError(f"cannot write {content} to {path}: {error.strerror or error}")
