"""How well the reference convolution shows a busy machine, and how often it cries wolf.

The program calls a machine busy below 0.75 of its usual speed: in no trial on a quiet machine (0.78 at
least), and in all trials with four endless loops beside on two cores (0.35 to 0.42 in the median). AMD EPYC,
2 cores, torch 2.15, 13 to 23 trials of each kind, 2026-11-29.

A quiet machine is compared with one on which 1, 2 or 4 endless loops run beside. `usual` is what a
measurement stores: the median seconds of the convolution between the steps of a network. The paces are those
that the program measures: before a training, with one copy and with one a core, and between epochs, in a
process that has computed until then.

    python benchmarks/busy.py       # about a minute; ends the loops that it has started

As root, script and loops take the highest priority, so that whatever else runs counts less. Writes
benchmarks/results/busy.json: by number of loops and kind of pace the number of trials, the share that is
called busy, and quantiles of the speed (usual seconds over those of now).
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from loops_beside import busy_loops

from advisor.plans.dataset import DATASETS
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.forecast.pace import BUSY_BELOW, UsualPace
from profiler.device import usable_cores
from profiler.pace import BETWEEN_SECONDS, Pace, pace_side_by_side
from profiler.steps import measure_step
from trainer.training.workload import StepWorkload

RESULT = Path(__file__).parent / "results" / "busy.json"
LOOPS = (0, 1, 2, 4)
SECONDS = 14.0
QUANTILES = (0.0, 0.01, 0.05, 0.5, 0.95, 0.99, 1.0)
# Computing before a pace between epochs, seconds.
EPOCH_SECONDS = 0.15
# Trials of one copy and of a copy a core on the quiet machine, for their contention.
COPIES_TRIALS = 7


def usual_seconds() -> float:
    """Return the reference of a measurement, as the program stores it."""
    data = DATASETS["cifar10"]
    workload = StepWorkload(
        network="resnet-20-16",
        task=data.task,
        batch=32,
        augmentation=data.augmentation,
        execution=plain_execution("cpu"),
    )
    found = [measure_step(workload, "cpu", 2.0).reference for _ in range(3)]
    return statistics.median(seconds for seconds in found if seconds)


def between_epochs(pace: Pace, usual: UsualPace) -> float:
    """Return the speed after a while of computing."""
    pace.measure(EPOCH_SECONDS)
    return usual.speed(pace.measure(BETWEEN_SECONDS), 1)


def trials(kinds: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Return the speeds of each kind, measured in turns."""
    found: dict[str, list[float]] = {name: [] for name in kinds}
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        for name, measured in kinds.items():
            found[name].append(measured())
    return found


def quantiles(speeds: list[float]) -> dict[str, float]:
    """Return quantiles of speeds, without interpolation."""
    ordered = sorted(speeds)
    return {f"{q:g}": round(ordered[round(q * (len(ordered) - 1))], 3) for q in QUANTILES}


def come_first() -> str:
    """Take the highest priority, and return what was taken: Linux may share cores by session first."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        Path("/proc/self/autogroup").write_text("-20")
        return "-20, and of the session"
    return str(os.getpriority(os.PRIO_PROCESS, 0))


def summary(speeds: list[float]) -> dict[str, float]:
    """Return the number of trials, the share that the program calls busy, and quantiles."""
    busy = sum(speed < BUSY_BELOW for speed in speeds) / len(speeds)
    return {"trials": len(speeds), "called busy": round(busy, 3), **quantiles(speeds)}


def main() -> None:
    if os.getsid(0) != os.getpid():
        # In a session of its own, whose priority is nobody else's.
        subprocess.run([sys.executable, __file__], start_new_session=True, check=True)
        return
    priority = come_first()
    torch.set_num_threads(1)
    pace, cores, found = Pace(), usable_cores(), {}
    alone, beside = ([pace_side_by_side(copies) for _ in range(COPIES_TRIALS)] for copies in (1, cores))
    contention = statistics.median(beside) / statistics.median(alone)
    usual = UsualPace(usual_seconds(), {cores: contention})
    kinds: dict[str, Callable[[], float]] = {
        "before, one network": lambda: usual.speed_now(1),
        "before, a network a core": lambda: usual.speed_now(cores),
        "between epochs": lambda: between_epochs(pace, usual),
    }
    for count in LOOPS:
        with busy_loops(count):
            found[count] = trials(kinds)
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{platform.machine()} CPU, {cores} cores",
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "priority": priority,
        "load at the end": round(os.getloadavg()[0], 1),
        "usual seconds": usual.seconds,
        "contention": round(contention, 3),
        "speed by loops": {
            str(count): {name: summary(speeds) for name, speeds in by_kind.items()}
            for count, by_kind in found.items()
        },
    }
    RESULT.write_text(json.dumps(results, indent=2) + "\n")
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
