"""What the fuzz tests share: the program in this process, what it must never do, and mutations of files."""

from __future__ import annotations

import json
import random
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from cli.app import main

# Exit codes of docs/commands.md that a command line or a damaged input may end with.
CODES = {0, 1, 2, 3, 4, 75}
# Nobody waits longer than this for a refusal, even on a machine that does other work.
MOST_SECONDS = 90
# A source line of a library's warning, as Python prints it by default.
RAW_WARNING = re.compile(r"^\S+\.py:\d+: \w*Warning", re.MULTILINE)


class HangError(BaseException):
    """A command that goes on for too long; no handler of the program catches it."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    line: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def faults(self) -> list[str]:
        """What the program promises never to do, and did."""
        found = []
        if self.code not in CODES:
            found.append(f"exit code {self.code}")
        if "Traceback (most recent call last)" in self.err + self.out:
            found.append("a traceback")
        if "advisor: unexpected" in self.err:
            found.append("an unexpected error")
        if RAW_WARNING.search(self.err):
            found.append("a raw warning")
        refusals = [line for line in self.err.splitlines() if line.startswith("advisor: ")]
        if self.code in (1, 2, 4) and len(refusals) != 1:
            found.append(f"{len(refusals)} lines that say why")
        return found


class Program:
    """The command line in this process, in a folder of its own.

    Args:
        folder: folder that the program works in; its home and its outputs are folders in it.
    """

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.folder, self.capfd, self.monkeypatch = folder, capfd, monkeypatch
        self.home, self.work, self.outputs = folder / "home", folder / "work", folder / "outputs"
        for place in (self.work, self.outputs):
            place.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(self.work)
        monkeypatch.setenv("ADVISOR_HOME", str(self.home))
        monkeypatch.setenv("COLUMNS", "100")

    def run(self, *line: str) -> Ended:
        """Run a command line to its end, or for `MOST_SECONDS`."""
        self.capfd.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["advisor", *line])
        try:
            with _limited():
                main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except HangError:
            code = -1
        captured = self.capfd.readouterr()
        return Ended(line, code, captured.out, captured.err)

    def foreign_files(self) -> dict[str, tuple[int, int, int]]:
        """Return size, time of change and kind of everything that no command may touch."""
        found = {}
        for place in sorted(self.folder.rglob("*")):
            if self.home in (place, *place.parents) or self.outputs in (place, *place.parents):
                continue
            about = place.lstat()
            changed = about.st_mtime_ns if not place.is_dir() else 0
            found[str(place)] = (about.st_size if changed else 0, changed, about.st_mode)
        return found


@contextmanager
def _limited() -> Iterator[None]:
    def hang(number: int, frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def mutated_bytes(content: bytes, chance: random.Random) -> bytes:
    """Return content with one to three changes of the kinds that disks, editors and transfers make."""
    for _ in range(chance.randint(1, 3)):
        if not content:
            return b"\0"
        at, length = chance.randrange(len(content)), chance.randint(1, 64)
        match chance.randrange(7):
            case 0:  # a flipped bit
                content = content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]
            case 1:  # the end is missing
                content = content[:at]
            case 2:  # a piece is missing
                content = content[:at] + content[at + length :]
            case 3:  # a piece stands twice
                content = content[:at] + content[at : at + length] + content[at:]
            case 4:  # zeros, as after a crash of the file system
                content = content[:at] + bytes(length) + content[at + length :]
            case 5:  # noise
                content = content[:at] + chance.randbytes(length) + content[at + length :]
            case _:  # two pieces change places
                other = chance.randrange(len(content))
                first, second = sorted((at, other))
                content = (
                    content[:first]
                    + content[second : second + length]
                    + content[first + length : second]
                    + content[first : first + length]
                    + content[second + length :]
                )
    return content


# Values that stand in for others in JSON, TOML and tables.
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**63,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "nan",
    "../../elsewhere",
    "/etc/passwd",
    "größe 🐶",
    "a" * 300,
    "\x1b[31m[bold]",
    [],
    {},
    [[]],
    {"kind": "TrainStep"},
)


def mutated_json(text: str, chance: random.Random) -> str:
    """Return JSON with one to three of its values replaced, removed, doubled or moved."""
    tree = json.loads(text)
    for _ in range(chance.randint(1, 3)):
        places = list(_places(tree))
        if not places:
            return json.dumps(chance.choice(ODD_VALUES))
        parent, key = chance.choice(places)
        match chance.randrange(5):
            case 0:
                del parent[key]
            case 1 if isinstance(parent, list):
                parent.insert(key, json.loads(json.dumps(parent[key])))
            case 1:
                parent[str(chance.choice(("extra", f"{key}2", "")))] = parent[key]
            case 2:
                other, elsewhere = chance.choice(places)
                parent[key] = json.loads(json.dumps(other[elsewhere]))
            case _:
                parent[key] = chance.choice(ODD_VALUES)
    return json.dumps(tree)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in list(keys):
        yield tree, key
        yield from _places(tree[key])


def say_all(faults: list[str]) -> None:
    """Fail with the first faults, all of which were collected before."""
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults[:20])
