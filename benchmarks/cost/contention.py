"""The slowdown of a step while networks train on all cores, measured in three ways in turn.

The network is the reference network of `advisor recommend` at its batch, on the image shape of CIFAR-10.
Every core has one process. The slowdown is the time of a step side by side over the time alone:

- long: six seconds alone, then six side by side, and the mean over the processes;
- once: one second of each, and the slowest process, which was the method of an earlier version;
- turns: `CONTENTION_ROUNDS` times half a second of each, and the median of the ratios, as in the program.

    python benchmarks/cost/contention.py     # about three minutes on a quiet machine

Writes results/contention-cpu.json: every round, and means and standard deviations over rounds (key "spread").
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from advisor.cost.reference import REFERENCES
from advisor.plans.dataset import dataset_named
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.forecast.measuring_session import CONTENTION_ROUNDS, CONTENTION_SHARE, REFERENCE_SECONDS
from profiler.device import cores_to_pin
from profiler.isolate import MeasuringProcess
from trainer.training.workload import StepWorkload

RESULT = Path(__file__).parent / "results" / "contention-cpu.json"
ROUNDS, LONG, LONGEST = 8, 6.0, 60.0


def steps(processes: Sequence[MeasuringProcess], workload: StepWorkload, seconds: float) -> list[float]:
    """Return the seconds of a step in each of several processes that run at once."""
    for each in processes:
        each.begin(workload, seconds)
    results = [each.finish(LONGEST) for each in processes]
    assert all(r is not None for r in results), "a measuring process ended"
    return [r.step for r in results if r is not None]


def ratio(processes: Sequence[MeasuringProcess], workload: StepWorkload, seconds: float, of=np.mean) -> float:
    (alone,) = steps(processes[:1], workload, seconds)
    return float(of(steps(processes, workload, seconds)) / alone)


def main() -> None:
    execution, facts = plain_execution("cpu"), dataset_named("cifar10")
    workload = StepWorkload(
        network=REFERENCES[0].network,
        task=facts.task,
        batch=REFERENCES[0].batch,
        augmentation=facts.augmentation,
        execution=execution,
    )
    pinned = cores_to_pin(execution)
    processes = [MeasuringProcess("cpu", 1, pinned if i == 0 else ()) for i in range(execution.processes)]
    assert all(each.wait_until_ready() for each in processes)
    steps(processes, workload, REFERENCE_SECONDS)
    part, rounds = CONTENTION_SHARE * REFERENCE_SECONDS, []
    for _ in range(ROUNDS):
        found = {
            "long": ratio(processes, workload, LONG),
            "once": ratio(processes, workload, REFERENCE_SECONDS, max),
            "turns": float(
                np.median([ratio(processes, workload, part, np.median) for _ in range(CONTENTION_ROUNDS)])
            ),
        }
        print(" ".join(f"{name} {value:.3f}" for name, value in found.items()), flush=True)
        rounds.append(found)
    for each in processes:
        each.close()
    summary = {
        name: {
            "mean": float(np.mean([r[name] for r in rounds])),
            "spread": float(np.std([r[name] for r in rounds], ddof=1)),
        }
        for name in rounds[0]
    }
    for name, figure in summary.items():
        print(f"{name}: {figure['mean']:.3f} ± {figure['spread']:.3f}")
    about = {
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"torch": version("torch"), "numpy": version("numpy")},
        "python": platform.python_version(),
    }
    RESULT.write_text(json.dumps(about | {"summary": summary, "rounds": rounds}, indent=1) + "\n")


if __name__ == "__main__":
    main()
