"""What keeping freed memory and large pages (`trainer.training.heap`) do to time and memory of a step.

    taskset -c 1 python benchmarks/cost/heap.py        # about five minutes on a quiet machine

Each network trains some steps in fresh processes, in turn and several times: with the allocator's own
settings, with freed memory kept, and with large pages as well. The figures are medians over processes: the
step (thread time), its interquartile range, its page faults, and the resident peak. Ratios of steps are taken
within a turn. Writes results/heap-PROCESSOR.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from speed_dense import cpu_model, cpu_slug  # noqa: E402

RESULTS = Path(__file__).parent / "results"
# Networks and arithmetic.
CASES = (
    ("resnet-20-16", "bfloat16"),
    ("resnet-20-16", "float32"),
    ("densenet-40-12", "bfloat16"),
    ("wrn-16-2", "bfloat16"),
    ("vgg-16-16", "float32"),
    ("resnet-8-8", "float32"),
    ("mlp-4-256", "float32"),
)
SETTINGS = ("default", "kept", "large pages")
TURNS = 3
WARM_UP, LEAST_STEPS, SECONDS = 4, 5, 2.0


def measure(network: str, dtype: str, setting: str) -> dict[str, float]:
    """Train some steps in this process and return seconds and faults per step, and the resident peak."""
    import torch

    from advisor.plans.dataset import DATASETS
    from advisor.plans.execution import Execution
    from trainer.training import heap, step, workload

    torch.set_num_threads(1)
    if setting == "default":
        heap.keep_freed_memory = step.keep_freed_memory = lambda: False
    if setting == "kept":
        heap.LEAST_GROWTH = float("inf")
    facts = DATASETS["cifar10"]
    execution = Execution(device="cpu", processes=1, threads=1, dtype=dtype, memory_format="channels_last")
    prepared = workload.StepWorkload(
        network=network,
        task=facts.task,
        batch=facts.batch,
        augmentation=facts.augmentation,
        execution=execution,
    ).prepare()
    seconds: list[float] = []
    faults: list[int] = []
    count = 0
    while count < WARM_UP + LEAST_STEPS or sum(seconds) < SECONDS:
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.thread_time()
        prepared.train_step(lambda phase: None)
        count += 1
        if count > WARM_UP:
            seconds.append(time.thread_time() - began)
            faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    low, middle, high = statistics.quantiles(seconds, n=4)
    return {
        "step_seconds": middle,
        "iqr_seconds": high - low,
        "faults": statistics.median(faults),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def in_fresh_process(network: str, dtype: str, setting: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", network, dtype, setting]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def compare(network: str, dtype: str) -> dict[str, object]:
    """Return the medians of all settings, and how much faster steps are than with the allocator's own."""
    turns = []
    for number in range(TURNS):
        order = SETTINGS[number % 3 :] + SETTINGS[: number % 3]
        turns.append({setting: in_fresh_process(network, dtype, setting) for setting in order})
    medians = {
        setting: {key: statistics.median(t[setting][key] for t in turns) for key in turns[0][setting]}
        for setting in SETTINGS
    }
    speeds = {
        setting: sorted(t["default"]["step_seconds"] / t[setting]["step_seconds"] for t in turns)
        for setting in SETTINGS
    }
    over_kept = sorted(t["kept"]["step_seconds"] / t["large pages"]["step_seconds"] for t in turns)
    return {"network": network, "dtype": dtype, **medians, "speeds": speeds, "large_over_kept": over_kept}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--one",
        nargs=3,
        metavar=("NETWORK", "DTYPE", "SETTING"),
        help="measure one network and print it",
    )
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(*given.one)))
        return
    rows = []
    for case in CASES:
        row = compare(*case)
        rows.append(row)
        figures = ", ".join(
            f"{s} {1e3 * row[s]['step_seconds']:.1f} ms ×{statistics.median(row['speeds'][s]):.2f} "
            f"({row[s]['faults']:.0f} faults, {row[s]['peak_bytes'] / 2**20:.0f} MiB)"
            for s in SETTINGS
        )
        print(f"{row['network']} {row['dtype']}: {figures}", flush=True)
    result = {
        "device": f"one core of {cpu_model()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "date": datetime.now(UTC).date().isoformat(),
        "networks": rows,
    }
    (RESULTS / f"heap-{cpu_slug()}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
