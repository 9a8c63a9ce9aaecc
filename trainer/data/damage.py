"""What is wrong with the files of a data set, all of it in one error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import DataError

# Number of files that an error names; the others are counted.
NAMED = 4

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps beside mending the files.

    Attributes:
        damaged: what helps against damaged files, with ``{}`` for them; empty for nothing.
        sizes: what helps against sizes that differ, with ``{}`` for a side; empty for nothing.
    """

    damaged: str = ""
    sizes: str = ""


# The files themselves must be mended: for published data, and where a run fixes how files are prepared.
MEND = Remedy()
# The command has options for what is wrong.
OPTIONS = Remedy(", or leave {} out with --skip-damaged", ", for example with --resize {}")
# The plan that is executed may be older than the damage, so options help only a new run.
NEW_RUN = Remedy(
    ", or leave {} out of a new run with --skip-damaged", ", for example in a new run with --resize {}"
)


def check_files(
    faults: Mapping[Path, str],
    sizes: Mapping[Path, Size],
    expected: Size,
    *,
    remedy: Remedy = MEND,
) -> None:
    """Refuse files that cannot be read and files of another size, in one line.

    Args:
        faults: reason by file that cannot be read.
        sizes: height and width by file that has another size than expected.
        expected: height and width that all images must have.
        remedy: what helps beside mending the files.

    Raises:
        DataError: there is such a file.
    """
    problems, remedies = [], []
    if faults:
        one = len(faults) == 1
        named = [f"{path}: {reason}" for path, reason in faults.items()]
        problems.append(f"cannot read {'image' if one else f'{len(named):,} images:'} {_listed(named)}")
        them = "it" if one else "them"
        remedies.append(f"remove {them} or fetch {them} anew{remedy.damaged.format(them)}")
    if sizes:
        named = [f"{path} has {_size_text(size)}" for path, size in sizes.items()]
        differ = "an image differs" if len(sizes) == 1 else f"{len(sizes):,} images differ"
        problems.append(f"{differ} in size: {_listed(named)}, the others have {_size_text(expected)}")
        remedies.append(f"resize all to one size{remedy.sizes.format(min(expected))}")
    if problems:
        raise DataError(f"{'; '.join(problems)}; {', and '.join(remedies)}")


def commonest(sizes: Mapping[Path, Size]) -> Size:
    """Return the size that most files have, the smallest of several."""
    counts = Counter(sizes.values())
    return min(counts, key=lambda size: (-counts[size], size))


def names_of(paths: Mapping[Path, object], folder: Path) -> str:
    """Return the first few files, relative to their folder, and the number of the others."""
    return _listed([str(path.relative_to(folder)) for path in paths])


def _size_text(size: Size) -> str:
    """Return a size as ``height`` x ``width``, the order of the option."""
    return f"{size[0]}x{size[1]}"


def _listed(named: list[str]) -> str:
    """Return the first few entries and the number of the others."""
    others = len(named) - NAMED
    return ", ".join(named[:NAMED]) + (f" and {others:,} others" if others > 0 else "")
