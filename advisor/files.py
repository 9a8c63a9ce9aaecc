"""Files that a user names: regular files only, read within a limit, replaced whole or not at all.

A path that a user gives may lead to a device, a pipe or a socket. Opening one for reading can block for
ever, and renaming onto one destroys it. A reader and a writer therefore look at the kind of a file first.
Both raise `OSError`, and its `strerror` is the reason in words.

A file is written beside its target, flushed to the disk, and renamed. A full disk leaves the old content
whole and no remains. A symbolic link stays a link; the file that it leads to is replaced. A replaced file
keeps its permissions.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

MIB = 2**20
# Characters of a suffix that a temporary file keeps.
LONGEST_SUFFIX = 16
# What a file is, by the function of `stat` that recognises its mode.
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a link that leads nowhere"),
)
# Name that stands for the standard output where a program offers it.
STREAM = "-"
# Names of open streams. They may lead to a regular file, but writing beside it would miss the stream.
STREAMS = ("/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")
# Opening must neither wait for the other end of a pipe nor take over a terminal.
_READING = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
)


def open_regular(path: Path, most: int | None = None) -> BinaryIO:
    """Open a regular file for reading, without waiting for anything.

    Args:
        path: file to open.
        most: largest size in bytes, None for no limit.

    Raises:
        OSError: the file is missing, of another kind, too large, or cannot be opened.
    """
    # Looked at before it is opened, because opening a device may have effects, and again afterwards.
    _require_regular(path, _status(path))
    file = os.fdopen(os.open(path, _READING), "rb")
    try:
        status = os.fstat(file.fileno())
        _require_regular(path, status)
        if most is not None and status.st_size > most:
            raise _too_large(path, most)
    except BaseException:
        file.close()
        raise
    return file


def read_regular(path: Path, most: int) -> bytes:
    """Return the content of a regular file.

    Args:
        path: file to read.
        most: largest size in bytes.

    Raises:
        OSError: the file is missing, of another kind, too large, or cannot be read.
    """
    with open_regular(path, most) as file:
        # Files of /proc have no size before they are read.
        content = file.read(most + 1)
    if len(content) > most:
        raise _too_large(path, most)
    return content


def check_replaceable(path: Path) -> None:
    """Refuse, before the work, a file that could not be written after it.

    Args:
        path: file to write.

    Raises:
        OSError: the path leads to something else than a regular file, its folder is missing, or the
            permission is.
    """
    target = _target(path)
    folder = target.parent
    if not os.path.isdir(folder):
        raise OSError(errno.ENOENT, f"there is no folder {folder}", str(path))
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not os.access(target, os.W_OK):
        raise OSError(errno.EACCES, "permission denied", str(path))
    # The new file is written beside the old one.
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, f"permission denied in its folder {folder}", str(path))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a new file that takes the place of another when the block ends well.

    Args:
        path: file to write; absent or a regular file.

    Yields:
        Path of the new file, in the folder of the old one and without content.

    Raises:
        OSError: as `check_replaceable`, or the disk refuses; the old file is as it was.
    """
    target = _target(path)
    # A name of its own: one that is made of the target's could be longer than a name may be.
    # Libraries choose a format by the suffix.
    part = target.with_name(f".advisor-{os.getpid()}-{os.urandom(4).hex()}{target.suffix[:LONGEST_SUFFIX]}")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield part
        _flush(part)
        # Looked at again, because the work may have taken long.
        target = _target(path)
        if os.path.exists(target):
            os.chmod(part, stat.S_IMODE(os.stat(target).st_mode))
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    _flush(target.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it has either its old content or all of the new one.

    Args:
        path: file to write; absent or a regular file.
        content: its new content.

    Raises:
        OSError: as `replacing`.
    """
    with replacing(path) as part, part.open("wb") as file:
        file.write(content)


def _target(path: Path) -> Path:
    """Return the file that a path leads to, absent or regular."""
    text = os.path.abspath(path)
    if str(path) == STREAM or text.startswith(STREAMS):
        raise OSError(errno.EINVAL, "it is an open stream, and only regular files are written", str(path))
    if "\0" in text:
        raise OSError(errno.EINVAL, "a name has no null character", str(path))
    target = Path(os.path.realpath(text))
    try:
        status = os.lstat(target)
    except FileNotFoundError:
        return target
    except OSError as error:
        raise _in_words(error, path) from None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(
            errno.EINVAL, f"it is {_kind(status.st_mode)}, and only regular files are written", str(path)
        )
    return target


def _status(path: Path) -> os.stat_result:
    try:
        return os.stat(path)
    except ValueError:
        raise OSError(errno.EINVAL, "a name has no null character", str(path)) from None
    except OSError as error:
        raise _in_words(error, path) from None


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(
            errno.EINVAL, f"it is {_kind(status.st_mode)}, and only regular files are read", str(path)
        )


def _kind(mode: int) -> str:
    return next((words for recognises, words in KINDS if recognises(mode)), "no file")


def _in_words(error: OSError, path: Path) -> OSError:
    """Return an error that says which limit a name exceeds; the system says only that one does."""
    if error.errno == errno.ENAMETOOLONG:
        longest = max(len(os.fsencode(part)) for part in path.parts)
        return OSError(
            errno.ENAMETOOLONG, f"a name has at most 255 bytes and a path 4095, got a name of {longest}"
        )
    return error


def _too_large(path: Path, most: int) -> OSError:
    return OSError(errno.EFBIG, f"it must have at most {most // MIB:,} MiB; choose a smaller one", str(path))


def _flush(path: Path) -> None:
    """Make the operating system write a file, or the entries of a folder, to the disk."""
    if os.name != "posix" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
