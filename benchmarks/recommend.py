"""The headline command on this machine: its whole output and its time.

The script runs `advisor recommend --budget 5M --epochs 120` with an empty home, and again with the
measurements of the first call. It also times `advisor --help` and `advisor runs list` (medians of five).

    python benchmarks/recommend.py     # about two minutes

Writes benchmarks/results/recommend.txt.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULT = Path(__file__).parent / "results" / "recommend.txt"
REQUEST = ("recommend", "--budget", "5M", "--epochs", "120")


def advisor(home: str, *arguments: str) -> tuple[str, float]:
    """Return the stdout of a command and its wall-clock seconds."""
    command = [
        sys.executable,
        "-c",
        "from cli.app import main; main()",
        "--home",
        home,
        "--quiet",
        *arguments,
    ]
    began = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "80"}
    )
    return done.stdout, time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        out, first = advisor(home, *REQUEST)
        _, again = advisor(home, *REQUEST)
        quick = {
            name: statistics.median(advisor(home, *arguments)[1] for _ in range(5))
            for name, arguments in {"--help": ("--help",), "runs list": ("runs", "list")}.items()
        }
    lines = [
        f"date: {datetime.now(UTC).date().isoformat()}",
        f"device: {platform.machine()} CPU, {os.cpu_count()} cores, no GPU",
        f"versions: Python {platform.python_version()}, torch {version('torch')}, optuna {version('optuna')}",
        f"first call: {first:.1f} s; repeated: {again:.1f} s",
        *(f"advisor {name}: {seconds:.2f} s" for name, seconds in quick.items()),
        "",
        "$ advisor " + " ".join(REQUEST),
        *(line.rstrip() for line in out.splitlines()),
    ]
    RESULT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
