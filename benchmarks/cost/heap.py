"""The effect of keeping freed memory in the process (`trainer.training.heap`) on time and memory.

    python benchmarks/cost/heap.py        # about three minutes on a quiet machine

Each network trains some steps in fresh processes, with the allocator's own settings and with ours, in turn
and several times. The figures are medians over processes: the step (thread time), its interquartile range,
its page faults, and the resident peak. The ratio of the steps is taken in each pair of neighbours. Writes
results/heap-cpu.json.
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

RESULTS = Path(__file__).parent / "results" / "heap-cpu.json"
NETWORKS = ("resnet-20-8", "resnet-26-16", "vgg-11-16", "densenet-22-12", "wrn-10-2", "mlp-4-256")
BATCH, PAIRS = 64, 3
WARM_UP, STEPS = 3, 15


def measure(network: str, *, keep: bool) -> dict[str, float]:
    """Train some steps in this process and return seconds and faults per step, and the resident peak."""
    import torch

    import trainer.training.step
    from advisor.plans.dataset import dataset_named
    from advisor.plans.execution import Execution
    from trainer.training.workload import StepWorkload

    torch.set_num_threads(1)
    if not keep:
        trainer.training.step.keep_freed_memory = lambda: False
    facts = dataset_named("fashion-mnist")
    execution = Execution(
        device="cpu", processes=1, threads=1, dtype="float32", memory_format="channels_last"
    )
    prepared = StepWorkload(
        network=network, task=facts.task, batch=BATCH, augmentation=facts.augmentation, execution=execution
    ).prepare()
    seconds, faults = [], []
    for step in range(WARM_UP + STEPS):
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.thread_time()
        prepared.train_step(lambda phase: None)
        if step >= WARM_UP:
            seconds.append(time.thread_time() - began)
            faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    low, middle, high = statistics.quantiles(seconds, n=4)
    return {
        "step_seconds": middle,
        "iqr_seconds": high - low,
        "faults": statistics.median(faults),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def in_fresh_process(network: str, setting: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", network, setting]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def compare(network: str) -> dict[str, object]:
    """Return the medians of both settings, and the ratios of their steps pair by pair."""
    pairs = []
    for number in range(PAIRS):
        order = ("default", "keep") if number % 2 else ("keep", "default")
        pairs.append({setting: in_fresh_process(network, setting) for setting in order})
    medians = {
        setting: {key: statistics.median(p[setting][key] for p in pairs) for key in pairs[0][setting]}
        for setting in ("default", "keep")
    }
    ratios = [p["default"]["step_seconds"] / p["keep"]["step_seconds"] for p in pairs]
    return {"network": network, **medians, "ratios": sorted(ratios), "ratio": statistics.median(ratios)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--one", nargs=2, metavar=("NETWORK", "SETTING"), help="measure one network and print it"
    )
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one[0], keep=given.one[1] == "keep")))
        return
    rows = [compare(network) for network in NETWORKS]
    for row in rows:
        old, new = row["default"], row["keep"]
        print(
            f"{row['network']:16} {1e3 * old['step_seconds']:7.2f} → {1e3 * new['step_seconds']:7.2f} ms, "
            f"×{row['ratio']:.2f} ({row['ratios'][0]:.2f}–{row['ratios'][-1]:.2f}), faults "
            f"{old['faults']:.0f} → {new['faults']:.0f}, IQR {1e3 * old['iqr_seconds']:.2f} → "
            f"{1e3 * new['iqr_seconds']:.2f} ms, peak ×{new['peak_bytes'] / old['peak_bytes']:.2f}"
        )
    result = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {"torch": version("torch")},
        "date": datetime.now(UTC).date().isoformat(),
        "batch": BATCH,
        "networks": rows,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
