"""Whether a change of the code leaves trainings and answers as they were.

`record` makes a home: it measures this machine for half a minute, trains four small ensembles of the digits
(MotherNets, snapshots, distillation, independent members; seeds fixed), and writes down the SHA-256 of every
network's weights and the JSON of every reasoning command. `check` asks the same of the code as it is now: it
trains the four again in a home of their own, and asks the commands in a copy of the recorded home. Weights,
metrics and answers must be equal: weights and metrics bit for bit, forecasts to five significant digits, of
which three are ever printed. How many are equal only so far is counted. Times of this machine, dates and
folders are left out.

    git stash; python benchmarks/same_answers.py record /tmp/before; git stash pop
    python benchmarks/same_answers.py check /tmp/before                               # two minutes each

A key that the recorded answer does not have may be new; a key that it has may not go. `check` writes
benchmarks/results/same_answers.json and exits with 1 where something differs.
"""

from __future__ import annotations

import hashlib
import json
import math
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
# Of the same arithmetic whatever was measured before: they come first, in a home without measurements.
TRAININGS = {
    "mothernets": ("4xresnet-8-7@g2", "--epochs", "4"),
    "snapshot": ("3xresnet-8-6", "--epochs", "3", "--method", "snapshot"),
    "distillation": ("2xmlp-2-16", "--epochs", "3", "--method", "distillation"),
    "full data": ("2xresnet-8-6", "--epochs", "4"),
}
# Probes would be trained anew for each of the programs that are compared.
WITHOUT_PROBES = ("recommend", "--probe", "0")
MEASURED = (
    (*WITHOUT_PROBES, "--dataset", "digits", "--budget", "60k", "--epochs", "20", "--family", "resnet"),
    (*WITHOUT_PROBES, "--budget", "1M", "--epochs", "60", "--family", "resnet", "--family", "vgg"),
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
# What a clock, a date or a place decides; all else is compared. `search.seconds` and `profile.seconds` are
# such.
OF_THE_MOMENT = {
    "created_at",
    "train_seconds",
    "epoch_seconds",
    "seconds",
    "actual_seconds",
    "peak_bytes",
    "folder",
    "home",
}
# Of a stored run, times are stored; of a new one they are of the moment.
Answers = dict[str, Any]


def advisor(home: Path, *arguments: str) -> Any:
    """Return what a command prints with --json."""
    command = [sys.executable, "-c", "from cli.app import main; main()", "--home", str(home), "--quiet"]
    done = subprocess.run(
        [*command, *arguments, "--json"], capture_output=True, text=True, check=False, env=os.environ
    )
    if done.returncode:
        raise SystemExit(f"advisor {' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def trained(home: Path) -> Answers:
    """Train the ensembles; return the digests of their weights, and their metrics."""
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
        found[name] = {"weights": weights, "run": without_moments(run)}
    return found


def without_moments(value: Any) -> Any:
    """Leave out what a clock, a date or a place decides."""
    if isinstance(value, dict):
        return {key: without_moments(item) for key, item in value.items() if key not in OF_THE_MOMENT}
    return [without_moments(item) for item in value] if isinstance(value, list) else value


def answered(home: Path) -> Answers:
    """Ask every question; times that are stored or predicted are kept, times of the moment are not."""
    found = {name: advisor(home, *arguments) for name, arguments in QUESTIONS.items()}
    for name in ("recommend digits", "recommend cifar10"):
        del found[name]["search"]["seconds"], found[name]["profile"]["seconds"]
    return found


def differences(before: Any, now: Any, place: str) -> Iterator[str]:
    """Name every place where a recorded value is not what it was."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key, value in before.items():
            if key in now:
                yield from differences(value, now[key], f"{place}.{key}")
            else:
                yield f"{place}.{key} is gone"
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, pair in enumerate(zip(before, now, strict=True)):
            yield from differences(*pair, f"{place}[{index}]")
    elif before != now and not nearly_equal(before, now):
        yield f"{place}: {before!r} became {now!r}"


def nearly_equal(before: Any, now: Any) -> bool:
    """Whether two numbers are equal to five significant digits."""
    return isinstance(before, float) and isinstance(now, float) and math.isclose(before, now, rel_tol=5e-6)


def moved(before: Any, now: Any) -> int:
    """Count recorded numbers that are equal to five digits and not to the last bit."""
    if isinstance(before, dict) and isinstance(now, dict):
        return sum(moved(value, now.get(key)) for key, value in before.items())
    if isinstance(before, list) and isinstance(now, list):
        return sum(moved(*pair) for pair in zip(before, now, strict=False))
    return int(before != now and nearly_equal(before, now))


def counted(value: Any) -> int:
    """Values in a tree of JSON."""
    if isinstance(value, dict):
        return sum(counted(item) for item in value.values())
    return sum(counted(item) for item in value) if isinstance(value, list) else 1


def record(folder: Path) -> None:
    """Make the home and write down what it says."""
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
    """Return where today's code differs from what is recorded; write the result."""
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
                "equal_to_five_digits_only": moved(before["answers"], now["answers"]),
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
