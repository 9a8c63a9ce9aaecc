"""The speed of inference with members that share their mother's layers, relative to separate members.

    python benchmarks/trainings/shared_inference.py       # under three minutes on two cores

The ensembles are the small V5 of the benchmark of methods, and V5 at a quarter of its published width. Each
runs as a shared MotherNet and as separate networks, in evaluation mode, with one thread, float32 and
channels-last memory. Weights are random, which does not change the time. Both forms take turns. Times are
medians of processor seconds. Ratios are medians of five rounds, and their range is the noise. Writes
results/shared_inference-cpu.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from methods_ensembles import vgg_ensemble

from advisor.designs.design import parse_design
from advisor.networks.layers import Task
from advisor.networks.shared_layers import graph_of
from trainer.networks.network import SpecNetwork

RESULT = Path(__file__).parent / "results" / "shared_inference-cpu.json"
CASES = (("small V5", 8, 14, 1), ("V5 at a quarter of its width", 16, 32, 3))
BATCHES = (1, 64)
ROUNDS, SECONDS = 5, 1.0


def networks(names: list[str], task: Task) -> list[SpecNetwork]:
    """Return networks in evaluation mode and channels-last memory."""
    return [SpecNetwork(graph_of(name, task)).eval().to(memory_format=torch.channels_last) for name in names]


def seconds_of(forms: list[SpecNetwork], images: torch.Tensor) -> float:
    """Return the median processor seconds of all networks on a batch, one after the other."""
    found, end = [], time.perf_counter() + SECONDS
    with torch.inference_mode():
        while time.perf_counter() < end or len(found) < 3:
            began = time.thread_time()
            for network in forms:
                network(images)
            found.append(time.thread_time() - began)
    return statistics.median(found)


def compare(name: str, width: int, side: int, channels: int) -> list[dict]:
    """Return the times of both forms of an ensemble at every batch."""
    members = [m.name for m in parse_design(vgg_ensemble(width)).members]
    task = Task(channels=channels, height=side, width=side, classes=10)
    joint = f"shared({'+'.join(members)})"
    apart, shared = networks(members, task), networks([joint], task)
    graphs = [graph_of(member, task) for member in members]
    rows = []
    for batch in BATCHES:
        images = torch.randn(batch, channels, side, side).contiguous(memory_format=torch.channels_last)
        rounds = [(seconds_of(apart, images), seconds_of(shared, images)) for _ in range(ROUNDS)]
        ratios = [a / s for a, s in rounds]
        rows.append(
            {
                "ensemble": name,
                "input": task.text,
                "batch": batch,
                "apart_ms": 1000 * statistics.median(a for a, _ in rounds),
                "shared_ms": 1000 * statistics.median(s for _, s in rounds),
                "times_faster": statistics.median(ratios),
                "range": [min(ratios), max(ratios)],
                "parameters_saved": 1 - graph_of(joint, task).parameters / sum(g.parameters for g in graphs),
                "macs_ratio": sum(g.macs for g in graphs) / graph_of(joint, task).macs,
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    result = {
        "device": f"{platform.machine()} CPU, 1 thread",
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "date": datetime.now(UTC).date().isoformat(),
        "rows": [row for case in CASES for row in compare(*case)],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
