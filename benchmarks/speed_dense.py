"""Where a training step of a DenseNet goes on one core, beside a ResNet.

    taskset -c 1 python benchmarks/speed_dense.py        # about five minutes

densenet-40-12 has 6.5 times the multiply-adds of resnet-20-16. Its step takes nine to ten times as long:
4.0 s in float32 and 2.3 s in bfloat16 (a busy core of an AMD EPYC, torch 2.15, median of nine steps).
Convolutions take 65 % of that, the other 35 % are spread over ten kinds of work.

Both networks train on synthetic images of 3×32×32 in batches of 128, channels last, in turns. Seconds are
those of the thread, without the time that other programs have the core. Shares of operators are those of
torch.profiler. The last figure of a row is a bound: how much faster a step would be if everything but its
convolutions were free. Writes results/speed_dense-PROCESSOR.json.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from advisor.networks.layers import Task
from advisor.networks.shared_layers import graph_of
from advisor.plans.dataset import Augmentation
from advisor.plans.execution import Execution
from profiler.device import processor_name
from trainer.training.workload import PreparedStep, StepWorkload

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("resnet-20-16", "densenet-40-12")
TASK = Task(channels=3, height=32, width=32, classes=10)
BATCH = 128
# Large maps in float32 are mapped anew for some steps, until the heap has grown to the peak.
WARM_UP, TURNS, PROFILED = 7, 9, 3
# Side of the square matrices whose product shows the most that the core multiplies and adds.
SIDE = 2048
# Position of the weight among the arguments of the operators that convolve.
CONVOLUTIONS = {"aten::mkldnn_convolution": 1, "aten::convolution_backward": 2}
OPERATORS = {
    "aten::native_batch_norm": "batch norm, forward",
    "aten::native_batch_norm_backward": "batch norm, backward",
    "aten::clamp_min_": "rectifier, forward",
    "aten::threshold_backward": "rectifier, backward",
    "aten::cat": "concatenation",
    "aten::add": "sums of gradients and maps",
    "aten::copy_": "copies and casts",
}


def prepared_step(network: str, dtype: str) -> PreparedStep:
    execution = Execution(device="cpu", processes=1, threads=1, dtype=dtype, memory_format="channels_last")
    workload = StepWorkload(
        network=network, task=TASK, batch=BATCH, augmentation=Augmentation.CROP_FLIP, execution=execution
    )
    return workload.prepare()


def thread_seconds(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def step(prepared: PreparedStep) -> None:
    prepared.train_step(lambda phase: None)


def kind_of(operator: str, shapes: Sequence[Sequence[int]]) -> str:
    """Return the kind of work of an operator: its pass and kernel if it convolves."""
    if operator in CONVOLUTIONS:
        kernel = shapes[CONVOLUTIONS[operator]][-1]
        direction = "backward" if operator.endswith("backward") else "forward"
        return f"convolution {kernel}x{kernel}, {direction}"
    return OPERATORS.get(operator, "all else")


def shares(prepared: PreparedStep) -> dict[str, float]:
    """Return the share of each kind of work in a step, the largest first."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        for _ in range(PROFILED):
            step(prepared)
    sums: dict[str, float] = defaultdict(float)
    for event in recorded.key_averages(group_by_input_shape=True):
        sums[kind_of(event.key, event.input_shapes)] += event.self_cpu_time_total
    total = sum(sums.values())
    return {kind: round(part / total, 4) for kind, part in sorted(sums.items(), key=lambda s: -s[1])}


def compare(dtype: str) -> list[dict[str, object]]:
    """Measure the steps of all networks in turns, then their operators."""
    steps = {network: prepared_step(network, dtype) for network in NETWORKS}
    seconds: dict[str, list[float]] = {network: [] for network in NETWORKS}
    for turn in range(WARM_UP + TURNS):
        for network, prepared in steps.items():
            taken = thread_seconds(lambda prepared=prepared: step(prepared))
            if turn >= WARM_UP:
                seconds[network].append(taken)
    return [row(network, dtype, seconds[network], shares(steps[network])) for network in NETWORKS]


def row(network: str, dtype: str, seconds: list[float], parts: dict[str, float]) -> dict[str, object]:
    median = statistics.median(seconds)
    convolving = sum(share for kind, share in parts.items() if kind.startswith("convolution"))
    # The gradients of inputs and of weights take as many multiply-adds as the forward pass each.
    macs = 3 * BATCH * graph_of(network, TASK).macs
    return {
        "network": network,
        "dtype": dtype,
        "step_seconds": round(median, 4),
        "seconds": [round(s, 4) for s in seconds],
        "gmacs": round(macs / 1e9, 2),
        "gmacs_per_second": round(macs / 1e9 / median, 1),
        "gmacs_per_second_of_convolutions": round(macs / 1e9 / median / convolving, 1),
        "shares": parts,
        "bound_without_all_but_convolutions": round(1 / convolving, 3),
    }


def product_gmacs(dtype: str) -> float:
    """Return the billions of multiply-adds a second in a product of two square matrices."""
    matrix = torch.rand(SIDE, SIDE).to(getattr(torch, dtype))
    seconds = [thread_seconds(lambda: matrix @ matrix) for _ in range(TURNS)]
    return round(SIDE**3 / 1e9 / min(seconds), 1)


def cpu_slug() -> str:
    """Return the name of the processor as a part of a file's name."""
    name = processor_name().replace("(R)", "").replace("(TM)", "").replace("Processor", "")
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def main() -> None:
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    rows = [row for dtype in ("float32", "bfloat16") for row in compare(dtype)]
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"one core of {processor_name()}",
        "load_average_before": round(load, 1),
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "batch": BATCH,
        "product_gmacs_per_second": {dtype: product_gmacs(dtype) for dtype in ("float32", "bfloat16")},
        "rows": rows,
    }
    (RESULTS / f"speed_dense-{cpu_slug()}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
