"""Does it help to bind each training process to a core? As many networks as cores, bound and free, in turns.

    python benchmarks/affinity.py            # about two minutes of a quiet machine

Every process trains a network of its own on synthetic images, in one thread. A turn is a number of steps by
all processes at once; it begins at a barrier. In every other turn each process is bound to a core of its own.
Writes results/affinity.json.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import statistics
import time
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch

from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from profiler.device import processor_name
from trainer.training.step import unmarked
from trainer.training.workload import StepWorkload

RESULTS = Path(__file__).parent / "results" / "affinity.json"
# Networks by the data set whose images they see, the batch, and steps of a turn.
CASES = (("digits", "resnet-8-8", 32, 60), ("fashion-mnist", "resnet-14-8", 128, 8))
TURNS = 14


def train(place: int, barrier: Barrier, results: Connection) -> None:
    """Do all turns of one process, and send the seconds of each."""
    torch.set_num_threads(1)
    cores = sorted(os.sched_getaffinity(0))
    found = {}
    for name, network, batch, steps in CASES:
        facts = DATASETS[name]
        execution = Execution(
            device="cpu", processes=len(cores), threads=1, dtype="float32", memory_format="channels_last"
        )
        step = StepWorkload(
            network=network,
            task=facts.task,
            batch=batch,
            augmentation=facts.augmentation,
            execution=execution,
        ).prepare()
        seconds: dict[str, list[float]] = {"free": [], "bound": []}
        for turn in range(TURNS):
            way = ("free", "bound")[turn % 2]
            os.sched_setaffinity(0, cores if way == "free" else [cores[place]])
            barrier.wait()
            began = time.perf_counter()
            for _ in range(steps):
                step.train_step(unmarked)
            # The first turn of each way fills the heap.
            if turn > 1:
                seconds[way].append((time.perf_counter() - began) / steps)
        found[network] = seconds
    results.send(found)


def measure() -> dict[str, dict[str, object]]:
    """Return median seconds of a step in both ways, and the ratio of turns that follow each other."""
    context = multiprocessing.get_context("spawn")
    count = len(os.sched_getaffinity(0))
    barrier, processes, ends = context.Barrier(count), [], []
    for place in range(count):
        ours, theirs = context.Pipe(duplex=False)
        processes.append(context.Process(target=train, args=(place, barrier, theirs)))
        ends.append(ours)
        processes[-1].start()
    received = [end.recv() for end in ends]
    for process in processes:
        process.join()
    rows = {}
    for network in received[0]:
        ways = {way: [s for one in received for s in one[network][way]] for way in ("free", "bound")}
        ratios = [free / bound for free, bound in zip(ways["free"], ways["bound"], strict=True)]
        rows[network] = {
            "step_seconds": {way: round(statistics.median(s), 5) for way, s in ways.items()},
            "speed_of_bound": round(statistics.median(ratios), 3),
            "least_and_largest": [round(min(ratios), 3), round(max(ratios), 3)],
        }
    return rows


def main() -> None:
    rows = measure()
    for network, row in rows.items():
        print(network, row)
    result = {
        "device": f"{processor_name()}, {len(os.sched_getaffinity(0))} cores",
        "torch": version("torch"),
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
        "networks": rows,
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
