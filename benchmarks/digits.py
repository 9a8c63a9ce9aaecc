"""One network, or four of the same total size, trained independently or from one mother: digits, end to end.

The script trains three designs through the command line, with several seeds and in random order: the single
network, its depth-equivalent ensemble of four members trained independently, and the same ensemble hatched
from one mother network. It reports means of test error and disagreement, the median of training seconds, and
ranges.

    python benchmarks/digits.py            # about 4 minutes on two cores
    python benchmarks/digits.py --quick    # one seed, writes nothing

Writes benchmarks/results/digits.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULT = Path(__file__).parent / "results" / "digits.json"
DESIGNS = ("resnet-8-16", "4xresnet-8-7", "4xresnet-8-7@g1")
EPOCHS = 20


def train(design: str, seed: int, home: str) -> dict:
    """Train one design by the command line and return its run."""
    command = [
        sys.executable,
        "-c",
        "from cli.app import main; main()",
        *("train", design, "--dataset", "digits", "--epochs", str(EPOCHS), "--seed", str(seed)),
        *("--home", home, "--quiet", "--json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return json.loads(done.stdout)["run"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="train with one seed; nothing is written")
    quick = parser.parse_args().quick
    jobs = [(design, seed) for design in DESIGNS for seed in range(1 if quick else 5)]
    random.Random(0).shuffle(jobs)
    rows = []
    with tempfile.TemporaryDirectory() as home:
        for design, seed in jobs:
            run = train(design, seed, home)
            row = {
                "design": design,
                "seed": seed,
                "parameters": run["parameters"],
                "test_error": run["test"]["error"],
                "mean_member_error": run["test"]["mean_member_error"],
                "disagreement": run["test"]["disagreement"],
                "train_seconds": run["train_seconds"],
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    table(rows)
    if not quick:
        write(rows)


def write(rows: list[dict]) -> None:
    result = {
        "dataset": "digits",
        "epochs": EPOCHS,
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "date": datetime.now(UTC).date().isoformat(),
        "runs": rows,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def table(rows: list[dict]) -> None:
    print(f"{'design':18} {'parameters':>10} {'test error %':>22} {'disagree %':>10} {'seconds':>20}")
    for design in DESIGNS:
        own = [r for r in rows if r["design"] == design]
        errors = [100 * r["test_error"] for r in own]
        seconds = [r["train_seconds"] for r in own]
        differ = statistics.mean(100 * r["disagreement"] for r in own)
        print(
            f"{design:18} {own[0]['parameters']:10,} "
            f"{statistics.mean(errors):8.2f} ({min(errors):.2f}–{max(errors):.2f}) {differ:10.2f} "
            f"{statistics.median(seconds):8.1f} ({min(seconds):.1f}–{max(seconds):.1f})"
        )


if __name__ == "__main__":
    main()
