"""Damaged inputs of every kind that is read: one line or the right answer, never a traceback.

Every kind names a file, how it is mutated, and the command lines that read it. Where the answer rests on a
checksum, a command that ends well must give the answer of the whole file.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fuzzing import ODD_VALUES, Ended, Program, mutated_bytes, mutated_json, say_all

from cli.workflows.forecast import machine

INPUTS = int(os.environ.get("ADVISOR_FUZZ_INPUTS", "1000"))
PARTS = 2
# What an answer says of images; times and memory depend on the moment.
FIGURES = re.compile(r'"(?:\w*error\w*|probability|class|class_name|name|label|agree)": [^\n]+')


Mutate = Callable[[Path, random.Random], None]


def _as_bytes(file: Path, chance: random.Random) -> None:
    file.write_bytes(mutated_bytes(file.read_bytes(), chance))


def _as_json(file: Path, chance: random.Random) -> None:
    if chance.random() < 0.3:
        _as_bytes(file, chance)
    else:
        file.write_text(mutated_json(file.read_text(), chance), errors="surrogatepass")


def _as_table(file: Path, chance: random.Random) -> None:
    """Replace a cell of a table, or bytes."""
    if chance.random() < 0.3:
        _as_bytes(file, chance)
        return
    rows = [line.split(",") for line in file.read_text().splitlines()]
    row = chance.choice(rows)
    for _ in range(chance.randint(1, 3)):
        row[chance.randrange(len(row))] = str(chance.choice(ODD_VALUES))
    file.write_text("\n".join(",".join(each) for each in rows), errors="surrogatepass")


def _as_settings(file: Path, chance: random.Random) -> None:
    words = [
        "home",
        "quiet",
        "[recommend]",
        "epochs",
        "=",
        '"',
        "120",
        "[",
        "]",
        "\n",
        "limit",
        "[runs.list]",
    ]
    if chance.random() < 0.5:
        _as_bytes(file, chance)
        return
    value = chance.choice((*ODD_VALUES, *words))
    lines = file.read_text().splitlines()
    lines.insert(chance.randrange(len(lines) + 1), f"{chance.choice(words)} = {json.dumps(value)}")
    file.write_text("\n".join(lines))


def _as_database(file: Path, chance: random.Random) -> None:
    """Replace cells of a database with odd values or damaged JSON, as a program with a fault would."""
    if chance.random() < 0.3:
        _as_bytes(file, chance)
        return
    with sqlite3.connect(file) as base:
        base.execute("PRAGMA ignore_check_constraints = 1")
        tables = [t for (t,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = chance.choice([t for t in tables if base.execute(f'SELECT 1 FROM "{t}"').fetchone()])
        column = chance.choice([row[1] for row in base.execute(f'PRAGMA table_info("{table}")')])
        (row, cell), *_ = base.execute(f'SELECT rowid, "{column}" FROM "{table}" ORDER BY random() LIMIT 1')
        is_json = isinstance(cell, str) and cell.startswith(("{", "["))
        odd = [v for v in ODD_VALUES if not isinstance(v, (list, dict)) and v != 10**400]
        value = mutated_json(cell, chance) if is_json and chance.random() < 0.9 else chance.choice(odd)
        try:
            base.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (value, row))
        except (sqlite3.IntegrityError, OverflowError):
            return
    base.close()


@dataclass(frozen=True)
class Kind:
    """A kind of file that the program reads.

    Attributes:
        name: what it is.
        files: pattern of the files in the folder of a program; one of them is mutated at a time.
        mutate: function that damages a file in place.
        lines: command lines that read it, one of which is drawn.
        guarded: whether a wrong answer must not be possible, because the content has a checksum.
    """

    name: str
    files: str
    mutate: Mutate
    lines: tuple[tuple[str, ...], ...]
    guarded: bool = False


PREDICT = (("predict", "1", "--test", "--json"),)
READS_DATABASE = (
    ("runs", "list", "--json"),
    ("runs", "show", "1"),
    ("runs", "compare", "1", "2"),
    ("runs", "export"),
    ("explain", "--rank", "1"),
    ("explain", "1"),
    ("explain", "mlp-1-8", "--dataset", "digits"),
    ("whatif", "1", "--epochs", "x2"),
    ("predict", "1", "--test"),
    ("est", "--family", "mlp", "--dataset", "digits"),
    ("db", "check"),
    ("db", "check", "--json"),
    ("db", "backup", "{outputs}/copy.sqlite"),
    ("recommend", "--budget", "15k", "--dataset", "digits", "--epochs", "2", "--profile-seconds", "0",
     "--trials", "5"),
)  # fmt: skip
KINDS = (
    Kind("plan", "work/plan.json", _as_json,
         (("explain", "plan.json"), ("whatif", "plan.json", "--batch", "x2"))),
    Kind("table of trainings", "work/trainings.csv", _as_table, (("db", "import", "trainings.csv"),)),
    Kind("settings", "work/advisor.toml", _as_settings, (("runs", "list"), ("db", "path"))),
    Kind("image", "work/*.png", _as_bytes, (("predict", "2", "image.png", "grey.png"),)),
    Kind("image of a data folder", "work/images/*/*/*.png", _as_bytes,
         (("explain", "mlp-1-8", "--dataset", "folder:images"), ("predict", "2", "--test"))),
    Kind("description", "home/runs/0001/ensemble.json", _as_json, PREDICT, guarded=True),
    Kind("checkpoint", "home/runs/0001/networks/*/*", _as_bytes, PREDICT, guarded=True),
    Kind("manifest of a checkpoint", "home/runs/0001/networks/*/*.json", _as_json, PREDICT, guarded=True),
    Kind("state of a training", "home/runs/0003/networks/*/*", _as_bytes,
         (("resume", "3", "--json", "--quiet"),), guarded=True),
    Kind("database", "home/advisor.sqlite", _as_database, READS_DATABASE),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_damaged_input_gives_one_line_or_the_right_answer(kind, part, fuzzed, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    kept = fuzzed.folder.with_name("kept")
    shutil.copytree(fuzzed.home, kept)
    whole = {line: _answer(fuzzed.run(*line)) for line in kind.lines} if kind.guarded else {}
    _restore(fuzzed, kept)
    chance = random.Random(f"{kind.name} {part}")
    faults = []
    before = fuzzed.foreign_files()
    for number in range(INPUTS // PARTS):
        file = chance.choice(sorted(fuzzed.folder.glob(kind.files)))
        content = file.read_bytes()
        kind.mutate(file, chance)
        mutated = file.read_bytes()
        line = tuple(word.format(outputs=fuzzed.outputs) for word in chance.choice(kind.lines))
        ended = fuzzed.run(*line)
        found = ended.faults
        if kind.guarded and ended.code == 0 and _answer(ended) != whole[line]:
            found.append("another answer")
        if found:
            damaged = fuzzed.folder.with_name(f"{kind.name} {part} {number}{file.suffix}")
            damaged.write_bytes(mutated)
            faults.append(f"{', '.join(found)}: {' '.join(line)} with {damaged}: {ascii(ended.err[-300:])}")
        if fuzzed.home in file.parents:
            _restore(fuzzed, kept)
        else:
            file.write_bytes(content)
    after = fuzzed.foreign_files()
    own = {str(path) for path in fuzzed.folder.glob(kind.files)}
    changed = {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)} - own
    say_all(faults + [f"{place} was changed" for place in changed])


def _answer(ended: Ended) -> list[str]:
    return FIGURES.findall(ended.out)


def _restore(program: Program, kept: Path) -> None:
    """Put back the home as it was."""
    shutil.rmtree(program.home)
    shutil.copytree(kept, program.home)
    for beside in program.outputs.iterdir():
        shutil.rmtree(beside) if beside.is_dir() else beside.unlink()
