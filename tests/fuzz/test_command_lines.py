"""Command lines drawn at random: no traceback, no "unexpected", no write outside the home and the outputs.

The commands and their options are read from the program, so a new one is tried without a change here; only
an option whose valid values are not plain words needs an entry in `VALID`.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from fuzzing import Ended, say_all
from typer.main import get_command

from cli.app import app
from cli.workflows.forecast import machine

LINES = int(os.environ.get("ADVISOR_FUZZ_LINES", "2000"))
PARTS = 8
# Lines between two looks at the files that no command may touch.
BETWEEN_LOOKS = 25

DESIGNS = (
    "resnet-8-4",
    "2xmlp-1-8",
    "2xmlp-1-8@g1",
    "mlp-1-8+mlp-2-8",
    "vgg-11-4",
    "vgg-11-4~b1:2,b6:2",
    "wrn-10-1",
    "densenet-10-4",
    "resnet-26-16",
)
# Values that are right somewhere, by the name of the parameter. They are small: whatever is valid is done.
VALID: dict[str, tuple[str, ...]] = {
    "target": (*DESIGNS, "1", "2", "last", "plan.json"),
    "design": DESIGNS[:3],
    "network": ("resnet-14-8", "resnet-26-16", "mlp-2-8"),
    "run": ("1", "2", "last"),
    "runs": ("1", "2", "last"),
    "images": ("image.png", "grey.png", "none.png", "broken.png"),
    "file": ("OUTPUT", "trainings.csv"),
    "dataset": ("digits", "cifar10", "folder:images", "images"),
    "family": ("resnet", "mlp", "vgg"),
    "budget": ("15k", "30k", "5e3"),
    "epochs": ("1", "2", "x2", "+1"),
    "base_epochs": ("1", "3"),
    "hatched_epochs": ("1", "2"),
    "members": ("2", "3", "x2", "+1"),
    "depth": ("x2", "+6", "14"),
    "width": ("x2", "/2", "6"),
    "g": ("1", "2"),
    "batch": ("16", "32", "x2"),
    "base_batch": ("16", "64"),
    "method": ("full_data", "mothernets", "snapshot", "bagging", "sgdr"),
    "base_method": ("full_data", "mothernets"),
    "objective": ("error", "nll", "time", "balanced"),
    "max_memory": ("8G", "512MiB"),
    "max_latency_ms": ("5", "0.5"),
    "max_train_time": ("10m", "2h"),
    "device": ("cpu", "cuda"),
    "augment": ("crop", "none", "crop+flip"),
    "seed": ("0", "1"),
    "trials": ("1", "10"),
    "profile_seconds": ("0",),
    "minutes": ("0.02",),
    "probe": ("0", "0.02"),
    "save": ("OUTPUT",),
    "output": ("OUTPUT",),
    "csv": ("OUTPUT", "-"),
    "plot": ("OUTPUT.svg", "OUTPUT.png"),
    "to": ("safetensors", "pt2"),
    "time_limit": ("1s", "5s"),
    "lr": ("0.1", "1e-3"),
    "noise": ("0.1", "0"),
    "shrink": ("0.5", "1"),
    "price_per_hour": ("1", "2.5", "k80"),
    "max_usd": ("0.5", "10"),
    "ensemble": ("2xmlp-1-8", "3xresnet-8-4", "mlp-1-8+mlp-2-8"),
    "on": ("test", "validation"),
    "add_members": ("mlp-1-8", "mlp-1-10"),
    "add_cluster": ("mlp-1-8",),
    "reading": ("total", "network"),
    "classes": ("10", "100"),
    "input": ("3x32x32", "1x8x8"),
    "limit": ("1", "10"),
    "tolerance": ("0.05", "0.2"),
    "where": ("status=done", "dataset=digits", "test_error<0.5"),
    "sort": ("id", "-id", "test_error"),
    "format": ("csv", "json"),
}
# Values that are wrong nearly everywhere, and what people type by mistake.
ODD = (
    "",
    " ",
    "-1",
    "0",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e-400",
    "99999999999999999999",
    "9" * 400,
    "1_000",
    "1,5",
    "٣",
    "½",
    "0x10",
    "true",
    "None",
    "a" * 300,
    "größe 🐶",
    "\x1b[31mred",
    "[bold]x[/bold]",
    "[/]",
    "\n",
    "a\nb",
    "%s%n{}",
    "'; DROP TABLE runs; --",
    "../../outside",
    "/etc/passwd",
    "/dev/null",
    "/dev/zero",
    "~nouser/x",
    "~",
    ".",
    "..",
    "/",
    "fifo",
    "folder:",
    "folder:.",
    "folder:/dev/null",
    "folder:fifo",
    "resnet",
    "resnet--8-4",
    "999999xresnet-8-4",
    "resnet-8-999999",
    "2xresnet-8-4@g9",
    "resnet-8-4+",
    "--help",
    "--",
    "\udcff\udcfe",
)
# Parameters that name a file to write, and wrong values for them: such a file may be written anywhere.
OUTPUTS = ("save", "output", "csv", "plot", "file")
ODD_OUTPUTS = (
    "",
    ".",
    "..",
    "/",
    "fifo",
    "images",
    "-",
    "/nowhere/at/all",
    "plan.json/x",
    "OUTPUT" + "a" * 300,
)
# What is not done here: to delete the runs that the other lines read.
NEVER = {"--help", "-h", "--version", "--install-completion", "--show-completion", "--yes", "--download"}


def commands() -> dict[tuple[str, ...], list[Any]]:
    """Return the parameters of every command, by its words."""
    program: Any = get_command(app)
    found = {}
    for name, command in program.commands.items():
        inner = getattr(command, "commands", None)
        for words, each in (
            {(name, n): c for n, c in inner.items()}.items() if inner else [((name,), command)]
        ):
            found[words] = each.params
    return found


def drawn_line(chance: random.Random, outputs: Path) -> tuple[str, ...]:
    """Return a command line: mostly right, with something wrong in most of them."""
    words, parameters = chance.choice(list(commands().items()))
    line = list(words)
    wrong = chance.choice((0.0, 0.0, 0.15, 0.3, 0.8))
    for parameter in parameters:
        names = [name for name in parameter.opts if name.startswith("-")]
        if NEVER & set(names) or not (parameter.required or chance.random() < 0.25):
            continue
        if parameter.required and chance.random() < wrong / 3:
            continue
        repeated = chance.choice((1, 1, 1, 2, 3)) if parameter.multiple or parameter.nargs == -1 else 1
        for _ in range(repeated):
            line += [] if not names else [chance.choice(names)]
            if not getattr(parameter, "is_flag", False):
                line.append(_value(parameter.name, wrong, chance, outputs))
    # One word too many may become the name of the file to write.
    strange = ODD_OUTPUTS[:-1] if any(p.name == "file" for p in parameters) else ODD
    if chance.random() < wrong / 3:
        line.insert(chance.randrange(len(line) + 1), chance.choice((*strange, "--nonsense", "-z", "extra")))
    if chance.random() < 0.3:
        line.insert(chance.randrange(len(line) + 1), chance.choice(("-q", "-v", "--quiet", "--json")))
    # Profiling takes as long as one lets it.
    if any(p.name == "profile_seconds" for p in parameters) and "--profile-seconds" not in line:
        line += ["--profile-seconds", "0"]
    return tuple(line)


def _value(name: str, wrong: float, chance: random.Random, outputs: Path) -> str:
    odd = chance.random() < wrong
    known = VALID.get(name, ("1", "x")) if not odd else ODD_OUTPUTS if name in OUTPUTS else ODD
    value = chance.choice(known)
    return value.replace("OUTPUT", str(outputs / str(chance.randrange(10**6))))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_command_line_ends_in_a_traceback_or_writes_where_it_was_not_told(
    part, fuzzed, monkeypatch, hidden_answers
):
    # Pools of processes would only take time.
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    chance = random.Random(part)
    faults, tried = [], 0
    before = fuzzed.foreign_files()
    while tried < LINES // PARTS:
        line = drawn_line(chance, fuzzed.outputs)
        if "delete" in line:
            line = (*line, "--help") if chance.random() < 0.5 else ("runs", "delete", "77", *line[2:])
        ended = fuzzed.run(*line)
        tried += 1
        faults += [f"{fault}: {_shown(ended)}" for fault in ended.faults]
        if tried % BETWEEN_LOOKS == 0:
            after = fuzzed.foreign_files()
            changed = {
                place for place in before.keys() | after.keys() if before.get(place) != after.get(place)
            }
            faults += [
                f"{place} was changed by one of {BETWEEN_LOOKS} lines up to {line}" for place in changed
            ]
            before = after
    say_all(faults)


def _shown(ended: Ended) -> str:
    return f"{' '.join(map(ascii, ended.line))} → {ended.code} {ascii(ended.err[-300:])}"
