"""A check that a change of the code leaves trainings and answers as they were.

`record` makes a home. It measures this machine for half a minute and trains four small ensembles of the
digits with fixed seeds (MotherNets, snapshots, distillation, independent members). It then stores the SHA-256
of every network's weights and the JSON of every command that forecasts or counts. `check` repeats this with
the current code: it trains the four ensembles again in a new home, and runs the commands in a copy of the
recorded home. Weights, metrics and answers must be equal bit for bit. Only times of this machine, dates and
folders are left out.

    git stash; python benchmarks/same_answers.py record /tmp/before; git stash pop
    python benchmarks/same_answers.py check /tmp/before                               # two minutes each

An answer may have new keys, but it must have every recorded key. `check` writes
benchmarks/results/same_answers.json and exits with 1 if anything differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "same_answers.json"
# Measurements choose the arithmetic of a training, so these come first, in a home without measurements.
TRAININGS = {
    "mothernets": ("4xresnet-8-7@g2", "--epochs", "4"),
    "snapshot": ("3xresnet-8-6", "--epochs", "3", "--method", "snapshot"),
    "distillation": ("2xmlp-2-16", "--epochs", "3", "--method", "distillation"),
    "full data": ("2xresnet-8-6", "--epochs", "4"),
}
MEASURED = (
    ("recommend", "--dataset", "digits", "--budget", "60k", "--epochs", "20", "--family", "resnet"),
    ("recommend", "--budget", "1M", "--epochs", "60", "--family", "resnet", "--family", "vgg"),
)
NOTHING_NEW = ("--profile-seconds", "0")
QUESTIONS: dict[str, tuple[str, ...]] = {
    "recommend digits": (*MEASURED[0], *NOTHING_NEW),
    "explain rank": ("explain", "--rank", "2"),
    "recommend cifar10": (*MEASURED[1], *NOTHING_NEW, "--objective", "balanced", "--max-memory", "8G"),
    "explain run": ("explain", "1"),
    "explain snapshots": ("explain", "2"),
    "explain design": ("explain", "4xresnet-20-8@g2", "--epochs", "30", "--price-per-hour", "2", "--layers"),
    "est resnet": ("est", "--family", "resnet"),
    "est long": ("est", "--family", "resnet", "--dataset", "digits", "--epochs", "5-20", "--reading", "long"),
    "whatif design": ("whatif", "4xresnet-20-8", "--epochs", "30", "--depth", "+6", "--members", "6"),
    "whatif run": ("whatif", "1", "--g", "1", "--width", "x2"),
    "space": ("space", "--budget", "300k"),
    "equivalents": ("equivalents", "resnet-38-32"),
    "runs list": ("runs", "list"),
    "runs show": ("runs", "show", "1"),
    "runs compare": ("runs", "compare", "1", "2", "3"),
}
# Keys whose values depend on a clock, a date or a path; all others are compared.
VOLATILE_KEYS = {
    "created_at",
    "train_seconds",
    "epoch_seconds",
    "seconds",
    "actual_seconds",
    "peak_bytes",
    "folder",
    "home",
}
Answers = dict[str, Any]


def advisor(home: Path, *arguments: str) -> Any:
    """Return the object that a command prints with --json."""
    command = [sys.executable, "-c", "from cli.app import main; main()", "--home", str(home), "--quiet"]
    done = subprocess.run(
        [*command, *arguments, "--json"], capture_output=True, text=True, check=False, env=os.environ
    )
    if done.returncode:
        raise SystemExit(f"advisor {' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def trained(home: Path) -> Answers:
    """Train the ensembles and return the digests of their weights, and their metrics."""
    found: Answers = {}
    for name, arguments in TRAININGS.items():
        run = advisor(home, "train", *arguments, "--dataset", "digits", "--seed", "1")["run"]
        folder = home / "runs" / f"{run['id']:04d}"
        weights = {
            str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.glob("networks/*/checkpoint-*.safetensors"))
        }
        if not weights:
            raise SystemExit(f"no weights below {folder}")
        found[name] = {"weights": weights, "run": without_volatile(run)}
    return found


def without_volatile(value: Any) -> Any:
    """Return a value without the keys that depend on a clock, a date or a path."""
    if isinstance(value, dict):
        return {key: without_volatile(item) for key, item in value.items() if key not in VOLATILE_KEYS}
    return [without_volatile(item) for item in value] if isinstance(value, list) else value


def answered(home: Path) -> Answers:
    """Return the answer of every command, without the times of this call."""
    found = {name: advisor(home, *arguments) for name, arguments in QUESTIONS.items()}
    for name in ("recommend digits", "recommend cifar10"):
        del found[name]["search"]["seconds"], found[name]["profile"]["seconds"]
    return found


def differences(before: Any, now: Any, place: str) -> Iterator[str]:
    """Yield every place where a value differs from the recorded one."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key, value in before.items():
            if key in now:
                yield from differences(value, now[key], f"{place}.{key}")
            else:
                yield f"{place}.{key} is gone"
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, pair in enumerate(zip(before, now, strict=True)):
            yield from differences(*pair, f"{place}[{index}]")
    elif before != now:
        yield f"{place}: {before!r} became {now!r}"


def counted(value: Any) -> int:
    """Return the number of values in a tree of JSON."""
    if isinstance(value, dict):
        return sum(counted(item) for item in value.values())
    return sum(counted(item) for item in value) if isinstance(value, list) else 1


def record(folder: Path) -> None:
    """Make the home, and store its weights and answers."""
    home = folder / "home"
    before: Answers = {"trainings": trained(home)}
    for arguments in MEASURED:
        advisor(home, *arguments, "--profile-seconds", "15")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "home"
        shutil.copytree(home, copy)
        before["answers"] = answered(copy)
    (folder / "before.json").write_text(json.dumps(before, indent=1))


def check(folder: Path) -> list[str]:
    """Return the differences of the current code from the record, and write the result."""
    before = json.loads((folder / "before.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "home"
        shutil.copytree(folder / "home", copy)
        now = {"trainings": trained(Path(scratch) / "new"), "answers": answered(copy)}
    found = [
        text
        for part in ("trainings", "answers")
        for name in before[part]
        for text in differences(before[part][name], now[part][name], name)
    ]
    RESULT.write_text(
        json.dumps(
            {
                "date": datetime.now(UTC).date().isoformat(),
                "device": f"{platform.machine()} CPU, {os.cpu_count()} cores, no GPU",
                "versions": {name: version(name) for name in ("torch", "numpy", "optuna", "scipy")},
                "weights": {
                    f"{name}/{file}": digest
                    for name, training in now["trainings"].items()
                    for file, digest in training["weights"].items()
                },
                "values_compared": {
                    part: {name: counted(value) for name, value in before[part].items()} for part in before
                },
                "differences": found,
            },
            indent=1,
        )
        + "\n"
    )
    return found


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in ("record", "check"):
        raise SystemExit("usage: same_answers.py record|check FOLDER")
    folder = Path(sys.argv[2]).absolute()
    if sys.argv[1] == "record":
        record(folder)
        return
    found = check(folder)
    print("\n".join(found) or "nothing differs")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
