"""The files of a data folder: which of them are its images, and what is passed over.

The layout is ``PATH/train/CLASS/…`` and ``PATH/test/CLASS/…``, with folders of any depth below a class.
Labels follow the alphabetical order of the classes. Every regular file is an image whose suffix is that of a
format that Pillow reads, or whose first bytes are those of a common one. Hidden and service files and folders
are passed over at every level: copies that Jupyter, a NAS or an archiver leaves beside the originals would
otherwise be trained on. Nothing here decodes an image.
"""

from __future__ import annotations

import functools
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import DataError

SPLITS = ("train", "test")
# Names, in lower case, of folders and files that systems, archivers and NAS add to folders of images.
SERVICE_NAMES = frozenset(
    {
        *("@eadir", "@__thumb", "@recycle", "#recycle", "#snapshot", "$recycle.bin"),
        *("__macosx", "lost+found", "system volume information"),
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"),
    }
)
# Formats that Pillow only names, or that it reads by starting another program.
UNREAD_FORMATS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
# First bytes of files that are images whatever their suffix is: JPEG, PNG and GIF. WebP has a length between.
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
LONGEST_MAGIC = 12

# Reasons for which files are passed over; a file with another suffix counts under its suffix.
HIDDEN = "hidden"
IN_HIDDEN_FOLDERS = "in hidden folders"
NO_SUFFIX = "without suffix"
DEAD_LINKS = "behind a link that points nowhere"
LINKED_FOLDERS = "behind a link to a folder"
NOT_REGULAR = "not a regular file"
OUTSIDE = "outside class folders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Files of a data folder.

    Attributes:
        folder: folder of the data set.
        classes: names of the classes by label.
        train, test: path and label of each image, in the order of the classes and then of the paths.
        passed_over: number of files by the reason for which they are passed over.
    """

    folder: Path
    classes: tuple[str, ...]
    train: tuple[tuple[Path, int], ...]
    test: tuple[tuple[Path, int], ...]
    passed_over: Mapping[str, int]

    @property
    def paths(self) -> list[Path]:
        """Paths of all images, those to train on first."""
        return [path for path, _ in (*self.train, *self.test)]

    @property
    def passed_over_text(self) -> str:
        """A line that counts what is passed over, empty if nothing is."""
        if not self.passed_over:
            return ""
        counts = sorted(self.passed_over.items(), key=lambda item: (-item[1], item[0]))
        total = sum(self.passed_over.values())
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts)
        return f"{self.folder}: passed over {total:,} file{'s' * (total > 1)}: {reasons}"


def list_folder(folder: Path) -> Listing:
    """Return the classes and images of a data folder.

    Args:
        folder: folder of the data set.

    Raises:
        DataError: the folder is missing, empty or incomplete, or cannot be listed.
    """
    if not folder.is_dir():
        raise DataError(f"the data folder {folder} does not exist: check the path")
    passed_over: Counter[str] = Counter()
    train_classes, test_classes = (_class_names(folder, split, passed_over) for split in SPLITS)
    _check_classes(folder, train_classes, test_classes)
    train, test = (_images_of(folder / split, train_classes, passed_over) for split in SPLITS)
    return Listing(
        folder=folder, classes=tuple(train_classes), train=train, test=test, passed_over=dict(passed_over)
    )


def _check_classes(folder: Path, train: list[str], test: list[str]) -> None:
    differing = sorted(set(train) ^ set(test))
    if differing:
        raise DataError(
            f"{folder}: train and test must have the same class folders, and only one of them has "
            f"{differing[0]!r}: add or remove it"
        )
    if len(train) < 2:
        raise DataError(
            f"{folder}/train has {len(train)} class folders; a classifier needs 2: add train/CLASS/…"
        )


def _class_names(folder: Path, split: str, passed_over: Counter[str]) -> list[str]:
    root = folder / split
    if not root.is_dir():
        raise DataError(
            f"the data folder {folder} has no {split} folder: it needs train/CLASS/… and test/CLASS/…"
        )
    names = []
    for entry in _entries(root):
        if _is_service(entry.name):
            _count_hidden(Path(entry.path), passed_over)
        elif os.path.isdir(entry.path):
            names.append(entry.name)
        else:
            passed_over[OUTSIDE] += 1
    return sorted(names)


def _images_of(root: Path, classes: list[str], passed_over: Counter[str]) -> tuple[tuple[Path, int], ...]:
    found: list[tuple[Path, int]] = []
    empty = []
    for label, name in enumerate(classes):
        paths = sorted(_images_below(root / name, passed_over))
        found += [(path, label) for path in paths]
        if not paths:
            empty.append(root / name)
    if empty:
        others = f" (and {len(empty) - 1} others)" if len(empty) > 1 else ""
        raise DataError(
            f"the class folder {empty[0]}{others} has no images (.jpg, .png, .webp, … "
            "whatever Pillow reads): add some"
        )
    return tuple(found)


def _images_below(folder: Path, passed_over: Counter[str]) -> Iterator[Path]:
    for entry in _entries(folder):
        path = Path(entry.path)
        if _is_service(entry.name):
            _count_hidden(path, passed_over)
        elif entry.is_dir(follow_symlinks=False):
            yield from _images_below(path, passed_over)
        elif reason := _reason_to_pass(path):
            passed_over[reason] += 1
        else:
            yield path


def _reason_to_pass(path: Path) -> str:
    """Return the reason for which a file is passed over, empty for an image."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return DEAD_LINKS
    if stat.S_ISDIR(mode):
        return LINKED_FOLDERS
    if not stat.S_ISREG(mode):
        return NOT_REGULAR
    suffix = path.suffix.lower()
    if suffix in image_suffixes() or _looks_like_an_image(path):
        return ""
    return suffix or NO_SUFFIX


def _looks_like_an_image(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(LONGEST_MAGIC)
    except OSError:
        return False
    return start.startswith(MAGIC) or (start[:4] == b"RIFF" and start[8:] == b"WEBP")


@functools.cache
def image_formats() -> tuple[str, ...]:
    """Return the formats that are read, as Pillow names them."""
    from PIL import Image

    Image.init()
    return tuple(sorted(set(Image.OPEN) - UNREAD_FORMATS))


@functools.cache
def image_suffixes() -> frozenset[str]:
    """Return the suffixes of the formats that are read, in lower case with their dot."""
    from PIL import Image

    # MPO is JPEG with several pictures, of which JPEG's reader takes the first.
    formats = {*image_formats(), "MPO"}
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)


def _is_service(name: str) -> bool:
    return name.startswith(".") or name.lower() in SERVICE_NAMES


def _count_hidden(path: Path, passed_over: Counter[str]) -> None:
    if path.is_symlink() or not path.is_dir():
        passed_over[HIDDEN] += 1
        return
    inside = sum(len(files) for _, _, files in os.walk(path))
    if inside:
        passed_over[IN_HIDDEN_FOLDERS] += inside


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"cannot list the folder {folder}: {error.strerror}; check its permissions") from None
