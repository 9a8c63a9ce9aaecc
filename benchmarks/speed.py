"""What a person waits for beside the work itself, now and in an earlier state of the program, in turns.

    python benchmarks/speed.py                      # some 18 minutes of a quiet machine
    python benchmarks/speed.py --part training      # one part; the results of the others stay
    python benchmarks/speed.py --before REVISION    # the earlier state: a commit, by default `BEFORE`

1. `training`: wall time of `advisor train` beyond the training that it reports. One network for two epochs of
   digits, and four networks with one mother for twenty.
2. `repeated`: wall time of `advisor recommend` that is asked again, nothing having changed.
3. `first`: wall time of the first `advisor recommend` in an empty home, all families.
4. `wall`: forecast of a person's wait for a training, its steps and what is beside them, and the actual wait,
   for designs that were not measured. Only the state of now has such a forecast.

Every turn runs both states one after the other, each as a process of its own with a home of its own. Medians,
with the least and the largest. Writes benchmarks/results/speed.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "speed.json"
# The commit before the work on waiting began, and the turns of each part.
BEFORE = "f66d07d"
TURNS = {"training": 5, "repeated": 5, "first": 1, "wall": 2}
TRAININGS = {
    "one network, 2 epochs": ("train", "resnet-8-8", "--dataset", "digits", "--epochs", "2"),
    "four, one mother, 20 epochs": ("train", "4xresnet-8-8@g1", "--dataset", "digits", "--epochs", "20"),
}
# Designs and epochs whose wait is forecast.
FORECAST = (
    ("resnet-14-8", 6),
    ("2xresnet-8-10", 8),
    ("4xresnet-8-8@g1", 12),
    ("3xresnet-14-6", 6),
    ("resnet-20-12", 4),
    ("2xresnet-20-6@g1", 8),
    ("resnet-8-16", 10),
    ("5xresnet-8-6", 6),
)
RECOMMEND = ("recommend", "--budget", "5M", "--epochs", "120", "--probe", "0")
QUICK = (*RECOMMEND, "--family", "resnet", "--profile-seconds", "20")


class Program:
    """A state of the program, with a home of its own.

    Args:
        checkout: folder of the sources.
        home: folder of the database and the runs.
    """

    def __init__(self, checkout: Path, home: Path) -> None:
        self.checkout, self.home = checkout, home

    def call(self, *arguments: str, home: Path | None = None) -> tuple[float, dict[str, Any]]:
        """Return the seconds of a command, and its answer."""
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "cli", "--home", str(home or self.home), *arguments, "--json"],
            cwd=self.home.parent,
            env=os.environ | {"PYTHONPATH": str(self.checkout)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - began, json.loads(done.stdout)


States = dict[str, Program]


def training(states: States, turns: int) -> dict[str, Any]:
    """Time trainings beyond what they report."""
    found = {}
    for name, arguments in TRAININGS.items():

        def beyond(program: Program, arguments: tuple[str, ...] = arguments) -> float:
            seconds, answer = program.call(*arguments)
            reported: float = answer["run"]["train_seconds"]
            return seconds - reported

        for program in states.values():
            # The first looks at the data, once for a home.
            program.call(*arguments)
        found[name] = in_turns(states, beyond, turns)
    return found


def repeated(states: States, turns: int) -> dict[str, Any]:
    """Time a recommendation that is asked again."""
    for program in states.values():
        # Until nothing more is measured.
        while program.call(*QUICK)[1]["profile"]["measurements_new"]:
            pass
    return in_turns(states, lambda program: program.call(*QUICK)[0], turns)


def first(states: States, turns: int) -> dict[str, Any]:
    """Time the first recommendation of a home, for all families."""
    measurements: list[int] = []

    def asked(program: Program) -> float:
        with tempfile.TemporaryDirectory() as home:
            seconds, answer = program.call(*RECOMMEND, home=Path(home) / "home")
        measurements.append(answer["profile"]["measurements_new"])
        return seconds

    found = in_turns(states, asked, turns)
    return found | {"measurements_before_and_now": measurements}


def wall(states: States, turns: int) -> dict[str, Any]:
    """Compare the wait for trainings with its forecast."""
    program = states["now"]
    program.call(*QUICK, "--dataset", "digits")
    rows = []
    for turn in range(turns):
        for design, epochs in FORECAST:
            asked = ("train", design, "--dataset", "digits", "--epochs", str(epochs), "--seed", str(turn))
            waited, answer = program.call(*asked)
            predicted = [answer["run"]["predicted"][name] for name in ("train_seconds", "overhead_seconds")]
            mean, low, high = (sum(part[end] for part in predicted) for end in ("mean", "low", "high"))
            rows.append(
                {
                    "design": design,
                    "epochs": epochs,
                    "turn": turn,
                    "waited": round(waited, 2),
                    "predicted": [round(value, 2) for value in (mean, low, high)],
                    "predicted_beside": round(predicted[1]["mean"], 2),
                    "beside": round(waited - answer["run"]["train_seconds"], 2),
                }
            )
    misses = [abs(row["predicted"][0] / row["waited"] - 1) for row in rows]
    inside = sum(row["predicted"][1] <= row["waited"] <= row["predicted"][2] for row in rows)
    return {
        "median_miss": round(statistics.median(misses), 3),
        "largest_miss": round(max(misses), 3),
        "inside": f"{inside} of {len(rows)}",
        "rows": rows,
    }


def in_turns(states: States, timed: Callable[[Program], float], turns: int) -> dict[str, Any]:
    """Return seconds of every state, and the ratios of the turns: those before over those now."""
    seconds: dict[str, list[float]] = {name: [] for name in states}
    for _ in range(turns):
        for name, program in states.items():
            seconds[name].append(timed(program))
    ratios = [before / now for before, now in zip(seconds["before"], seconds["now"], strict=True)]
    return {f"{name}_seconds": spread(each) for name, each in seconds.items()} | {"ratio": spread(ratios)}


def spread(values: list[float]) -> dict[str, float]:
    """Return median, least and largest."""
    return {
        "median": round(statistics.median(values), 2),
        "least": round(min(values), 2),
        "largest": round(max(values), 2),
    }


@contextmanager
def states_of(revision: str) -> Iterator[States]:
    """Have the program as it is here, and as it was at a commit, each with an empty home."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", str(folder / "before"), revision], check=True)
        try:
            homes = [folder / "homes" / state for state in ("before", "now")]
            for home in homes:
                home.mkdir(parents=True)
            yield {
                "before": Program(folder / "before", homes[0] / "home"),
                "now": Program(ROOT, homes[1] / "home"),
            }
        finally:
            subprocess.run([*git, "remove", "--force", str(folder / "before")], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"training": training, "repeated": repeated, "first": first, "wall": wall}
    parser.add_argument("--part", choices=parts, help="only one of the four")
    parser.add_argument("--before", default=BEFORE, metavar="REVISION", help="the earlier state")
    given = parser.parse_args()
    result = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    with states_of(given.before) as states:
        for name in [given.part] if given.part else parts:
            result[name] = parts[name](states, TURNS[name])
            print(name, json.dumps(result[name]), flush=True)
            result["about"] = {
                "before": given.before,
                "machine": f"{platform.machine()} CPU, {len(os.sched_getaffinity(0))} cores",
                "python": platform.python_version(),
                "torch": version("torch"),
                "date": datetime.now(UTC).date().isoformat(),
            }
            RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
