"""Memory and time of the commands on folders of large images, all processes together.

    python benchmarks/cost/large_images.py        # about six minutes on a quiet machine

For every image size the script draws a folder of noise and starts `recommend` in an empty home, as a user
would. It adds up the resident memory of the command and of all its descendants (Linux, /proc) every
`INTERVAL` seconds. The sum counts shared libraries once a process, so it is an upper bound. A small design is
trained on the first size. Writes results/large_images-cpu.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RESULTS = Path(__file__).parent / "results" / "large_images-cpu.json"
SIZES, BUDGET = (224, 512), "1M"
# Size of the images that are trained, and the design: two members of 43k parameters, side by side.
TRAINED, DESIGN, EPOCHS = 224, "2xresnet-8-9", 2
IMAGES = {"train": 20, "test": 4}
CLASSES = ("a", "b")
# Seconds between two looks at the processes.
INTERVAL = 0.05


def draw(folder: Path, size: int) -> None:
    """Draw a folder of images of noise, `size` pixels high and wide."""
    generator = np.random.default_rng(0)
    for split, count in IMAGES.items():
        for name in CLASSES:
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 256, (size, size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.jpg")


def watched(command: list[str]) -> dict[str, Any]:
    """Run a command; return its answer, its seconds, and the peaks of its processes in bytes."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        running = subprocess.Popen(command, stdout=out, stderr=err)
        together, own, count = 0, 0, 0
        while running.poll() is None:
            sizes = resident(running.pid)
            together, count = max(together, sum(sizes.values())), max(count, len(sizes))
            own = max(own, sizes.get(running.pid, 0))
            time.sleep(INTERVAL)
        seconds = time.perf_counter() - began
        for file in (out, err):
            file.seek(0)
        if running.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {running.returncode}: {err.read()}")
        answer = json.load(out)
    return {
        "answer": answer,
        "seconds": seconds,
        "peak_bytes": together,
        "parent_peak_bytes": own,
        "processes": count,
    }


def resident(root: int) -> dict[int, int]:
    """Return the resident bytes of a process and its descendants by number."""
    parents, sizes = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat[1])
            sizes[int(entry.name)] = int(stat[21]) * os.sysconf("SC_PAGE_SIZE")
    own = {root}
    while more := {pid for pid, parent in parents.items() if parent in own} - own:
        own |= more
    return {pid: sizes[pid] for pid in own if pid in sizes}


def recommended(home: Path, folder: Path, size: int) -> dict[str, Any]:
    """Ask for advice in an empty home, twice, and return what measuring took."""
    rows = []
    for _ in ("first", "again"):
        found = watched(
            [
                *(*advisor(home), "recommend", "--budget", BUDGET, "--epochs", "20", "--probe", "0"),
                *(*dataset(folder), "--json"),
            ]
        )
        answer = found.pop("answer")
        profile, first = answer["profile"], answer["recommendations"][0]
        rows.append(
            found
            | {
                "profile_seconds": profile["seconds"],
                "measurements": profile["measurements_new"],
                "design": first["design"],
                "predicted_peak_bytes": first["predicted"]["train_peak_bytes"]["mean"],
            }
        )
    return {"command": "recommend", "pixels": size, "first": rows[0], "again": rows[1]}


def trained(home: Path, folder: Path, size: int) -> dict[str, Any]:
    """Train a small design for two epochs; its forecast and the peaks of its steps are bytes beyond idle."""
    command = [*advisor(home), "train", DESIGN, "--epochs", str(EPOCHS), *dataset(folder), "--json"]
    found = watched(command)
    run = found.pop("answer")["run"]
    return {
        "command": "train",
        "pixels": size,
        **found,
        "design": run["design"],
        "processes_of_the_plan": run["execution"]["processes"],
        "predicted_peak_bytes": run["predicted"]["train_peak_bytes"],
        "peak_bytes_of_steps": [step["peak_bytes"] for step in run["steps"]],
    }


def advisor(home: Path) -> list[str]:
    """Return the start of a command line."""
    return [sys.executable, "-c", "from cli.app import main; main()", "--home", str(home)]


def dataset(folder: Path) -> list[str]:
    """Return the option that names a folder."""
    return ["--dataset", f"folder:{folder}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS, help="file of the results")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="heights of the images")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in given.sizes:
            folder, home = Path(scratch) / f"images-{size}", Path(scratch) / f"home-{size}"
            draw(folder, size)
            rows.append(recommended(home, folder, size))
            print(json.dumps(rows[-1]))
            if size == TRAINED:
                rows.append(trained(home, folder, size))
                print(json.dumps(rows[-1]))
    result = {
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load": os.getloadavg()[2],
        "versions": {"torch": version("torch")},
        "date": datetime.now(UTC).date().isoformat(),
        "budget": BUDGET,
        "rows": rows,
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
