"""Identity of a folder of images, computed from its files (`advisor.plans.identity`), and its place.

Names and sizes of all files count. Contents count of about `MOST_SAMPLED` files: every k-th of each class
by name. A large file is read in three pieces. So 100,000 images take about as long as listing them, and a
change of one of them that keeps its name and size may remain unseen.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from advisor.errors import DataError, UsageError
from advisor.plans.dataset import FOLDER_PREFIX, DatasetFacts
from advisor.plans.identity import CLASS_DIGITS, ClassIdentity, DatasetIdentity, changes
from trainer.data.images import Raw, Source
from trainer.data.listing import SPLITS, Listing

# Number of files whose contents are read, and one more at most of each class and split. All files of a folder
# with fewer are read.
MOST_SAMPLED = 4096
# Length of the pieces at the beginning, in the middle and at the end of a file, in bytes.
PIECE = 16 * 1024


class _File(NamedTuple):
    """A file of a class; files are sorted by split and name.

    Attributes:
        split: ``train`` or ``test``.
        name: path below the folder of the class.
        size: bytes, -1 if it is not a regular file: the loader says so when it reads the image.
        path: where the file lies.
    """

    split: str
    name: str
    size: int
    path: Path


def identity_of(listing: Listing) -> DatasetIdentity:
    """Return the identity of a folder.

    Args:
        listing: files of the folder.
    """
    of_class: list[list[_File]] = [[] for _ in listing.classes]
    # Split and class are two folders, and the names of files begin below them.
    above = len(listing.folder.parts) + 2
    for split, files in (("train", listing.train), ("test", listing.test)):
        for path, label in files:
            of_class[label].append(_File(split, "/".join(path.parts[above:]), _size(path), path))
    step = max(-(-sum(map(len, of_class)) // MOST_SAMPLED), 1)
    return DatasetIdentity.of(
        [
            _class_identity(name, sorted(own), step)
            for name, own in zip(listing.classes, of_class, strict=True)
        ]
    )


def check_identity(listing: Listing, wanted: DatasetIdentity | None) -> None:
    """Refuse a folder whose data are not those of a plan.

    Args:
        listing: files of the folder.
        wanted: identity of the plan's data; None for a plan of an older program, which has none.

    Raises:
        DataError: the data are others; the message says what changed.
    """
    changed = "" if wanted is None else changes(wanted, identity_of(listing))
    if changed:
        raise DataError(
            f"the data in {listing.folder} are not those of the plan: {changed}; restore them, or start a "
            "new run"
        )


def in_order(source: Source, classes: tuple[str, ...]) -> Source:
    """Return images with the labels, and in the order, that a plan has for the names of their classes.

    Args:
        source: images with labels of their own, sorted by label.
        classes: the same names of classes in the order of the plan.
    """
    if source.classes == classes:
        return source
    label_of = np.array([classes.index(name) for name in source.classes], dtype=np.int64)

    def ordered(raw: Raw) -> Raw:
        labels = label_of[raw[1]]
        order = np.argsort(labels, kind="stable")
        return raw[0][order], labels[order]

    return Source(ordered(source.train), ordered(source.test), classes)


def moved_to(facts: DatasetFacts, name: str) -> DatasetFacts:
    """Return the facts of a folder that lies elsewhere now. Loading checks that it has the same data.

    Args:
        facts: facts of a folder.
        name: ``folder:PATH`` with the new place.

    Raises:
        UsageError: one of the two is not a folder.
        DataError: there is no such folder.
    """
    if not facts.name.startswith(FOLDER_PREFIX):
        raise UsageError(
            f"--dataset says here where a moved data folder lies now, got {name}, and {facts.name} is not a "
            "folder: leave it out"
        )
    if not name.startswith(FOLDER_PREFIX):
        raise UsageError(
            f"--dataset says here where the data folder lies now, got {name!r}: write {FOLDER_PREFIX}PATH"
        )
    folder = folder_in(name)
    if not folder.is_dir():
        raise DataError(f"the data folder {folder} does not exist: check the path")
    return replace(facts, name=f"{FOLDER_PREFIX}{folder}")


def folder_in(name: str) -> Path:
    """Return the absolute path in ``folder:PATH``."""
    return Path(name.removeprefix(FOLDER_PREFIX)).expanduser().resolve()


def _size(path: Path) -> int:
    try:
        found = path.stat()
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def _class_identity(name: str, files: Sequence[_File], step: int) -> ClassIdentity:
    listed, contents = hashlib.sha256(), hashlib.sha256()
    for file in files:
        row = f"{file.split}\0{file.name}\0{file.size}\0"
        listed.update(row.encode("utf-8", "surrogateescape"))
    for split in SPLITS:
        for file in [each for each in files if each.split == split][::step]:
            contents.update(_sample(file))
    return ClassIdentity(
        name,
        sum(file.split == "train" for file in files),
        sum(file.split == "test" for file in files),
        listed.hexdigest()[:CLASS_DIGITS],
        contents.hexdigest()[:CLASS_DIGITS],
    )


def _sample(file: _File) -> bytes:
    """Return the digest of a file, of a large one that of its beginning, middle and end."""
    if file.size < 0:
        return b""
    try:
        with file.path.open("rb", buffering=0) as stream:
            if file.size <= 3 * PIECE:
                return hashlib.sha256(stream.read(3 * PIECE)).digest()
            taken = hashlib.sha256()
            for start in (0, (file.size - PIECE) // 2, file.size - PIECE):
                stream.seek(start)
                taken.update(stream.read(PIECE))
            return taken.digest()
    except OSError:
        return b""
