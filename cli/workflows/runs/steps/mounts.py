"""Whether a folder lies on a file system of a network, where SQLite is not safe.

Processes of several machines must not open one SQLite file: its locks and its write-ahead log are only sound
on one machine (sqlite.org/faq.html, question 5). Linux lists its file systems; elsewhere nothing is known.
"""

from __future__ import annotations

import os
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
# Types of file systems that several machines share; one in user space is named after its program.
SHARED = (
    *(
        "nfs",
        "nfs4",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "9p",
        "ocfs2",
        "gfs2",
    ),
    *("panfs", "pvfs2", "orangefs", "glusterfs", "wekafs", "virtiofs"),
)
IN_USER_SPACE = tuple(
    f"fuse.{name}"
    for name in ("sshfs", "glusterfs", "ceph", "ceph-fuse", "juicefs", "s3fs", "gcsfuse", "rclone", "beegfs")
)


def is_on_network(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Return whether a folder lies on a file system of a network; false where nothing is known.

    Args:
        folder: folder, which need not exist.
        mounts: list of the mounted file systems, as the kernel of Linux gives it.
    """
    return _type_of(os.path.realpath(folder), mounts) in (*SHARED, *IN_USER_SPACE)


def _type_of(path: str, mounts: Path) -> str:
    """Return the type of a path's file system: that of the deepest mount above it, the last of equals."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    deepest, kind = "", ""
    for fields in (line.split() for line in lines):
        if len(fields) < 3:
            continue
        place = _unescaped(fields[1])
        below = path == place or path.startswith(place.rstrip("/") + "/")
        if below and len(place) >= len(deepest):
            deepest, kind = place, fields[2]
    return kind


def _unescaped(text: str) -> str:
    """Return a path of the list, in which some characters are octal numbers after a backslash."""
    for character in (" ", "\t", "\n", "\\"):
        text = text.replace(f"\\{ord(character):03o}", character)
    return text
