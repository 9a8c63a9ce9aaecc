"""Headers of image files: size, colour and transparency of every image of a folder, without its pixels.

A look at a folder of a hundred thousand images must take seconds, not minutes. Headers are read in parallel,
and what they say is cached by path, size and modification time where the cache can be written. Without a
cache the answers are the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.data.images import GREY_MODES, ImageFaultError, in_parallel, opened, orientation_of

if TYPE_CHECKING:
    from PIL.Image import Image

# Raised whenever a header says something else than before.
CACHE_VERSION = 1
# Orientations in EXIF that exchange height and width.
SIDEWAYS = range(5, 9)
# Last bytes of whole files. A file that ends otherwise may be cut off, so that its pixels are read as well.
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
# Largest number of such files whose pixels are read: some cameras write a film behind every photograph.
MOST_DECODED = 256


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of an image file says.

    Attributes:
        height, width: size of the upright image, pixels.
        coloured: whether it has colours; a palette of greys has none.
        transparent: whether it has transparency.
        fault: reason why the file cannot be read, empty for a whole file.
    """

    height: int = 0
    width: int = 0
    coloured: bool = False
    transparent: bool = False
    fault: str = ""


def read_headers(folder: Path, paths: Sequence[Path], cache: Path | None) -> list[Header]:
    """Return the headers of image files.

    Args:
        folder: data folder of the files.
        paths: files.
        cache: folder of the cache, None for none.
    """
    known = _cached(cache, folder)
    stamps = [_stamp(path) for path in paths]
    keys = [str(path.relative_to(folder)) for path in paths]
    found: dict[int, Header] = {}
    for i, (key, stamp) in enumerate(zip(keys, stamps, strict=True)):
        entry = known.get(key)
        if entry is not None and stamp is not None and entry[0] == stamp:
            found[i] = entry[1]
    missing = [i for i in range(len(paths)) if i not in found]

    doubtful: list[int] = []

    def read(i: int) -> None:
        found[i], whole = _header(paths[i])
        if not whole:
            doubtful.append(i)

    def decode(i: int) -> None:
        fault = _fault_of_pixels(paths[i])
        found[i] = Header(fault=fault) if fault else found[i]

    if missing:
        in_parallel(read, missing)
        in_parallel(decode, sorted(doubtful)[:MOST_DECODED])
        fresh = {keys[i]: (stamp, found[i]) for i, stamp in enumerate(stamps) if stamp is not None}
        _store(cache, folder, fresh)
    return [found[i] for i in range(len(paths))]


def _header(path: Path) -> tuple[Header, bool]:
    """Return the header of a file, and whether the file ends as a whole one does."""
    try:
        with opened(path) as image:
            sideways = orientation_of(image) in SIDEWAYS
            width, height = image.size[::-1] if sideways else image.size
            header = Header(height, width, _is_coloured(image), bool(image.has_transparency_data))
            return header, _ends_whole(path, image.format)
    except ImageFaultError as fault:
        return Header(fault=str(fault)), True


def _fault_of_pixels(path: Path) -> str:
    try:
        with opened(path) as image:
            image.load()
    except ImageFaultError as fault:
        return str(fault)
    return ""


def _ends_whole(path: Path, form: str | None) -> bool:
    end = ENDS.get(form or "")
    if end is None:
        return True
    with path.open("rb") as file:
        file.seek(-min(len(end), path.stat().st_size), os.SEEK_END)
        return file.read() == end


def _is_coloured(image: Image) -> bool:
    if image.mode in GREY_MODES:
        return False
    if image.mode not in ("P", "PA") or image.palette is None:
        return True
    form, entries = image.palette.getdata()
    if ";L" in form:
        # Planes of red, green and blue, one after the other.
        third = len(entries) // 3
        return not entries[:third] == entries[third : 2 * third] == entries[2 * third : 3 * third]
    step = 4 if len(form) == 4 else 3
    return not entries[::step] == entries[1::step] == entries[2::step]


# Size and modification time of a file in nanoseconds.
Stamp = tuple[int, int]


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _cache_file(cache: Path, folder: Path) -> Path:
    return cache / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]}.json"


def _reader() -> list[Any]:
    from PIL import __version__

    return [CACHE_VERSION, __version__]


def _cached(cache: Path | None, folder: Path) -> dict[str, tuple[Stamp, Header]]:
    """Return the cached headers by path below the folder; a cache that is damaged counts as empty."""
    if cache is None:
        return {}
    try:
        plain = json.loads(_cache_file(cache, folder).read_text())
        if plain["reader"] != _reader():
            return {}
        return {key: ((size, time), _checked(*row)) for key, (size, time, *row) in plain["files"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _checked(height: int, width: int, coloured: bool, transparent: bool, fault: str) -> Header:
    header = Header(height, width, coloured, transparent, fault)
    if [type(value) for value in astuple(header)] != [int, int, bool, bool, str]:
        raise ValueError("a value of another type")
    return header


def _store(cache: Path | None, folder: Path, headers: Mapping[str, tuple[Stamp, Header]]) -> None:
    """Write the cache; where it cannot be written, headers are read again the next time."""
    if cache is None:
        return
    rows = {key: [*stamp, *astuple(header)] for key, (stamp, header) in headers.items()}
    file = _cache_file(cache, folder)
    temporary = file.with_name(f".{os.getpid()}.{file.name}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"reader": _reader(), "files": rows}))
        temporary.replace(file)
    except OSError:
        _remove(temporary)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
