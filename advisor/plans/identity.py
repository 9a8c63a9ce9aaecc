"""Identity of a folder of images: what is in it, wherever it lies.

Two folders are the same data if their classes have the same names, and the classes the same files: relative
names, sizes and contents. Paths, times of files and the order of classes do not count. So data that were
moved or copied keep their identity, and data that were changed lose it. Published data sets need none: their
name says what they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.errors import UsageError

# Number of hexadecimal digits of a digest of all data, and of the files of a class.
DIGITS = 32
CLASS_DIGITS = 16
# Largest number of changes that a message names.
NAMED_CHANGES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetIdentity:
    """Identity of a folder of images. Entry i of each tuple is of the class with label i.

    Attributes:
        digest: digest of all classes, whatever their order; equal for equal data.
        classes: names of the classes.
        train_images, test_images: numbers of images.
        files: digests of the relative names and sizes of the files.
        contents: digests of sampled contents of the files.
    """

    digest: str
    classes: tuple[str, ...]
    train_images: tuple[int, ...]
    test_images: tuple[int, ...]
    files: tuple[str, ...]
    contents: tuple[str, ...]

    def __post_init__(self) -> None:
        columns = (self.classes, self.train_images, self.test_images, self.files, self.contents)
        if len({len(column) for column in columns}) > 1 or len(set(self.classes)) < len(self.classes):
            raise UsageError("the identity of data needs one entry for every class, each with its own name")
        if self.digest != _digest(list(zip(*columns, strict=True))):
            raise UsageError("the identity of data has a wrong digest")

    @classmethod
    def of(cls, classes: Sequence[ClassIdentity]) -> DatasetIdentity:
        """Return the identity of data.

        Args:
            classes: identities of the classes in the order of their labels.
        """
        return cls(
            digest=_digest([(c.name, c.train_images, c.test_images, c.files, c.contents) for c in classes]),
            classes=tuple(c.name for c in classes),
            train_images=tuple(c.train_images for c in classes),
            test_images=tuple(c.test_images for c in classes),
            files=tuple(c.files for c in classes),
            contents=tuple(c.contents for c in classes),
        )

    @property
    def by_class(self) -> dict[str, ClassIdentity]:
        """Identities of the classes by their names."""
        columns = (self.classes, self.train_images, self.test_images, self.files, self.contents)
        found = (ClassIdentity(*row) for row in zip(*columns, strict=True))
        return {each.name: each for each in found}


@dataclass(frozen=True, slots=True)
class ClassIdentity:
    """Identity of one class; attributes as those of `DatasetIdentity`."""

    name: str
    train_images: int
    test_images: int
    files: str
    contents: str

    def has_files_of(self, other: ClassIdentity) -> bool:
        """Return whether both classes have the same files, whatever the classes are called."""
        return (self.files, self.contents) == (other.files, other.contents)


def _digest(rows: Sequence[tuple[str | int, ...]]) -> str:
    """Return the digest of classes, each a row that begins with the name; their order does not count."""
    # JSON escapes the parts of a name that are not UTF-8.
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()[:DIGITS]


def changes(before: DatasetIdentity, now: DatasetIdentity) -> str:
    """Return in words what makes two data sets differ, empty if they are the same data.

    Args:
        before: data that belong to a plan.
        now: data that were found.
    """
    if before.digest == now.digest:
        return ""
    old, new = before.by_class, now.by_class
    found = _changes_of_names(old, new)
    for name in (name for name in old if name in new):
        if text := _change_of_class(old[name], new[name], old):
            found.append(text)
    rest = len(found) - NAMED_CHANGES
    more = [f"{rest} more {'change' if rest == 1 else 'changes'}"] if rest > 0 else []
    return "; ".join([*found[:NAMED_CHANGES], *more])


def _changes_of_names(old: dict[str, ClassIdentity], new: dict[str, ClassIdentity]) -> list[str]:
    gone, added = [n for n in old if n not in new], [n for n in new if n not in old]
    found = []
    for name in gone:
        same = next((n for n in added if new[n].has_files_of(old[name])), None)
        if same is None and len(gone) == len(added) == 1:
            same = added[0]
        if same is None:
            found.append(f"class {name!r} is gone")
        else:
            added.remove(same)
            found.append(f"class {name!r} is gone and {same!r} is new (renamed?)")
    return found + [f"class {name!r} is new" for name in added]


def _change_of_class(old: ClassIdentity, new: ClassIdentity, all_old: dict[str, ClassIdentity]) -> str:
    """Return what changed in a class that kept its name, empty if nothing did."""
    if new.has_files_of(old):
        return ""
    if other := next((name for name, each in all_old.items() if new.has_files_of(each)), None):
        return f"class {old.name!r} has the files that {other!r} had"
    counts = (
        ("training", old.train_images, new.train_images),
        ("test", old.test_images, new.test_images),
    )
    differing = [f"{now} {split} images, not {was}" for split, was, now in counts if was != now]
    if differing:
        return f"class {old.name!r} has {' and '.join(differing)}"
    what = "contents" if new.files == old.files else "names or sizes"
    return f"{what} of files in class {old.name!r} changed"
