"""Compiled and replayed training steps beside eager ones, on one core.

    taskset -c 1 python benchmarks/step_modes.py          # some ten minutes of a quiet machine

Every network trains on synthetic images in all modes, in turns: a step of each mode, then the next. Seconds
are those of the thread, without the time that other programs have the core. The first step of a mode builds
it: the compiler's cache is empty, and helpers of it count. A mode pays off after `steps_to_pay` steps.

On a CPU a graph is not recorded. Its steps are the eager ones on tensors that stay where they are.
Writes results/step_modes-PROCESSOR.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from speed_dense import cpu_slug, thread_seconds

from advisor.plans.dataset import DATASETS, DatasetFacts
from advisor.plans.execution import COMPILED, EAGER, STEP_MODES, Execution
from profiler.device import processor_name
from trainer.training.step import unmarked
from trainer.training.workload import PreparedStep, StepWorkload

RESULTS = Path(__file__).parent / "results"
# Networks by the data set whose images they see, and the batch.
CASES = (
    ("digits", 32, ("resnet-8-8", "mlp-2-64")),
    ("fashion-mnist", 128, ("resnet-14-8", "vgg-13-8")),
    ("cifar10", 128, ("resnet-20-8", "resnet-20-16", "wrn-16-2", "densenet-22-12")),
)
WARM_UP, TURNS = 4, 15


def prepared(network: str, facts: DatasetFacts, batch: int, execution: Execution) -> PreparedStep:
    workload = StepWorkload(
        network=network, task=facts.task, batch=batch, augmentation=facts.augmentation, execution=execution
    )
    return workload.prepare()


def compare(network: str, facts: DatasetFacts, batch: int, dtype: str) -> dict[str, object]:
    """Return the seconds of a step in every mode, and of building the mode."""
    plain = Execution(device="cpu", processes=1, threads=1, dtype=dtype, memory_format="channels_last")
    steps, building = {}, {}
    for mode in STEP_MODES:
        began = time.perf_counter()
        # Another mode than the eager one is built with the network.
        steps[mode] = prepared(network, facts, batch, replace(plain, step_mode=mode))
        steps[mode].train_step(unmarked)
        building[mode] = time.perf_counter() - began
    seconds: dict[str, list[float]] = {mode: [] for mode in steps}
    for turn in range(WARM_UP + TURNS):
        for mode, each in steps.items():
            taken = thread_seconds(lambda each=each: each.train_step(unmarked))
            if turn >= WARM_UP:
                seconds[mode].append(taken)
    medians = {mode: statistics.median(taken) for mode, taken in seconds.items()}
    spread = {mode: statistics.quantiles(taken, n=4) for mode, taken in seconds.items()}
    gained = medians[EAGER] - medians[COMPILED]
    return {
        "network": network,
        "images": facts.task.text,
        "batch": batch,
        "dtype": dtype,
        "step_seconds": {mode: round(s, 5) for mode, s in medians.items()},
        "middle_half": {mode: [round(q[0], 5), round(q[2], 5)] for mode, q in spread.items()},
        "speed_over_eager": {mode: round(medians[EAGER] / s, 3) for mode, s in medians.items()},
        "building_seconds": round(building[COMPILED] - building[EAGER], 1),
        "steps_to_pay": math.ceil(building[COMPILED] / gained) if gained > 0 else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", help="only this network; nothing is written")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        for name, batch, networks in CASES:
            for network in networks if given.network is None else {given.network} & set(networks):
                for dtype in ("float32", "bfloat16"):
                    rows.append(compare(network, DATASETS[name], batch, dtype))
                    row = rows[-1]
                    print(
                        f"{network:15} {row['images']:8} {dtype:8} {row['step_seconds']} "
                        f"{row['speed_over_eager']} built in {row['building_seconds']} s, "
                        f"pays after {row['steps_to_pay']} steps",
                        flush=True,
                    )
    if given.network is None:
        result = {
            "device": f"{processor_name()}, one core",
            "python": platform.python_version(),
            "torch": version("torch"),
            "date": datetime.now(UTC).date().isoformat(),
            "rows": rows,
        }
        (RESULTS / f"step_modes-{cpu_slug()}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
